"""What a table of studies says of one: quality, doubtful frames, and what its labels and curves do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..results.curves import CURVES, column_name
from ..results.results import Results

CORE = ("frames", "error_before", "error_after", "folded", "motion_max_mm", "doubtful")
"""Figures that every study has: frames, mean difference to the reference before and after (fraction of the range),
worst folded fraction, largest motion, and how many frames are doubtful."""


def study_figures(results: Results) -> dict[str, float | int]:
    """The figures of a study by the names of their columns: ``CORE``, and those that it has.

    ``<label>_ejection_fraction_percent`` of a label in a stack, and ``<label>_area_change_percent`` of one in a slice,
    is (largest - smallest) / largest. Every other curve has its extremes, as ``<column>_min`` and ``<column>_max``.
    """
    motion = results.motion
    moving = [quality for t, quality in enumerate(motion.quality) if t != motion.reference]
    combine: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "error_before": ("error_before", np.mean),
        "error_after": ("error_after", np.mean),
        "folded": ("folded", max),
        "motion_max_mm": ("motion_max", max),
    }
    found: dict[str, float | int] = {"frames": len(motion)}
    for name, (figure, reduce) in combine.items():
        found[name] = float(reduce([getattr(quality, figure) for quality in moving]))
    found["doubtful"] = len(results.doubts())
    found["inverse_consistency_high_voxels"] = max(quality.inverse_consistency_high for quality in moving)
    if motion.covariance is not None:
        found["uncertainty_mean_mm"] = float(results.statistics["uncertainty", "mean"].max())
    change = "area_change" if motion.grid.ndim == 2 else "ejection_fraction"
    for name, series in results.curves.items():
        for key, values in series.items():
            middle = np.asarray(values, float).reshape(len(values), -1)[:, 0]
            column = column_name(name, key, motion.grid)
            found[f"{column}_min"], found[f"{column}_max"] = float(middle.min()), float(middle.max())
            if name == "sizes" and middle.max() > 0:
                title = "_".join(results.curve_title(CURVES[name], key).split())
                found[f"{title}_{change}_percent"] = 100.0 * float(1.0 - middle.min() / middle.max())
    return found
