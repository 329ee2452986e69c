"""The picture of a cohort: how every figure spreads over the studies, and who stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from .style import BLUE, GUIDE, INK, RED, new_figure

_ACROSS, _MOST, _NAMED = 3, 24, 3
_WIDTH, _HEIGHT = 3.4, 2.0  # inches of a plot


class Spread(Protocol):
    """A figure over the studies: its column, their names, values, and whether each stands out."""

    @property
    def name(self) -> str: ...
    @property
    def studies(self) -> Sequence[str]: ...
    @property
    def values(self) -> np.ndarray: ...
    @property
    def far(self) -> np.ndarray: ...


def spread_figure(spreads: Sequence[Spread]) -> Figure:
    """One plot a figure: a point a study over a box from quartile to quartile, with the median.

    Those that stand out are red, the farthest by name. Figures that are the same in all studies are not drawn.
    """
    known_of = [spread.values[np.isfinite(spread.values)] for spread in spreads]
    shown = [s for s, known in zip(spreads, known_of, strict=True) if known.size and known.min() < known.max()][:_MOST]
    rows = math.ceil(len(shown) / _ACROSS)
    figure = new_figure(_WIDTH * _ACROSS, _HEIGHT * max(rows, 1))
    figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.08)
    for number, spread in enumerate(shown, start=1):
        axes = figure.add_subplot(rows, _ACROSS, number)
        known = np.isfinite(spread.values)
        values, far = spread.values[known], spread.far[known]
        names = np.array(spread.studies)[known]
        low, middle, high = np.percentile(values, (25, 50, 75))
        axes.barh(1.0, high - low, 0.9, low, facecolor="none", edgecolor=GUIDE)
        axes.plot([middle, middle], [0.55, 1.45], color=GUIDE, linewidth=2)
        place = 1 + 0.3 * np.sin(2.4 * np.arange(len(values)))  # the golden angle: neighbours lie apart
        axes.plot(values[~far], place[~far], "o", color=BLUE, markersize=3, alpha=0.6)
        axes.plot(values[far], place[far], "o", color=RED, markersize=4)
        farthest = np.argsort(-np.abs(values - np.median(values)))
        for n in [n for n in farthest.tolist() if far[n]][:_NAMED]:
            side = "right" if values[n] > np.mean(axes.get_xlim()) else "left"
            text: dict[str, Any] = {"fontsize": 6, "color": RED, "ha": side, "textcoords": "offset points"}
            axes.annotate(names[n][:28], (values[n], place[n]), (0, 5), **text)
        axes.set_title(spread.name.replace("_", " "), fontsize=8, color=INK)
        axes.set_yticks([])
        axes.set_ylim(0.4, 1.6)
        axes.tick_params(labelsize=7)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    return figure
