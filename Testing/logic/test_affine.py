"""The affine step: a known matrix is found again, whatever the geometry and the contrast; its way; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from made_geometry import LEFT_HANDED, rotation
from made_pairs import Anatomy, affine_matrix, furthest

from DeepRegLogic import Cancelled, CancelToken, Cine, Grid, InputError
from DeepRegLogic.progress import Reporter
from DeepRegLogic.registration.affine import Mask, align
from DeepRegLogic.registration.pair import (
    after_inverse_matrix,
    before_matrix,
    check_pair,
    in_voxels,
    pair_cine,
    power,
    turned,
    what_counts,
)

pytestmark = pytest.mark.usefixtures("one_thread")

TURNED = tuple(rotation(*np.deg2rad((10.0, 5.0, 20.0))).ravel())
VOLUME = Grid((36, 32, 24), (2.0, 2.0, 3.0), (-30.0, 20.0, 5.0), LEFT_HANDED)
PLANE = Grid((64, 56, 1), (1.5, 1.5, 8.0), (-30.0, 20.0, 5.0), LEFT_HANDED)


def middle(grid: Grid) -> np.ndarray:
    return grid.voxel_to_mm((np.array(grid.shape) - 1) / 2)


@pytest.fixture(scope="module")
def volumes() -> tuple[Cine, Cine, np.ndarray]:
    """A fixed volume, a moving one of another size, spacing, direction and place, and the matrix between them."""
    anatomy = Anatomy(np.zeros(3), 60.0, 3)
    shift = middle(VOLUME)
    to_anatomy = np.eye(4)
    to_anatomy[:3, 3] = -shift
    matrix = affine_matrix(12.0, 1.12, np.array([200.0, -40.0, 15.0]), shift)  # there is no overlap
    far = Grid((40, 30, 40), (1.7, 2.5, 1.7), (0.0, 0.0, 0.0), TURNED)
    far = Grid(far.size, far.spacing, tuple((matrix @ [*shift, 1])[:3] - middle(far) + (2, -1, 1)), TURNED)
    return anatomy.image(VOLUME, to_anatomy), anatomy.image(far, to_anatomy @ np.linalg.inv(matrix)), matrix


def test_a_matrix_between_volumes_that_do_not_meet_is_found(volumes):
    fixed, moving, matrix = volumes
    assert furthest(np.eye(4), matrix, VOLUME) > 100
    assert furthest(align(fixed, moving), matrix, VOLUME) < 1.0  # half a voxel


def test_another_contrast_does_not_matter(volumes):
    fixed, moving, matrix = volumes
    pixels = (moving.frames / moving.frames.max() - 0.6) ** 2  # not even monotonic
    assert furthest(align(fixed, Cine(pixels, moving.grid)), matrix, VOLUME) < 2.0


def test_slices_are_aligned_in_their_plane():
    axes = np.reshape(PLANE.direction, (3, 3))
    anatomy = Anatomy(middle(PLANE), 0.0, 2)
    random = np.random.default_rng(3)
    anatomy.centres = middle(PLANE) + random.uniform(-30, 30, (12, 2)) @ axes[:, :2].T
    anatomy.widths = random.uniform(4, 10, 12)
    in_plane = affine_matrix(-15.0, 1.1, np.array([9.0, -6.0, 0.0]), np.zeros(3))
    about = np.eye(4)
    about[:3, :3], about[:3, 3] = axes, middle(PLANE)
    matrix = about @ in_plane @ np.linalg.inv(about)
    other = Grid((60, 70, 1), (1.2, 1.6, 8.0), tuple(PLANE.voxel_to_mm(np.array([-3.0, 4.0]))), PLANE.direction)
    found = align(anatomy.image(PLANE), anatomy.image(other, np.linalg.inv(matrix)))
    assert furthest(found, matrix, PLANE) < 1.0
    np.testing.assert_allclose((found[:3, :3] - np.eye(3)) @ axes[:, 2], 0, atol=1e-9)  # nothing through the plane


def test_a_mask_leaves_out_what_moves_otherwise():
    grid = Grid((80, 64, 1))
    anatomy = Anatomy(np.array([25.0, 32.0, 0.0]), 40.0, 2, seed=1)
    intruder = Anatomy(np.array([62.0, 32.0, 0.0]), 30.0, 2, seed=2)
    intruder.heights *= 3
    away = affine_matrix(0, 1.0, np.array([3.0, 2.0, 0.0]), np.zeros(3))
    back = affine_matrix(0, 1.0, np.array([-4.0, -6.0, 0.0]), np.zeros(3))
    fixed = Cine(anatomy.image(grid).frames + intruder.image(grid).frames, grid)
    moving_pixels = anatomy.image(grid, np.linalg.inv(away)).frames + intruder.image(grid, np.linalg.inv(back)).frames
    inside = np.zeros(grid.shape, np.uint8)
    inside[:, :46] = 1
    found = align(fixed, Cine(moving_pixels, grid), fixed_mask=Mask(inside, grid))
    corner = np.array([25.0, 32.0, 0.0, 1.0])
    assert np.linalg.norm((found - away) @ corner) < 0.5
    assert np.linalg.norm((align(fixed, Cine(moving_pixels, grid)) - away) @ corner) > 1.0


def test_fractions_of_a_matrix_are_its_roots():
    matrix = affine_matrix(50.0, 1.3, np.array([20.0, -7.0, 3.0]), np.array([5.0, 5.0, 0.0]))
    half, third = power(matrix, 0.5), power(matrix, 1 / 3)
    np.testing.assert_allclose(half @ half, matrix, atol=1e-9)
    np.testing.assert_allclose(third @ third @ third, matrix, atol=1e-4)
    np.testing.assert_allclose(power(matrix, 0.0), np.eye(4))
    shift = np.eye(4)
    shift[:3, 3] = 8, 0, -4  # which has no eigenvectors enough
    np.testing.assert_allclose(power(shift, 0.25)[:3, 3], (2, 0, -1), atol=1e-6)


@pytest.mark.parametrize("grid", [PLANE, VOLUME], ids=["plane", "volume"])
def test_a_matrix_is_composed_exactly(grid):
    axes = np.reshape(grid.direction, (3, 3))
    matrix = np.eye(4)
    if grid.ndim == 2:
        matrix[:3, :3] = axes @ affine_matrix(9, 1.2, np.zeros(3), np.zeros(3))[:3, :3] @ axes.T
        matrix[:3, 3] = axes[:, 0] * 4
    else:
        matrix = affine_matrix(9, 1.2, np.array([3.0, -5.0, 2.0]), np.array([10.0, 0, 0]))
    field = np.random.default_rng(0).normal(size=(grid.ndim, *grid.shape)).astype(np.float32)
    places = np.indices(grid.shape, dtype=float).reshape(grid.ndim, -1).T
    moved = grid.voxel_to_mm(places + field.reshape(grid.ndim, -1).T)
    expected = moved @ matrix[:3, :3].T + matrix[:3, 3]
    total = before_matrix(field, matrix, grid)
    found = grid.voxel_to_mm(places + total.reshape(grid.ndim, -1).T)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    back = after_inverse_matrix(np.zeros_like(field), matrix, grid)
    linear, shift = in_voxels(matrix, grid)
    there = (places + back.reshape(grid.ndim, -1).T) @ linear.T + shift
    np.testing.assert_allclose(there, places, atol=1e-3)


def test_a_covariance_turns_with_the_matrix():
    grid = Grid((5, 4, 1), (2.0, 1.0, 8.0))
    covariance = np.zeros((2, 2, 2, 4, 5))
    covariance[1, 0, 0], covariance[1, 1, 1] = 4.0, 1.0  # mm^2 along rows and columns
    quarter = affine_matrix(90, 1.0, np.zeros(3), np.zeros(3))
    found = turned(covariance, quarter, grid)
    np.testing.assert_allclose(found[1, 0, 0], 1.0, atol=1e-6)
    np.testing.assert_allclose(found[1, 1, 1], 4.0, atol=1e-6)
    np.testing.assert_allclose(found[1, 0, 1], 0.0, atol=1e-6)


def cine_of(grid: Grid, seed: int = 0, name: str = "image") -> Cine:
    return Cine(np.random.default_rng(seed).random((1, *grid.shape)).astype(np.float32), grid, name=name)


def test_what_is_no_pair_is_refused_in_one_sentence():
    plane, volume = cine_of(Grid((32, 32, 1)), name="plane"), cine_of(Grid((32, 32, 20)), name="volume")
    tilted = cine_of(Grid((32, 32, 1), direction=tuple(rotation(0.5, 0, 0).ravel())), name="tilted")
    blank = Cine(np.ones((1, 32, 32)), Grid((32, 32, 1)), name="blank")
    for moving, words in ((volume, "single slices or both be volumes"), (tilted, "tilted by 29"), (blank, "constant")):
        with pytest.raises(InputError, match=words):
            check_pair(plane, moving)
    far = cine_of(Grid((32, 32, 20), origin=(900, 0, 0)), name="far")
    with pytest.raises(InputError, match="'volume' and 'far' share no part of space"):
        pair_cine(volume, far)


def test_masks_that_mark_nothing_are_refused():
    grid = Grid((32, 32, 20))
    with pytest.raises(InputError, match="mask 'liver' is empty"):
        Mask(np.zeros(grid.shape), grid, "liver")
    with pytest.raises(InputError, match="has shape"):
        Mask(np.ones((3, 3, 3)), grid)
    left, right = np.zeros((2, *grid.shape))
    left[..., :8], right[..., 20:] = 1, 1
    masks = Mask(left, grid, "left"), Mask(right, grid, "right")
    with pytest.raises(InputError, match="'right' marks nothing"):
        what_counts(grid, *masks, None)
    shift = np.eye(4)
    shift[0, 3] = 20
    counted = what_counts(grid, *masks, shift)
    assert counted.sum() == left.sum()


def test_the_affine_step_can_be_cancelled(volumes):
    token = CancelToken()

    def stop(fraction: float, text: str) -> None:
        if fraction > 0.2:
            token.cancel()

    with pytest.raises(Cancelled):
        align(*volumes[:2], reporter=Reporter(stop, token))
