"""Strain as rows and as plain values: what files, tables and another process have of it. Needs numpy alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .strain_values import Strain, StrainCurve

Row = dict[str, object]

_SHORT = {"mean of the tensor": "", "change of wall thickness": " thickening"}


def series_name(curve: StrainCurve) -> str:
    """What a chart calls a curve: "GCS", "GCS endocardial line", "GRS thickening", "left atrial strain"."""
    name = curve.definition.removeprefix("length of the ")
    more = _SHORT.get(curve.definition, "" if name == "line" or curve.unit != "%" else f" {name}")
    return curve.name + more


def banded(curve: StrainCurve) -> np.ndarray:
    """``[T]``, or ``[T, 3]`` with the edges of the interval."""
    return curve.values if curve.interval is None else np.column_stack([curve.values, curve.interval])


def figure_rows(strain: Strain) -> list[Row]:
    """One mapping a number: curve, definition, what, value, unit, 90 % interval, frame, time since the reference."""
    return [
        {"curve": each.name, "definition": each.definition, "figure": each.what, "value": each.value,
         "unit": each.unit, **_edges(each.interval), "frame": _text(each.frame), "time": _text(each.time)}
        for each in strain.figures
    ]  # fmt: skip


def segment_rows(strain: Strain) -> list[Row]:
    """One mapping a segment and direction, strain in percent, times since the reference."""
    clock = strain.time_unit or "frames"
    return [
        {"segment": each.number, "name": each.name, "direction": each.direction,
         "end_systolic_percent": each.end_systolic, **_edges(each.interval), "peak_percent": each.peak,
         "peak_frame": each.peak_frame, f"time_to_peak_{clock}": each.peak_time, "too_uncertain": each.uncertain}
        for each in strain.segments
    ]  # fmt: skip


def _edges(interval: tuple[float, float] | None) -> Row:
    low, high = interval or ("", "")
    return {"low_90": low, "high_90": high}


def _text(value: object) -> object:
    return "" if value is None else value


def strain_content(strain: Strain) -> dict[str, Any]:
    """Strain as JSON-able values, without its curves, which are among ``curves.CURVES``."""
    return {
        "view": strain.axes.view,
        "directions": list(strain.axes.directions),
        "levels": list(strain.segmentation.levels),
        "end_diastole_frame": strain.diastole,
        "end_systole_frame": strain.systole,
        "time_unit": strain.time_unit or "frame number",
        "correlation_mm": strain.settings.correlation,
        "figures": [asdict(each) for each in strain.figures],
        "segments": [asdict(each) for each in strain.segments],
        "notes": list(strain.notes),
        "settings": asdict(strain.settings),
    }
