"""What makes a frame doubtful: one set of rules, for the report and for the application. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

DOUBTFUL_MM = 2.0  # where the colours of the uncertainty end
_INCONSISTENT_VOXELS = 0.5
_RESIDUAL_FRACTION, _RESIDUAL_TO_MEDIAN = 0.02, 1.5

REASONS = {
    "residual": "the images still differ",
    "folding": "the motion folds",
    "inconsistent": "forward and inverse motion are not consistent",
    "uncertain": "the motion is uncertain",
    "unlike": "it differs from the training images",
}
"""Why a frame is doubtful, in words."""


def find_doubts(
    columns: Mapping[str, np.ndarray], unlike: Sequence[int] = (), limit: float = DOUBTFUL_MM
) -> dict[int, tuple[str, ...]]:
    """Frame -> names of ``REASONS``, for the doubtful frames.

    Residual: the difference to the reference is more than it was without the motion, or one and a half times that of
    the middle frame, where it is more than 2 % of the intensity range. Folding: anywhere. Inconsistent: 1 % of the
    points that stay inside the image miss themselves by more than half a voxel after the motion and its inverse.
    Uncertain: the mean standard deviation over the labels, or over what moves where there are none, is more than
    ``limit`` mm. Unlike: frames that fit worse than any synthetic one does.

    Parameters
    ----------
    columns : figures of the frames ``[T]`` by the names of ``FrameQuality``'s fields, and "uncertainty_mean".
    unlike : the frames that a registration called unlike the training images.
    """
    needed = ("error_before", "error_after", "folded", "inverse_consistency_high")
    if any(name not in columns for name in needed):
        return {}
    before, after, folded, inconsistent = (np.asarray(columns[name]) for name in needed)
    moving = after[before > 0]
    usual = float(np.median(moving)) if moving.size else 0.0
    found = {
        "residual": (after > _RESIDUAL_FRACTION) & ((after > before) | (after > _RESIDUAL_TO_MEDIAN * usual)),
        "folding": folded > 0,
        "inconsistent": inconsistent > _INCONSISTENT_VOXELS,
    }
    if "uncertainty_mean" in columns:
        found["uncertain"] = np.asarray(columns["uncertainty_mean"]) > limit
    found["unlike"] = np.isin(np.arange(len(after)), list(unlike))
    doubtful = {
        frame: tuple(name for name, where in found.items() if where[frame])
        for frame in np.flatnonzero(np.any(list(found.values()), axis=0)).tolist()
    }
    return doubtful


def runs_of(doubtful: Mapping[int, tuple[str, ...]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """First and last frame of every run of frames that are doubtful for the same reasons."""
    runs: list[tuple[int, int, tuple[str, ...]]] = []
    for frame, reasons in doubtful.items():
        if runs and runs[-1][1] == frame - 1 and runs[-1][2] == reasons:
            runs[-1] = (runs[-1][0], frame, reasons)
        else:
            runs.append((frame, frame, reasons))
    return runs
