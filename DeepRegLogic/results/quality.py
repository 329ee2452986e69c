"""The quality of every frame, measured on the cine that a motion was found in.

Light to import: tables and panels name the figures where torch may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cine import Cine, intensity_range, working_type

if TYPE_CHECKING:
    import torch

    from .results import Results


def _figure(unit: str, title: str, fraction_of: str = "", **more: Any) -> Any:
    """A field of ``FrameQuality``: its unit, or what it is a fraction of, and what tables and curves call it."""
    return field(metadata={"unit": unit, "title": title, "fraction_of": fraction_of}, **more)


@dataclass(frozen=True)
class FrameQuality:
    """What can be measured of one frame's registration without knowing the truth.

    Tables, files and the scene show every field; its metadata have the unit and the title.

    Attributes
    ----------
    error_before, error_after : root mean square difference to the reference frame before and after motion
        compensation, as a fraction of the cine's intensity range (1st to 99th percentile).
    folded : fraction of voxels where the displacement or its inverse folds.
    inverse_consistency_mean, inverse_consistency_max : distance in voxels of a reference point to itself after the
        displacement and its inverse.
    motion_mean, motion_max : length of the displacement in mm.
    inverse_consistency_high : the 99th percentile of that distance over the points that stay inside the image.
    inconsistent_at : the voxel (i, j, k) of the reference where it is largest among those.
    """

    error_before: float = _figure("", "difference to the reference before", "intensity range")
    error_after: float = _figure("", "difference to the reference after", "intensity range")
    folded: float = _figure("", "voxels that fold", "voxels")
    inverse_consistency_mean: float = _figure("voxels", "inverse-consistency error, mean")
    inverse_consistency_max: float = _figure("voxels", "inverse-consistency error, largest")
    motion_mean: float = _figure("mm", "displacement, mean")
    motion_max: float = _figure("mm", "displacement, largest")
    inverse_consistency_high: float = _figure(
        "voxels", "inverse-consistency error, 99th percentile of the points that stay inside", default=0.0
    )
    inconsistent_at: tuple[int, ...] = _figure("", "voxel (i, j, k) of the largest such error", default=())


def frame_quality(results: Results) -> tuple[FrameQuality, ...]:
    """Quality of every frame of a motion."""
    import torch

    from .. import flow
    from ..consistency import inverse_consistency_error

    cine, motion, compensated = results.cine, results.motion, results.compensated
    in_spans = _in_spans(cine)
    reference = in_spans(cine.frames[motion.reference], motion.reference)
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
                    error_before=_rms(in_spans(cine.frames[t], t) - reference),
                    error_after=_rms(in_spans(compensated[t], t) - reference),
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


def _in_spans(cine: Cine) -> Callable[[np.ndarray, int], np.ndarray]:
    """What makes an image in the unit of frame t comparable: divided by the span of the cine's pixels, or from the
    lower to the upper end of its own frame's, where every frame has a unit of its own."""
    if cine.one_unit:
        kind = working_type(cine.frames)
        low, high = intensity_range(cine.frames)
        span = kind.type(high - low if high > low else 1.0)
        return lambda image, t: image.astype(kind) / span
    ranges = [intensity_range(frame) for frame in cine.frames]
    return lambda image, t: (image.astype(np.float64) - ranges[t][0]) / ((ranges[t][1] - ranges[t][0]) or 1.0)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _inside(apart: torch.Tensor, displacement: torch.Tensor) -> tuple[float, tuple[int, ...]]:
    """The 99th percentile of an error ``[*spatial]`` over the points that stay inside, and the voxel of the largest.

    Beyond the border no image tells where tissue is: what goes there cannot come back.
    """
    import torch

    from .. import flow

    shape = tuple(apart.shape)
    inside = flow.stays_inside(displacement[None])[0]
    if not inside.any():
        return 0.0, ()
    errors = apart[inside]
    rank = max(round(0.99 * errors.numel()), 1)
    flat = int(torch.where(inside, apart, -1.0).argmax())
    index = tuple(int(n) for n in np.unravel_index(flat, shape))[::-1]
    return float(errors.kthvalue(rank).values), index + (0,) * (3 - len(index))
