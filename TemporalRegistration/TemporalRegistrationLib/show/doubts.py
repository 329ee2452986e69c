"""Quality in plain words: which frames are good, and what is doubtful about the others."""

from __future__ import annotations

import json
from dataclasses import fields

import slicer

from DeepRegLogic.results.doubts import DOUBTFUL_MM, REASONS, find_doubts, runs_of
from DeepRegLogic.results.quality import FrameQuality
from DeepRegLogic.results.results import unlike_frames

from ..i18n import _
from ..nodes.tables import PROVENANCE, columnOf


def doubts(table: slicer.vtkMRMLTableNode, limit: float = DOUBTFUL_MM) -> dict[int, list[str]]:
    """Frame -> what is doubtful about it in words, for the doubtful ones: by the rules of ``find_doubts``."""
    names = (*(field.name for field in fields(FrameQuality)), "uncertainty_mean")
    columns = {name: columnOf(table, name.replace("_", " ")) for name in names}
    provenance = json.loads(table.GetAttribute(PROVENANCE) or "{}")
    known = {name: values for name, values in columns.items() if values is not None}
    found = find_doubts(known, unlike_frames(provenance), limit)
    return {frame: [_(REASONS[reason]) for reason in reasons] for frame, reasons in found.items()}


def sentence(table: slicer.vtkMRMLTableNode, limit: float = DOUBTFUL_MM) -> str:
    """How many frames are good, and which are doubtful and why."""
    count, doubtful = table.GetTable().GetNumberOfRows(), doubts(table, limit)
    text = _("{good} of {count} frames good.").format(good=count - len(doubtful), count=count)
    if doubtful:
        parts = []
        for first, last, reasons in runs_of(doubtful):
            part = _("frame {first} ({reasons})") if first == last else _("frames {first} to {last} ({reasons})")
            parts.append(part.format(first=first, last=last, reasons=", ".join(reasons)))
        text += " " + _("Doubtful: {frames}.").format(frames="; ".join(parts))
    return text


def sizesText(table: slicer.vtkMRMLTableNode) -> str:
    """Largest and smallest size of every label and when it is so, and the ejection fraction, one label a line."""
    lines, index = [], table.GetTable().GetColumnName(1)
    times, unit = columnOf(table, index), table.GetColumnUnitLabel(index)

    def when(frame: int) -> str:
        if times is None or not unit:
            return _("frame {frame}").format(frame=frame)
        return f"{times[frame]:.{2 if unit == 's' else 0}f} {unit}"

    for number in range(2, table.GetTable().GetNumberOfColumns()):
        name = table.GetTable().GetColumnName(number)
        sizes = columnOf(table, name)
        first, last = int(sizes.argmax()), int(sizes.argmin())
        largest, smallest = float(sizes[first]), float(sizes[last])
        if largest <= 0:
            continue
        if table.GetColumnUnitLabel(name) == "ml":
            text = _("{name}: EDV {largest:.1f} ml ({first}), ESV {smallest:.1f} ml ({last}), EF {change}")
        else:
            text = _("{name}: area {largest:.0f} mm\N{SUPERSCRIPT TWO} ({first}) to {smallest:.0f} ({last}), {change}")
        change = f"{100 * (largest - smallest) / largest:.0f}\N{NO-BREAK SPACE}%"
        values = {"name": name, "largest": largest, "smallest": smallest, "change": change}
        lines.append(text.format(**values, first=when(first), last=when(last)))
    return "\n".join(lines)
