"""Quality in plain words: which frames are good, and what is doubtful about the others."""

from __future__ import annotations

import json

import numpy as np
import slicer

from .i18n import _

_ROUND_TRIP_VOXELS = 0.5
_RESIDUAL_TO_MEDIAN = 1.5
_RESIDUAL_FRACTION = 0.02
DOUBTFUL_MM = 2.0  # where the colors of the uncertainty end


def columnOf(table: slicer.vtkMRMLTableNode, name: str) -> np.ndarray | None:
    """A column of numbers ``[T]``, or None where the table lacks it."""
    column = table.GetTable().GetColumnByName(name)
    if column is None:
        return None
    return np.array([column.GetTuple1(i) for i in range(column.GetNumberOfTuples())])


def doubts(table: slicer.vtkMRMLTableNode, limit: float = DOUBTFUL_MM) -> dict[int, list[str]]:
    """Frame -> what is doubtful about it, for the doubtful ones.

    Folding: anywhere. Round trip: more than half a voxel. Residual: more than it was without the motion, or one and a
    half times that of the middle frame, where it is more than 2 % of the intensity range. Uncertainty: its mean
    over the labels, or over what moves where there are none, is more than ``limit`` mm. Frames unlike those that the
    model was trained on are named, too.
    """
    before, after = columnOf(table, "error before"), columnOf(table, "error after")
    folded, trip = columnOf(table, "folded"), columnOf(table, "round trip max")
    if before is None or after is None or folded is None or trip is None:
        return {}
    moving = after[before > 0]
    usual = float(np.median(moving)) if moving.size else 0.0
    residual = (after > _RESIDUAL_FRACTION) & ((after > before) | (after > _RESIDUAL_TO_MEDIAN * usual))
    reasons = {
        _("the images still differ"): residual,
        _("the motion folds"): folded > 0,
        _("the way back misses the way there"): trip > _ROUND_TRIP_VOXELS,
    }
    uncertain = columnOf(table, "uncertainty mean")
    if uncertain is not None:
        reasons[_("the motion is uncertain")] = uncertain > limit
        provenance = json.loads(table.GetAttribute("TemporalRegistration.Provenance") or "{}")
        reasons[_("it is unlike the training data")] = np.isin(
            np.arange(len(uncertain)), provenance.get("unlike_training") or []
        )
    found: dict[int, list[str]] = {}
    for reason, frames in reasons.items():
        for frame in np.flatnonzero(frames):
            found.setdefault(int(frame), []).append(reason)
    return dict(sorted(found.items()))


def sentence(table: slicer.vtkMRMLTableNode, limit: float = DOUBTFUL_MM) -> str:
    """How many frames are good, and which are doubtful and why."""
    count, doubtful = table.GetTable().GetNumberOfRows(), doubts(table, limit)
    text = _("{good} of {count} frames good.").format(good=count - len(doubtful), count=count)
    if doubtful:
        parts = []
        for first, last, reasons in _runs(doubtful):
            part = _("frame {first} ({reasons})") if first == last else _("frames {first} to {last} ({reasons})")
            parts.append(part.format(first=first, last=last, reasons=", ".join(reasons)))
        text += " " + _("Doubtful: {frames}.").format(frames="; ".join(parts))
    return text


def _runs(doubtful: dict[int, list[str]]) -> list[tuple[int, int, list[str]]]:
    """First and last frame of every run of frames that are doubtful for the same reasons."""
    runs: list[tuple[int, int, list[str]]] = []
    for frame, reasons in doubtful.items():
        if runs and runs[-1][1] == frame - 1 and runs[-1][2] == reasons:
            runs[-1] = (runs[-1][0], frame, reasons)
        else:
            runs.append((frame, frame, reasons))
    return runs


def sizesText(table: slicer.vtkMRMLTableNode) -> str:
    """Largest and smallest size of every label, and the ejection fraction, one label a line."""
    lines = []
    for index in range(2, table.GetTable().GetNumberOfColumns()):
        name = table.GetTable().GetColumnName(index)
        sizes = columnOf(table, name)
        largest, smallest = float(sizes.max()), float(sizes.min())
        if largest <= 0:
            continue
        if table.GetColumnUnitLabel(name) == "ml":
            text = _("{name}: EDV {largest:.1f} ml, ESV {smallest:.1f} ml, EF {change:.0f} %")
        else:
            text = _(
                "{name}: 2D area {largest:.0f} to {smallest:.0f} mm\N{SUPERSCRIPT TWO}, area change {change:.0f} %"
            )
        change = 100 * (largest - smallest) / largest
        lines.append(text.format(name=name, largest=largest, smallest=smallest, change=change))
    return "\n".join(lines)
