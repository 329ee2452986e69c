"""What can be read off a motion: quality per frame, Jacobian, and the size of labelled regions over time."""

from __future__ import annotations

import numpy as np
import torch

from . import flow, transport
from .cine import Cine, FrameQuality, Motion
from .grid import Grid


def intensity_range(frames: np.ndarray) -> tuple[float, float]:
    """The 1st and 99th percentile of (at most a million) pixels, or minimum and maximum where these meet."""
    pixels = np.ravel(frames)
    pixels = pixels[:: max(1, pixels.size // 1_000_000)]
    low, high = np.percentile(pixels, (1, 99))
    if low == high:
        low, high = pixels.min(), pixels.max()
    return float(low), float(high)


def frame_quality(cine: Cine, motion: Motion) -> tuple[FrameQuality, ...]:
    """Quality of every frame of a motion, measured on the cine it was made from."""
    low, high = intensity_range(cine.frames)
    span = max(high - low, np.finfo(np.float32).tiny)
    reference = cine.frames[motion.reference].astype(np.float32)
    compensated = transport.compensate(motion, cine.frames)
    records = []
    with torch.inference_mode():
        for t in range(len(motion)):
            forward = torch.from_numpy(motion.displacement[t].copy())[None]
            inverse = torch.from_numpy(motion.inverse[t].copy())[None]
            trip = flow.compose(inverse, forward).norm(dim=1)
            folds = flow.folding(forward) | flow.folding(inverse)
            length = flow.to_mm(forward, motion.grid).norm(dim=1)
            records.append(
                FrameQuality(
                    error_before=_rms(cine.frames[t].astype(np.float32) - reference) / span,
                    error_after=_rms(compensated[t] - reference) / span,
                    folded=float(folds.float().mean()),
                    round_trip_mean=float(trip.mean()),
                    round_trip_max=float(trip.max()),
                    motion_mean=float(length.mean()),
                    motion_max=float(length.max()),
                )
            )
    return tuple(records)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def jacobian(motion: Motion) -> np.ndarray:
    """Jacobian determinant ``[T, *spatial]`` of every displacement, on the reference grid; above 1 the tissue grows."""
    with torch.inference_mode():
        fields = (torch.from_numpy(field.copy())[None] for field in motion.displacement)
        return np.stack([flow.jacobian_determinant(field)[0].numpy() for field in fields])


def area_curve(change: np.ndarray, labels: np.ndarray, grid: Grid) -> dict[int, np.ndarray]:
    """Size over time of the labels ``[*spatial]`` of the reference: area in mm^2 for a slice, volume in ml for a stack.

    It is the integral over the label of ``change`` ``[T, *spatial]``, the Jacobian determinant (``jacobian``), so that
    walls that move by less than a voxel change the size, too. Returns label -> ``[T]``, for every label but 0.

    Raises
    ------
    InputError : labels of another size than the grid.
    """
    for image in (labels, change[0]):
        transport.require_shape(image, grid)
    voxel = float(np.prod(grid.array_spacing)) / (1.0 if grid.ndim == 2 else 1000.0)
    values = [int(v) for v in np.unique(labels) if v != 0]
    return {v: change[:, labels == v].sum(axis=1, dtype=float) * voxel for v in values}
