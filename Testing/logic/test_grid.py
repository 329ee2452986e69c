"""Grid: positions and vectors between voxels, LPS and RAS."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_geometry import SLICE, VOLUME, rotation

from DeepRegLogic import Grid, InputError
from DeepRegLogic.grid import flip_lps_ras, working_shape

angles = st.floats(-3.1, 3.1)
grids = st.builds(
    lambda size, spacing, origin, turn, left: Grid(
        size, spacing, origin, tuple((rotation(*turn) @ np.diag([1, 1, -1 if left else 1])).ravel())
    ),
    st.tuples(st.integers(2, 40), st.integers(2, 40), st.integers(1, 20)),
    st.tuples(*[st.floats(0.3, 12)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
    st.tuples(angles, angles, angles),
    st.booleans(),
)


@given(grids)
def test_positions_go_there_and_back(grid):
    points = np.random.default_rng(0).uniform(-3, 40, (7, grid.ndim))
    assert np.allclose(grid.mm_to_voxel(grid.voxel_to_mm(points)), points, atol=1e-6)


@given(grids)
def test_matrices_give_the_grid_back(grid):
    assert Grid.from_matrix(grid.size, grid.matrix).matches(grid)
    assert Grid.from_ras_matrix(grid.size, grid.ras_matrix).matches(grid)


def test_a_voxel_lies_where_its_axes_say():
    # i points to the left, j to the head, k to the front: a left-handed coronal slice
    grid = Grid((10, 20, 1), (2, 3, 5), (7, -8, 9), (1, 0, 0, 0, 0, -1, 0, 1, 0))
    assert grid.ndim == 2
    assert grid.shape == (20, 10)
    assert grid.array_spacing == (3, 2)
    assert np.allclose(grid.voxel_to_mm([4, 6]), [7 + 6 * 2, -8, 9 + 4 * 3])
    assert np.allclose(grid.vector_matrix @ [1, 2], [4, 0, 3])


def test_ras_is_lps_with_two_signs_changed():
    assert np.allclose(flip_lps_ras([[6, -4, 3]]), [[-6, 4, 3]])
    grid = Grid((4, 4, 4), origin=(10, 20, 30))
    assert np.allclose(grid.ras_matrix @ [0, 0, 0, 1], [-10, -20, 30, 1])
    assert np.allclose(grid.ras_matrix @ [1, 1, 1, 1], [-11, -21, 31, 1])


def test_a_working_grid_keeps_the_first_and_the_last_voxel():
    # 20 steps of 2 mm and 30 of 1.5 mm: 40 and 45 mm from the first voxel's centre to the last one's
    assert working_shape((21, 31), (2, 1.5), 3.0) == (14, 16)
    assert working_shape((21, 31), (2, 1.5), 0.5) == (81, 91)
    assert working_shape((21, 31), (2, 1.5), 6.0, smallest=12) == (12, 12)
    assert working_shape((7, 21, 31), (8, 2, 1.5), 3.0) == (17, 14, 16)
    assert working_shape((7, 21, 31), (8, 2, 1.5), 3.0, by_slice=True) == (7, 14, 16)


@pytest.mark.parametrize("wrong", [1e-3, 0.02, 9.0, 1000.0, 1e30])
def test_a_working_grid_of_another_unit_is_refused(wrong):
    with pytest.raises(InputError, match=r"do not suit a model for pixels of 1\.8 mm"):
        working_shape((128, 128), (1.8 * wrong, 1.8 * wrong), 1.8)


@pytest.mark.parametrize("spacing", [(1800, 1800, 8000), (1e30, 1, 1), (1e-9, 1, 1), (1, 1, 1e-5), (1, 1001, 1)])
def test_a_spacing_beyond_reason_is_told(spacing):
    with pytest.raises(InputError, match="in another unit"):
        Grid((20, 20, 1), spacing)


def test_the_grids_of_other_tests_are_oblique_and_left_handed():
    for grid in (SLICE, VOLUME):
        axes = np.reshape(grid.direction, (3, 3))
        assert np.linalg.det(axes) == pytest.approx(-1)
        assert np.abs(axes).min() > 0.05


def test_a_grid_matches_to_a_fraction_of_a_voxel():
    grid = Grid((30, 20, 10))
    assert grid.matches(Grid((30, 20, 10), origin=(5e-4, 0, 0)))
    assert not grid.matches(Grid((30, 20, 10), origin=(5e-2, 0, 0)))
    assert not grid.matches(Grid((30, 20, 11)))
    assert not grid.matches(Grid((30, 20, 10), spacing=(1.001, 1, 1)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": (0, 4, 4)}, "empty"),
        ({"size": (4, 4, 4), "spacing": (1, 0, 1)}, "not positive"),
        ({"size": (4, 4, 4), "spacing": (1, float("nan"), 1)}, "not positive"),
        ({"size": (4, 4, 4), "origin": (1, float("inf"), 1)}, "not finite"),
        ({"size": (4, 4, 4), "direction": (1, 0.2, 0, 0, 1, 0, 0, 0, 1)}, "right angles"),
        ({"size": (4, 4)}, "3 sizes"),
    ],
)
def test_a_bad_geometry_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Grid(**arguments)
