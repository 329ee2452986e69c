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


def _strain(*names: str) -> Callable[[Results], Series | None]:
    """The curves of ``Results.strain`` of these names."""

    def compute(results: Results) -> Series | None:
        from .strain_tables import banded, series_name

        strain = results.strain
        if strain is None:
            return None
        return {series_name(curve): banded(curve) for curve in strain.curves if curve.name in names}

    return compute


def _segments(results: Results) -> Series | None:
    """Circumferential, or of long axes longitudinal strain of the segments."""
    from .strain_tables import banded

    strain = results.strain
    if strain is None:
        return None
    direction = "circumferential" if strain.axes.view == "short-axis" else "longitudinal"
    names = strain.segmentation.names
    curves = strain.segment_curves.items()
    return {f"{number} {names[number]}": banded(curve) for (number, which), curve in curves if which == direction}


_EDGES = ("lower end of the 90 % interval", "upper end of the 90 % interval")
CURVES.add(
    "strain",
    Curve(
        title="strain",
        unit="%",
        compute=_strain("GCS", "GRS", "GLS", "left atrial strain", "RV free wall strain"),
        menu="Strain",
        columns="{key} percent",
        band=_EDGES,
    ),
)
CURVES.add(
    "segmentStrain",
    Curve(
        title="strain of segments",
        unit="%",
        compute=_segments,
        menu="Strain of segments",
        axis="strain",
        columns="segment {key} percent",
        figure=False,
        band=_EDGES,
    ),
)
CURVES.add(
    "wallThickness",
    Curve(
        title="wall thickness",
        unit="mm",
        compute=_strain("wall thickness"),
        menu="Wall thickness",
        columns="{key} {unit}",
        figure=False,
        band=_EDGES,
    ),
)
CURVES.add(
    "turn",
    Curve(
        title="rotation and twist",
        unit="degrees",
        compute=_strain("rotation", "twist"),
        menu="Rotation and twist",
        axis="counterclockwise from the apex",
        columns="{key} {unit}",
        figure=False,
        band=_EDGES,
    ),
)
