"""Figures of every frame as table nodes, one row a frame; and columns of tables as arrays."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import numpy as np
import slicer
import vtk

from DeepRegLogic.cine import Motion
from DeepRegLogic.results.curves import CURVES
from DeepRegLogic.results.quality import FrameQuality
from DeepRegLogic.results.results import Results

from ..i18n import _
from .names import nodeName, short

PROVENANCE = "TemporalRegistration.Provenance"


def columnOf(table: slicer.vtkMRMLTableNode, name: str) -> np.ndarray | None:
    """A column of numbers ``[T]``, or None where the table lacks it."""
    column = table.GetTable().GetColumnByName(name)
    if not isinstance(column, vtk.vtkDataArray):
        return None
    return np.array([column.GetTuple1(i) for i in range(column.GetNumberOfTuples())])


def qualityTable(results: Results, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with the quality of every frame and the figures of every map."""
    motion = results.motion
    node = slicer.vtkMRMLTableNode()
    node.SetName(nodeName(_("{name} motion quality").format(name=short(sequenceNode.GetName()))))
    node.SetAttribute(PROVENANCE, json.dumps(dict(motion.provenance)))
    columns = _frameColumns(sequenceNode)
    for field in dataclasses.fields(FrameQuality) if motion.quality else ():
        values = [getattr(quality, field.name) for quality in motion.quality]
        fraction = field.metadata["fraction_of"]
        unit = field.metadata["unit"] or (f"fraction of {fraction}" if fraction else "")
        column = field.name.replace("_", " ")
        columns.append((_column(column, values), unit))
        node.SetColumnDescription(column, _(field.metadata["title"]))
    for (name, statistic), values in results.statistics.items():
        columns.append((_column(f"{name} {statistic}", values), results.maps[name].unit))
    return _withColumns(node, columns)


# a figure of every frame as the panel shows it: column, header with its unit, what it is multiplied by, format
_SHOWN = (
    ("error before", "before %", 100.0, ".1f"),
    ("error after", "after %", 100.0, ".1f"),
    ("motion max", "moves mm", 1.0, ".1f"),
    ("folded", "folds %", 100.0, ".2g"),
    ("uncertainty mean", "\N{PLUS-MINUS SIGN} mm", 1.0, ".1f"),
)
_SHOWN_TAG = "TemporalRegistration.Quality"


def shownTable(table: slicer.vtkMRMLTableNode | None) -> slicer.vtkMRMLTableNode | None:
    """The figures of a table of quality that tell most, with short headers, units and few digits; texts.

    There is one such node in a scene; it is not listed and not saved.
    """
    old = slicer.mrmlScene.GetSingletonNode(_SHOWN_TAG, "vtkMRMLTableNode")
    if old is not None:
        slicer.mrmlScene.RemoveNode(old)
    if table is None:
        return None
    node = slicer.vtkMRMLTableNode()
    node.SetName(_("Quality"))
    node.SetSingletonTag(_SHOWN_TAG)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    data = table.GetTable()
    node.AddColumn(_texts("#", [f"{n}" for n in range(data.GetNumberOfRows())]))
    index, unit = data.GetColumnName(1), table.GetColumnUnitLabel(data.GetColumnName(1))
    values = columnOf(table, index)
    if values is not None and unit:
        node.AddColumn(_texts(f"{index} {unit}", [f"{value:.{2 if unit == 's' else 0}f}" for value in values]))
    for column, header, factor, digits in _SHOWN:
        values = columnOf(table, column)
        if values is not None:
            node.AddColumn(_texts(_(header), [format(factor * value, digits) for value in values]))
            node.SetColumnDescription(_(header), table.GetColumnDescription(column) or column)
    return slicer.mrmlScene.AddNode(node)


def _texts(name: str, values: Iterable[str]) -> vtk.vtkStringArray:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def pairTable(motion: Motion, name: str) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with the quality of a registered pair: a row a figure."""
    node = slicer.vtkMRMLTableNode()
    node.SetName(nodeName(name))
    node.SetAttribute(PROVENANCE, json.dumps(dict(motion.provenance)))
    rows = []
    for field in dataclasses.fields(FrameQuality) if motion.quality else ():
        value, fraction = getattr(motion.quality[1], field.name), field.metadata["fraction_of"]
        unit = field.metadata["unit"] or (f"fraction of {fraction}" if fraction else "")
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else f"{value:.6g}"
        rows.append((_(field.metadata["title"]), shown, unit))
    for number, column in enumerate(("figure", "value", "unit")):
        node.AddColumn(_texts(column, [row[number] for row in rows]))
    return node


def curveTable(name: str, results: Results, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with the series of a curve of ``CURVES``; those with a band have three columns."""
    entry, grid = CURVES[name], results.motion.grid
    node = slicer.vtkMRMLTableNode()
    title = _("{name} {curve} over time")
    node.SetName(nodeName(title.format(name=short(sequenceNode.GetName()), curve=_(entry.title_of(grid)))))
    columns = _frameColumns(sequenceNode)
    for key, series in results.curves[name].items():
        title, values = results.curve_title(entry, key), np.reshape(series, (len(series), -1))
        names = [title] if values.shape[1] == 1 else [f"{title} {what}" for what in ("mean", *entry.band)]
        for column, data in zip(names, values.T, strict=True):
            columns.append((_column(column, data), entry.unit_of(grid)))
    return _withColumns(node, columns)


def _column(name: str, values: Iterable) -> vtk.vtkAbstractArray:
    """Numbers, or texts of what are several numbers."""
    values = list(values)
    if values and isinstance(values[0], (tuple, list)):
        return _texts(name, (" ".join(str(n) for n in value) for value in values))
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(float(value))
    return column


def _frameColumns(sequenceNode: slicer.vtkMRMLSequenceNode) -> list[tuple[vtk.vtkAbstractArray, str]]:
    """The columns that every table of a sequence starts with: frame number and index value, with their units."""
    count = sequenceNode.GetNumberOfDataNodes()
    frames = vtk.vtkIntArray()
    frames.SetName("frame")
    values = [sequenceNode.GetNthIndexValue(number) for number in range(count)]
    for number in range(count):
        frames.InsertNextValue(number)
    name, unit = sequenceNode.GetIndexName() or "index", sequenceNode.GetIndexUnit() or ""
    if sequenceNode.GetIndexType() == sequenceNode.NumericIndex:
        return [(frames, ""), (_column(name, map(float, values)), unit)]
    return [(frames, ""), (_texts(name, values), unit)]


def _withColumns(
    node: slicer.vtkMRMLTableNode, columns: Iterable[tuple[vtk.vtkAbstractArray, str]]
) -> slicer.vtkMRMLTableNode:
    for values, unit in columns:
        node.AddColumn(values)
        node.SetColumnUnitLabel(values.GetName(), unit)
    return node
