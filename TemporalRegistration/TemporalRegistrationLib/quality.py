"""Quality in plain words: which frames are good, and what is doubtful about the others."""

from __future__ import annotations

import numpy as np
import slicer
from slicer.i18n import tr as _

_ROUND_TRIP_VOXELS = 0.5
_RESIDUAL_TO_MEDIAN = 1.5
_RESIDUAL_FRACTION = 0.02


def columnOf(table: slicer.vtkMRMLTableNode, name: str) -> np.ndarray | None:
    """A column of numbers ``[T]``, or None where the table lacks it."""
    column = table.GetTable().GetColumnByName(name)
    if column is None:
        return None
    return np.array([column.GetTuple1(i) for i in range(column.GetNumberOfTuples())])


def doubts(table: slicer.vtkMRMLTableNode) -> dict[int, list[str]]:
    """Frame -> what is doubtful about it, for the doubtful ones.

    Folding: anywhere. Round trip: more than half a voxel. Residual: more than it was without the motion, or one and a
    half times that of the middle frame, where it is more than 2 % of the intensity range.
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
    found: dict[int, list[str]] = {}
    for reason, frames in reasons.items():
        for frame in np.flatnonzero(frames):
            found.setdefault(int(frame), []).append(reason)
    return dict(sorted(found.items()))


def sentence(table: slicer.vtkMRMLTableNode) -> str:
    """How many frames are good, and which are doubtful and why."""
    count, doubtful = table.GetTable().GetNumberOfRows(), doubts(table)
    text = _("{good} of {count} frames good.").format(good=count - len(doubtful), count=count)
    if doubtful:
        frames = [
            _("frame {frame} ({reasons})").format(frame=frame, reasons=", ".join(reasons))
            for frame, reasons in doubtful.items()
        ]
        text += " " + _("Doubtful: {frames}.").format(frames="; ".join(frames))
    return text


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
