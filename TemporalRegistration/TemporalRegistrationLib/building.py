"""Builds the nodes of a result outside the scene."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable

import numpy as np
import slicer
import vtk

from DeepRegLogic.cine import FrameQuality, Motion
from DeepRegLogic.derive import Derived

from .drawn import Drawn
from .steps import Steps
from .transforms import transformNodeFromField
from .volumes import volumeNodeFromArray

_QUALITY_UNITS = {
    "error_before": "fraction of intensity range",
    "error_after": "fraction of intensity range",
    "folded": "fraction of voxels",
    "round_trip_mean": "voxel",
    "round_trip_max": "voxel",
    "motion_mean": "mm",
    "motion_max": "mm",
}


def buildSequences(
    motion: Motion, derived: Derived, sequenceNode: slicer.vtkMRMLSequenceNode, drawn: Drawn
) -> Steps[dict[str, slicer.vtkMRMLSequenceNode]]:
    """The result sequences, by their name in ``MotionNodes``, not yet in the scene; one node a step."""
    grid, name = motion.grid, sequenceNode.GetName()
    # the reference frame itself: its field is zero
    reference = np.array(derived.compensated[motion.reference])
    makers: dict[str, tuple[str, Callable[[int, str], slicer.vtkMRMLNode]]] = {
        "compensated": (
            f"{name} motion-compensated",
            lambda t, title: volumeNodeFromArray(derived.compensated[t], grid, title),
        ),
        "difference": (
            f"{name} difference",
            lambda t, title: volumeNodeFromArray(derived.compensated[t] - reference, grid, title),
        ),
        "propagated": (
            f"{name} propagated reference",
            lambda t, title: volumeNodeFromArray(derived.propagated[t], grid, title),
        ),
        "toReference": (
            f"{name} motion to reference",
            lambda t, title: transformNodeFromField(motion.displacement[t], grid, title),
        ),
        "toFrame": (f"{name} motion", lambda t, title: transformNodeFromField(motion.inverse[t], grid, title)),
        "jacobian": (f"{name} Jacobian", lambda t, title: volumeNodeFromArray(derived.jacobian[t], grid, title)),
    }
    if derived.uncertainty is not None:
        makers["uncertainty"] = (
            f"{name} uncertainty",
            lambda t, title: volumeNodeFromArray(derived.uncertainty[t], grid, title),
        )
    if drawn.segments:
        makers["labels"] = (
            f"{name} propagated labels",
            lambda t, title: drawn.labelNode(derived.masks[:, t], title),
        )
    for number, markups in enumerate(drawn.markups):
        makers[f"points{number}"] = (
            f"{name} followed {markups.GetName()}",
            lambda t, title, number=number: drawn.markupsNode(number, derived.points[t], title),
        )
    built = {}
    for number, (role, (title, make)) in enumerate(makers.items()):
        built[role] = result = _emptyLike(sequenceNode, title)
        for t in range(len(motion)):
            yield (number + t / len(motion)) / len(makers), f"Building {title}"
            result.SetDataNodeAtValue(make(t, title), sequenceNode.GetNthIndexValue(t))  # keeps a deep copy
    return built


def _emptyLike(sequenceNode: slicer.vtkMRMLSequenceNode, name: str) -> slicer.vtkMRMLSequenceNode:
    """An empty sequence, not yet in a scene, with the kind of index of ``sequenceNode``."""
    result = slicer.vtkMRMLSequenceNode()
    result.SetName(name)
    result.SetIndexName(sequenceNode.GetIndexName())
    result.SetIndexUnit(sequenceNode.GetIndexUnit())
    result.SetIndexType(sequenceNode.GetIndexType())
    result.SetNumericIndexValueTolerance(sequenceNode.GetNumericIndexValueTolerance())
    return result


def sizesTable(
    derived: Derived, drawn: Drawn, sequenceNode: slicer.vtkMRMLSequenceNode
) -> slicer.vtkMRMLTableNode | None:
    """A table, not yet in the scene, with the size of every label in every frame; None without labels."""
    if not drawn.segments:
        return None
    flat = drawn.grid.ndim == 2
    unit = "mm2" if flat else "ml"
    node = slicer.vtkMRMLTableNode()
    node.SetName(f"{sequenceNode.GetName()} {'area' if flat else 'volume'} of labels")
    columns = _frameColumns(sequenceNode)
    for segment, sizes in zip(drawn.segments, derived.sizes, strict=True):
        columns.append((_column(segment.name, sizes), unit))
    return _withColumns(node, columns)


def qualityTable(motion: Motion, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with one row a frame."""
    node = slicer.vtkMRMLTableNode()
    node.SetName(f"{sequenceNode.GetName()} motion quality")
    node.SetAttribute("TemporalRegistration.Provenance", json.dumps(dict(motion.provenance)))
    columns = _frameColumns(sequenceNode)
    for field in dataclasses.fields(FrameQuality) if motion.quality else ():
        values = [float(getattr(quality, field.name)) for quality in motion.quality]
        columns.append((_column(field.name.replace("_", " "), values), _QUALITY_UNITS.get(field.name, "")))
    return _withColumns(node, columns)


def _column(name: str, values: Iterable[float]) -> vtk.vtkDoubleArray:
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
    index = vtk.vtkStringArray()
    index.SetName(name)
    for value in values:
        index.InsertNextValue(value)
    return [(frames, ""), (index, unit)]


def _withColumns(
    node: slicer.vtkMRMLTableNode, columns: Iterable[tuple[vtk.vtkAbstractArray, str]]
) -> slicer.vtkMRMLTableNode:
    for values, unit in columns:
        node.AddColumn(values)
        node.SetColumnUnitLabel(values.GetName(), unit)
    return node
