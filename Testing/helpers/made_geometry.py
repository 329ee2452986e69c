"""Geometries made for tests: rotations, and oblique grids of one slice and of a stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from DeepRegLogic import Grid


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix from angles in radians: about z first, then y, then x."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def cropped(grid: Grid, start: Sequence[int], shape: Sequence[int]) -> Grid:
    """The grid of the box of voxels that begins at ``start`` and has ``shape``, in array order."""
    size = (*reversed(tuple(shape)), 1)[:3]
    return Grid(size, grid.spacing, tuple(grid.voxel_to_mm(np.array(start))), grid.direction)


LEFT_HANDED = tuple((rotation(*np.deg2rad((30.0, -20.0, 15.0))) @ np.diag((1.0, 1.0, -1.0))).ravel())
"""Oblique axes whose third points against the right-hand rule."""

SLICE = Grid((40, 36, 1), (1.5, 1.8, 8.0), (-60.0, 25.0, 11.0), LEFT_HANDED)
VOLUME = Grid((28, 32, 12), (1.5, 1.8, 4.0), (-60.0, 25.0, 11.0), LEFT_HANDED)
