"""Numbers read off a motion whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, InputError, Labels, Motion, Results
from DeepRegLogic.cine import intensity_range
from DeepRegLogic.results.quality import FrameQuality, frame_quality
from DeepRegLogic.results.sizes import jacobian, sizes_of

GRID = Grid((40, 30, 1), (2.0, 1.5, 8.0))


def quality_of(cine: Cine, motion: Motion) -> tuple[FrameQuality, ...]:
    return frame_quality(Results(motion, cine))


def test_the_quality_of_a_known_shift():
    y, x = np.indices((30, 40), dtype=np.float32)
    image = np.sin(0.3 * x) + np.cos(0.2 * y)
    moved = np.sin(0.3 * (x - 2)) + np.cos(0.2 * y)
    field = np.zeros((2, 2, 30, 40), np.float32)
    field[1, 1] = 2
    cine = Cine(np.stack([image, moved]), GRID)
    first, second = quality_of(cine, Motion(GRID, 0, field, -field))
    assert (first.error_before, first.error_after, first.motion_max, first.inverse_consistency_max) == pytest.approx(
        (0, 0, 0, 0), abs=1e-6
    )
    assert second.motion_mean == pytest.approx(4.0)
    assert second.motion_max == pytest.approx(4.0)
    assert second.inverse_consistency_max == pytest.approx(0, abs=1e-5)
    low, high = intensity_range(cine.frames)
    assert second.error_before == pytest.approx(np.sqrt(np.mean((moved - image) ** 2)) / (high - low), rel=1e-4)
    assert second.error_after < 0.3 * second.error_before  # the two columns that leave the image remain


def test_folds_and_a_wrong_inverse_are_told():
    field = np.zeros((2, 2, 30, 40), np.float32)
    field[1, 1, :, 20] = 3
    first, second = quality_of(
        Cine(np.random.default_rng(0).random((2, 30, 40)), GRID), Motion(GRID, 0, field, 0 * field)
    )
    assert first.folded == 0
    assert 0.02 < second.folded < 0.1
    assert second.inverse_consistency_max == pytest.approx(3)
    # one column of 40 is more than 1 %
    assert second.inverse_consistency_high == pytest.approx(3)
    assert second.inconsistent_at[0] == 20
    assert first.inverse_consistency_high == pytest.approx(0)


def test_what_leaves_the_image_is_not_called_inconsistent():
    field = np.zeros((2, 2, 30, 40), np.float32)
    field[1, 1] = 4
    back = -field
    field[1, 1, :, 37:] = 10
    cine = Cine(np.random.default_rng(0).random((2, 30, 40)), GRID)
    second = quality_of(cine, Motion(GRID, 0, field, back))[1]
    assert second.inverse_consistency_max == pytest.approx(6)
    assert second.inverse_consistency_high == pytest.approx(0, abs=1e-5)


def test_the_jacobian_of_a_stretch():
    field = np.zeros((2, 2, 30, 40), np.float32)
    field[1, 0] = 0.1 * np.arange(30)[:, None]
    values = jacobian(Motion(GRID, 0, field, -field))
    assert np.allclose(values[0], 1)
    assert np.allclose(values[1], 1.1, atol=1e-5)


def test_areas_are_in_square_millimetres_and_volumes_in_millilitres():
    labels = np.zeros((30, 40), np.uint8)
    labels[10:20, 10:20] = 1
    labels[24:, :2] = 4
    field = np.zeros((2, 2, 30, 40), np.float32)
    field[1, 0] = -0.25 * (np.arange(30) - 9.5)[:, None]  # the lower edge of label 1 moves up by 2.5, the upper stays
    areas = sizes_of(jacobian(Motion(GRID, 0, field, -field)), Labels.of_map(labels), GRID)
    assert sorted(areas) == [1, 4]
    assert areas[1].tolist() == pytest.approx([300, 225], abs=1e-3)
    assert areas[4].tolist() == pytest.approx([36, 27], abs=1e-3)
    whole = Labels.of_map(np.ones((10, 30, 40), int))
    volumes = sizes_of(np.ones((1, 10, 30, 40)), whole, Grid((40, 30, 10), (1, 1, 1)))
    assert volumes[1].tolist() == [12.0]
    with pytest.raises(InputError, match="has shape"):
        sizes_of(np.ones((2, 30, 40)), Labels.of_map(labels[1:]), GRID)


def test_the_area_of_walls_that_move_by_less_than_a_voxel():
    labels = np.zeros((30, 40), np.uint8)
    labels[10:20, 10:20] = 1
    scale = 1.04  # every edge of the square moves by a fifth of a voxel
    y, x = np.indices(labels.shape, dtype=np.float32)
    offset = np.stack([y - 14.5, x - 14.5])
    motion = Motion(GRID, 0, (scale - 1) * offset[None], (1 / scale - 1) * offset[None])
    areas = sizes_of(jacobian(motion), Labels.of_map(labels), GRID)
    assert areas[1][0] == pytest.approx(300 * scale**2, rel=1e-4)


def test_the_range_ignores_outliers_but_not_a_sparse_image():
    pixels = np.tile(np.arange(100.0), 100)
    pixels[0] = 1e6
    assert intensity_range(pixels) == pytest.approx((0.99, 98.01), abs=1)
    sparse = np.zeros(10_000)
    sparse[7] = 5
    assert intensity_range(sparse) == (0, 5)
