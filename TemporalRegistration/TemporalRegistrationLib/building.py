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
from .ellipses import ellipseNode
from .i18n import _
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
            _("{name} motion-compensated"),
            lambda t, title: volumeNodeFromArray(derived.compensated[t], grid, title),
        ),
        "difference": (
            _("{name} difference"),
            lambda t, title: volumeNodeFromArray(derived.compensated[t] - reference, grid, title),
        ),
        "propagated": (
            _("{name} propagated reference"),
            lambda t, title: volumeNodeFromArray(derived.propagated[t], grid, title),
        ),
        "toReference": (
            _("{name} motion to reference"),
            lambda t, title: transformNodeFromField(motion.displacement[t], grid, title),
        ),
        "toFrame": (_("{name} motion"), lambda t, title: transformNodeFromField(motion.inverse[t], grid, title)),
        "jacobian": (_("{name} Jacobian"), lambda t, title: volumeNodeFromArray(derived.jacobian[t], grid, title)),
    }
    if derived.uncertainty is not None:
        makers["uncertainty"] = (
            _("{name} uncertainty"),
            lambda t, title: volumeNodeFromArray(derived.uncertainty[t], grid, title),
        )
        makers["entropy"] = (
            _("{name} entropy"),
            lambda t, title: volumeNodeFromArray(derived.entropy[t], grid, title),
        )
        if drawn.markups:
            makers["ellipses"] = (
                _("{name} error ellipses"),
                lambda t, title: ellipseNode(derived.points[t], derived.point_covariances[t], grid.ndim, title),
            )
    if drawn.segments:
        makers["labels"] = (
            _("{name} propagated labels"),
            lambda t, title: drawn.labelNode(derived.masks[:, t], title),
        )
    for number, markups in enumerate(drawn.markups):
        makers[f"points{number}"] = (
            _("{{name}} followed {markups}").format(markups=markups.GetName()),
            lambda t, title, number=number: drawn.markupsNode(number, derived.points[t], title),
        )
    built = {}
    for number, (role, (pattern, make)) in enumerate(makers.items()):
        title = pattern.format(name=name)
        built[role] = result = _emptyLike(sequenceNode, title)
        for t in range(len(motion)):
            yield (number + t / len(motion)) / len(makers), _("Building {title}").format(title=title)
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
    title = _("{name} area of labels") if flat else _("{name} volume of labels")
    node.SetName(title.format(name=sequenceNode.GetName()))
    columns = _frameColumns(sequenceNode)
    for segment, sizes in zip(drawn.segments, derived.sizes, strict=True):
        columns.append((_column(segment.name, sizes), unit))
    return _withColumns(node, columns)


def uncertaintyTable(
    derived: Derived, drawn: Drawn, sequenceNode: slicer.vtkMRMLSequenceNode
) -> slicer.vtkMRMLTableNode | None:
    """A table, not yet in the scene, with the uncertainty over every label in every frame; None where there is none."""
    if not drawn.segments or derived.mask_uncertainty is None:
        return None
    node = slicer.vtkMRMLTableNode()
    node.SetName(_("{name} uncertainty of labels").format(name=sequenceNode.GetName()))
    columns = _frameColumns(sequenceNode)
    for segment, spread in zip(drawn.segments, derived.mask_uncertainty, strict=True):
        for what, values in zip(("mean", "5th percentile", "95th percentile"), spread.T, strict=True):
            columns.append((_column(f"{segment.name} {what}", values), "mm"))
    return _withColumns(node, columns)


def qualityTable(motion: Motion, derived: Derived, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with one row a frame."""
    node = slicer.vtkMRMLTableNode()
    node.SetName(_("{name} motion quality").format(name=sequenceNode.GetName()))
    node.SetAttribute("TemporalRegistration.Provenance", json.dumps(dict(motion.provenance)))
    columns = _frameColumns(sequenceNode)
    for field in dataclasses.fields(FrameQuality) if motion.quality else ():
        values = [float(getattr(quality, field.name)) for quality in motion.quality]
        columns.append((_column(field.name.replace("_", " "), values), _QUALITY_UNITS.get(field.name, "")))
    if derived.uncertainty is not None:
        columns.append((_column("uncertainty mean", derived.mean_uncertainty), "mm"))
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
