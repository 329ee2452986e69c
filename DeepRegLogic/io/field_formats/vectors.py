"""What formats that store their axes as i, j, k share."""

from __future__ import annotations

import numpy as np

from ... import flow
from ...grid import Grid


def apply_matrix(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A matrix ``[4, 4]`` at points ``[..., 3]``."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def places_of(size: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    """Where a matrix from voxels takes every voxel, ``[I, J, K, 3]``."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in size), indexing="ij"), axis=-1)
    return apply_matrix(matrix, index)


def vectors_of(displacement: np.ndarray, grid: Grid) -> np.ndarray:
    """A displacement ``[ndim, *grid.shape]`` in voxels as LPS mm ``[I, J, K, 3]``, float64."""
    vectors = np.moveaxis(flow.to_mm(displacement.astype(float), grid), 0, -1)
    return vectors.reshape(*reversed(grid.size), 3).transpose(2, 1, 0, 3)


def displacement_of(vectors: np.ndarray, grid: Grid) -> np.ndarray:
    """LPS mm ``[I, J, K, 3]`` as a displacement ``[ndim, *grid.shape]`` in voxels, float32."""
    field = np.moveaxis(vectors.transpose(2, 1, 0, 3), -1, 0).reshape(3, *grid.shape)
    return flow.from_mm(field, grid).astype(np.float32)
