"""The picture of an evaluation: how every figure spreads over the cases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..evaluation.evaluate import Evaluation
from ..evaluation.figures import FIGURES
from .style import BLUE, GUIDE, INK, ORANGE, new_figure

_ACROSS = 4
_SHOWN = (
    "dice", "dice_carried", "hd95", "assd", "tre", "epe", "rmse", "ncc", "nmi", "ssim", "fsim", "folded", "sd_log_j",
    "inverse_consistency",
)  # fmt: skip


def summary_figure(found: Sequence[Evaluation]) -> Figure:
    """One plot a figure that is known: boxes and points over the cases, beside those before registration."""
    cases = [evaluation.case for evaluation in found]
    names = [name for name in _SHOWN if any(np.isfinite(float(case.get(name, np.nan))) for case in cases)]
    rows = math.ceil(len(names) / _ACROSS)
    figure = new_figure(2.6 * _ACROSS, 2.4 * rows)
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, _ACROSS, number)
        parts = {"before": f"{name}_before", "after": name}
        columns = {
            label: [float(c[key]) for c in cases if np.isfinite(float(c.get(key, np.nan)))]
            for label, key in parts.items()
        }
        columns = {label: values for label, values in columns.items() if values}
        boxes = axes.boxplot(list(columns.values()), widths=0.5, showfliers=False)
        for line in (*boxes["boxes"], *boxes["whiskers"], *boxes["caps"]):
            line.set_color(GUIDE)
        for place, (label, values) in enumerate(columns.items(), start=1):
            spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else [0.0]
            colour = BLUE if label == "after" else ORANGE
            axes.plot(place + np.asarray(spread), values, "o", color=colour, markersize=3)
        axes.set_xticks(range(1, len(columns) + 1), list(columns) if len(columns) > 1 else [""])
        entry = FIGURES[name]
        axes.set_title(name.replace("_", " ") + (f" ({entry.unit})" if entry.unit else ""), fontsize=9, color=INK)
        axes.tick_params(labelsize=7)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure
