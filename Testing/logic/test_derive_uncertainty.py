"""What is derived of how sure a motion is."""

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, Motion, uncertainty
from DeepRegLogic.derive import derive
from DeepRegLogic.exchange import pack_derived, unpack_derived

GRID = Grid((20, 16, 1), (2.0, 1.0, 5.0))


@pytest.fixture
def unsure():
    """Three frames; the left half moves 0.75 voxels (1.5 mm) along the columns and is unsure by 2 mm, the rest 1 mm."""
    displacement = np.zeros((3, 2, 16, 20), np.float32)
    displacement[1, 1, :, :10] = 0.75
    covariance = np.zeros((3, 2, 2, 16, 20), np.float32)
    covariance[1:, 0, 0], covariance[1:, 1, 1] = 0.25, 1.0
    covariance[1:, 1, 1, :, :10] = 4.0
    images = np.random.default_rng(0).random((3, 16, 20)).astype(np.float32)
    return Motion(GRID, 0, displacement, -displacement, covariance=covariance), Cine(images, GRID)


def test_the_mean_is_over_what_moves_or_what_was_drawn(unsure):
    motion, cine = unsure
    np.testing.assert_allclose(derive(motion, cine).mean_uncertainty, [0, 2, 2], rtol=1e-6)
    mask = np.zeros((1, 16, 20), np.uint8)
    mask[0, :, 8:12] = 1
    derived = derive(motion, cine, mask)
    np.testing.assert_allclose(derived.mean_uncertainty, [0, 1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(derived.mask_uncertainty[0, 1], [1.5, 1.0, 2.0], rtol=1e-6)
    empty = derive(motion, cine, np.zeros((1, 16, 20), np.uint8))
    np.testing.assert_allclose(empty.mean_uncertainty, [0, 2, 2], rtol=1e-6)
    np.testing.assert_array_equal(empty.mask_uncertainty, 0)
    still = Motion(GRID, 0, 0 * motion.displacement, 0 * motion.inverse, covariance=motion.covariance)
    np.testing.assert_allclose(derive(still, cine).mean_uncertainty, [0, 1.5, 1.5], rtol=1e-6)


def test_entropy_has_a_floor_and_points_their_covariances(unsure):
    motion, cine = unsure
    points = GRID.voxel_to_mm(np.array([[5.0, 4.0], [5.0, 15.0]]))
    derived = derive(motion, cine, points=points)
    np.testing.assert_array_equal(derived.entropy[0], uncertainty.LEAST_ENTROPY)
    np.testing.assert_allclose(derived.entropy[1, 0, 0], np.log(2 * np.pi) + 0.5 * np.log(1.0), rtol=1e-5)
    np.testing.assert_allclose(derived.point_covariances[1, 0], np.diag([4.0, 0.25, 0.0]), atol=1e-6)
    np.testing.assert_allclose(derived.point_covariances[2, 1], np.diag([1.0, 0.25, 0.0]), atol=1e-6)
    assert derive(motion, cine).point_covariances.shape == (3, 0, 3, 3)


def test_it_goes_through_the_exchange(unsure, tmp_path):
    motion, cine = unsure
    derived = derive(motion, cine, np.ones((2, 16, 20), np.uint8))
    again = unpack_derived(tmp_path, pack_derived(tmp_path, derived))
    for name in ("uncertainty", "entropy", "mean_uncertainty", "mask_uncertainty", "point_covariances"):
        np.testing.assert_array_equal(getattr(again, name), getattr(derived, name))
    sure = derive(Motion(GRID, 0, motion.displacement, motion.inverse), cine)
    assert unpack_derived(tmp_path, pack_derived(tmp_path, sure)).entropy is None
