"""``CURVES``: everything that is drawn over time, one entry a chart.

Tables, figures, the worker and Slicer's charts go through this list: to add a curve is to add an entry.

    CURVES.add("speed", Curve("Speed", "mm/s", lambda results: {"largest": ...}))

Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..grid import Grid
from ..registry import Registry

if TYPE_CHECKING:
    from .results import Results

Series = Mapping[Any, np.ndarray]
"""Value of a label (int) or a name (str) -> ``[T]``, or ``[T, 3]``: a mean with the lower and upper edge of a band."""


@dataclass(frozen=True)
class Curve:
    """An entry of ``CURVES``.

    Attributes
    ----------
    title : of the chart, a text or a function of the grid.
    unit : of the values, a text or a function of the grid.
    compute : from results to ``Series``; empty or None where there is nothing to show.
    menu : what a list of charts calls it, its name where it is "".
    axis : what the values are, for the axis of a chart; the title where it is "".
    columns : pattern of the column names in ``frames.csv``, with ``{name}``, ``{key}`` and ``{unit}``.
    figure : whether the picture of curves in a report has it.
    band : what the edges of a band are called.
    """

    title: str | Callable[[Grid], str]
    unit: str | Callable[[Grid], str]
    compute: Callable[[Results], Series | None]
    menu: str = ""
    axis: str = ""
    columns: str = "{name}_{key}_{unit}"
    figure: bool = True
    band: tuple[str, str] = ("5th percentile", "95th percentile")

    def title_of(self, grid: Grid) -> str:
        return self.title(grid) if callable(self.title) else self.title

    def unit_of(self, grid: Grid) -> str:
        return self.unit(grid) if callable(self.unit) else self.unit


CURVES: Registry[Curve] = Registry("curve")


def column_name(name: str, key: int | str, grid: Grid) -> str:
    """The column of a series in ``frames.csv``."""
    entry = CURVES[name]
    return entry.columns.format(name=name, key=key, unit=entry.unit_of(grid)).rstrip("_")


def _label_uncertainty(results: Results) -> Series | None:
    """Mean, 5th and 95th percentile of the uncertainty over every label; zeros for empty ones."""
    if results.labels is None or results.motion.covariance is None:
        return None
    found: dict[int, np.ndarray] = {v: np.zeros((len(results.motion), 3)) for v in results.labels.values}
    for value, mask in results.labels.drawn().items():
        inside = results.map("uncertainty")[:, mask]
        found[value] = np.stack([inside.mean(axis=1), *np.percentile(inside, (5, 95), axis=1)], axis=1)
    return found


CURVES.add(
    "sizes",
    Curve(
        title=lambda grid: "2D area" if grid.ndim == 2 else "volume",
        unit=lambda grid: "mm2" if grid.ndim == 2 else "ml",
        compute=lambda results: results.sizes,
        menu="Size of labels",
        columns="label_{key}_{unit}",
    ),
)
CURVES.add(
    "labelUncertainty",
    Curve(
        title="uncertainty",
        unit="mm",
        compute=_label_uncertainty,
        menu="Uncertainty of labels",
        axis="standard deviation",
        columns="label_{key}_deviation_{unit}",
        figure=False,
    ),
)
