"""The Jacobian of a motion, and the size of labels over time that follows from it."""

from __future__ import annotations

import numpy as np
import torch

from .. import flow
from ..cine import Motion
from ..grid import Grid
from .labels import Labels
from .resample import require_shape


def jacobian(motion: Motion) -> np.ndarray:
    """Jacobian determinant ``[T, *spatial]`` of every displacement, on the reference grid; above 1 the tissue grows."""
    with torch.inference_mode():
        fields = (torch.from_numpy(field.copy())[None] for field in motion.displacement)
        return np.stack([flow.jacobian_determinant(field)[0].numpy() for field in fields])


def sizes_of(change: np.ndarray, labels: Labels, grid: Grid) -> dict[int, np.ndarray]:
    """Size over time of labels of the reference: area in mm^2 for a slice, volume in ml for a stack.

    It is the integral over the label of ``change`` ``[T, *spatial]``, the Jacobian determinant (``jacobian``), so that
    walls that move by less than a voxel change the size, too. Returns value -> ``[T]``; zeros for an empty label.

    Raises
    ------
    InputError : labels of another size than the grid.
    """
    for image in (*labels.masks, change[0]):
        require_shape(image, grid)
    voxel = float(np.prod(grid.array_spacing)) / (1.0 if grid.ndim == 2 else 1000.0)
    masks = zip(labels.values, labels.masks, strict=True)
    return {value: change[:, mask > 0].sum(axis=1, dtype=float) * voxel for value, mask in masks}
