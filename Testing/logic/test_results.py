"""What follows from a motion, of how sure it is and of what was drawn; and that it goes to another process."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, InputError, Labels, Motion, Results, uncertainty
from DeepRegLogic.service.exchange import pack_results, unpack_results

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


def mean_uncertainty(results: Results) -> np.ndarray:
    return results.statistics["uncertainty", "mean"]


def test_the_mean_is_over_what_moves_or_what_was_drawn(unsure):
    motion, cine = unsure
    np.testing.assert_allclose(mean_uncertainty(Results(motion, cine)), [0, 2, 2], rtol=1e-6)
    assert Results(motion, cine).region_name == "tissue that moves by 1 mm or more"
    mask = np.zeros((1, 16, 20), np.uint8)
    mask[0, :, 8:12] = 1
    results = Results(motion, cine, Labels.of_masks(mask))
    np.testing.assert_allclose(mean_uncertainty(results), [0, 1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(results.curve("labelUncertainty")[1][1], [1.5, 1.0, 2.0], rtol=1e-6)
    assert results.region_name == "the labels"
    empty = Results(motion, cine, Labels.of_masks(np.zeros((1, 16, 20), np.uint8)))
    np.testing.assert_allclose(mean_uncertainty(empty), [0, 2, 2], rtol=1e-6)
    assert list(empty.curve("labelUncertainty")) == [1]
    np.testing.assert_array_equal(empty.curve("labelUncertainty")[1], np.zeros((3, 3)))
    still = Motion(GRID, 0, 0 * motion.displacement, 0 * motion.inverse, covariance=motion.covariance)
    np.testing.assert_allclose(mean_uncertainty(Results(still, cine)), [0, 1.5, 1.5], rtol=1e-6)
    assert Results(still, cine).region_name == "the whole image"


def test_entropy_has_a_floor_and_points_their_covariances(unsure):
    motion, cine = unsure
    points = GRID.voxel_to_mm(np.array([[5.0, 4.0], [5.0, 15.0]]))
    results = Results(motion, cine, points=points)
    entropy = results.map("entropy")
    np.testing.assert_array_equal(entropy[0], uncertainty.LEAST_ENTROPY)
    np.testing.assert_allclose(entropy[1, 0, 0], np.log(2 * np.pi) + 0.5 * np.log(1.0), rtol=1e-5)
    np.testing.assert_allclose(results.point_covariances[1, 0], np.diag([4.0, 0.25, 0.0]), atol=1e-6)
    np.testing.assert_allclose(results.point_covariances[2, 1], np.diag([1.0, 0.25, 0.0]), atol=1e-6)
    assert Results(motion, cine).point_covariances.shape == (3, 0, 3, 3)


def test_it_goes_through_the_exchange(unsure, tmp_path, monkeypatch):
    motion, cine = unsure
    labels, points = Labels.of_masks(np.ones((2, 16, 20), np.uint8)), GRID.voxel_to_mm(np.array([[5.0, 4.0]]))
    results = Results(motion, cine, labels, points)
    packed = pack_results(tmp_path, results)
    for name in ("compensate", "propagate", "move_points"):  # nothing is computed again
        monkeypatch.setattr(f"DeepRegLogic.results.resample.{name}", None)
    again = unpack_results(tmp_path, packed, Results(motion, cine, labels, points))
    assert set(results.maps) == {"compensated", "difference", "propagated", "jacobian", "uncertainty", "entropy"}
    for name in results.maps:
        np.testing.assert_array_equal(again.map(name), results.map(name), err_msg=name)
    np.testing.assert_array_equal(mean_uncertainty(again), mean_uncertainty(results))
    assert again.curves.keys() == results.curves.keys() == {"sizes", "labelUncertainty"}
    for name, series in results.curves.items():
        assert again.curves[name].keys() == series.keys() == {1, 2}
        for key, values in series.items():
            np.testing.assert_array_equal(again.curves[name][key], values)
    for name in ("carried", "followed", "point_covariances"):
        np.testing.assert_array_equal(getattr(again, name), getattr(results, name))


def test_a_motion_that_is_sure_of_itself_has_no_such_maps(unsure, tmp_path):
    motion, cine = unsure
    sure = Results(Motion(GRID, 0, motion.displacement, motion.inverse), cine)
    again = unpack_results(tmp_path, pack_results(tmp_path, sure), Results(sure.motion, cine))
    for results in (sure, again):
        assert not {"uncertainty", "entropy"} & set(results.maps)
        assert results.point_covariances is None
        assert results.curve("labelUncertainty") == {}
        with pytest.raises(InputError, match="has no uncertainty; register it with the option"):
            results.map("entropy")


def test_what_does_not_belong_together_is_refused(unsure):
    motion, cine = unsure
    with pytest.raises(InputError, match="not on the reference frame of shape"):
        Results(motion, cine, Labels.of_masks(np.ones((1, 3, 3), np.uint8)))
    with pytest.raises(InputError, match="does not belong to the cine"):
        Results(motion, Cine(cine.frames[:2], GRID))
    with pytest.raises(InputError, match=r"\[P, 3\]"):
        Results(motion, cine, points=np.zeros(3))
    with pytest.raises(InputError, match="whole numbers"):
        Labels.of_map(np.zeros((16, 20)))
