"""The quality of every frame, measured on the cine that a motion was found in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import flow
from ..cine import FrameQuality, intensity_range
from ..consistency import inverse_consistency_error

if TYPE_CHECKING:
    from .results import Results


def frame_quality(results: Results) -> tuple[FrameQuality, ...]:
    """Quality of every frame of a motion."""
    cine, motion, compensated = results.cine, results.motion, results.compensated
    low, high = intensity_range(cine.frames)
    span = max(high - low, float(np.finfo(np.float32).tiny))
    reference = cine.frames[motion.reference].astype(np.float32)
    records = []
    with torch.inference_mode():
        for t in range(len(motion)):
            forward = torch.from_numpy(motion.displacement[t].copy())[None]
            inverse = torch.from_numpy(motion.inverse[t].copy())[None]
            apart = inverse_consistency_error(forward, inverse)
            folds = flow.folding(forward) | flow.folding(inverse)
            length = flow.to_mm(forward, motion.grid).norm(dim=1)
            high_error, place = _inside(apart[0], forward[0])
            records.append(
                FrameQuality(
                    error_before=_rms(cine.frames[t].astype(np.float32) - reference) / span,
                    error_after=_rms(compensated[t] - reference) / span,
                    folded=float(folds.float().mean()),
                    inverse_consistency_mean=float(apart.mean()),
                    inverse_consistency_max=float(apart.max()),
                    motion_mean=float(length.mean()),
                    motion_max=float(length.max()),
                    inverse_consistency_high=high_error,
                    inconsistent_at=place,
                )
            )
    return tuple(records)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _inside(apart: torch.Tensor, displacement: torch.Tensor) -> tuple[float, tuple[int, ...]]:
    """The 99th percentile of an error ``[*spatial]`` over the points that stay inside, and the voxel of the largest.

    Beyond the border no image tells where tissue is: what goes there cannot come back.
    """
    shape = tuple(apart.shape)
    position = flow.identity(shape) + displacement
    last = torch.tensor([n - 1.0 for n in shape]).view(-1, *[1] * len(shape))
    inside = ((position >= 0) & (position <= last)).all(dim=0)
    if not inside.any():
        return 0.0, ()
    errors = apart[inside]
    rank = max(round(0.99 * errors.numel()), 1)
    flat = int(torch.where(inside, apart, -1.0).argmax())
    index = tuple(int(n) for n in np.unravel_index(flat, shape))[::-1]
    return float(errors.kthvalue(rank).values), index + (0,) * (3 - len(index))
