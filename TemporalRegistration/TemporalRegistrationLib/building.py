"""Builds the nodes of a result outside the scene."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import slicer
import vtk

from DeepRegLogic.cine import Cine, FrameQuality, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.progress import Reporter

from .results import isResultOf
from .segmentations import segmentationNodeFromMasks, segmentsOf
from .transforms import transformNodeFromField
from .volumes import gridOfVolume, pixelsOfVolume, volumeNodeFromArray

_QUALITY_UNITS = {
    "error_before": "fraction of intensity range",
    "error_after": "fraction of intensity range",
    "folded": "fraction of voxels",
    "round_trip_mean": "voxel",
    "round_trip_max": "voxel",
    "motion_mean": "mm",
    "motion_max": "mm",
}

Labels: TypeAlias = "slicer.vtkMRMLSegmentationNode | slicer.vtkMRMLLabelMapVolumeNode | np.ndarray"


def refuseTransform(node: slicer.vtkMRMLTransformableNode | None, inputNode: slicer.vtkMRMLNode) -> None:
    parent = node.GetParentTransformNode() if node is not None else None
    if parent is not None and not isResultOf(parent, inputNode):
        raise InputError(
            f"'{node.GetName()}' is under the transform '{parent.GetName()}'; harden the transform or take the node "
            "out of it, and register again."
        )


def fillSequence(
    sequenceNode: slicer.vtkMRMLSequenceNode, values: Iterable[str], nodes: Iterable[slicer.vtkMRMLNode]
) -> None:
    for value, node in zip(values, nodes, strict=True):
        sequenceNode.SetDataNodeAtValue(node, value)  # keeps a deep copy


def buildSequences(
    motion: Motion, cine: Cine, sequenceNode: slicer.vtkMRMLSequenceNode, labels: Labels | None, report: Reporter
) -> dict[str, slicer.vtkMRMLSequenceNode]:
    """The result sequences, by their name in ``MotionNodes``, not yet in the scene."""
    from DeepRegLogic.measure import jacobian
    from DeepRegLogic.transport import compensate, propagate

    grid, name = motion.grid, sequenceNode.GetName()
    makers = {
        "compensated": (
            f"{name} motion-compensated",
            lambda title: _volumes(compensate(motion, cine.frames), grid, title),
        ),
        "propagated": (
            f"{name} propagated reference",
            lambda title: _volumes(propagate(motion, cine.frames[motion.reference]), grid, title),
        ),
        "toReference": (f"{name} motion to reference", lambda title: _transforms(motion.displacement, grid, title)),
        "toFrame": (f"{name} motion", lambda title: _transforms(motion.inverse, grid, title)),
        "jacobian": (f"{name} Jacobian", lambda title: _volumes(jacobian(motion), grid, title)),
    }
    if labels is not None:
        makers["labels"] = (f"{name} propagated labels", lambda title: _labelNodes(motion, labels, title))
    built = {}
    for number, (role, (title, make)) in enumerate(makers.items()):
        report(number / len(makers), f"Building {title}")
        built[role] = _sequenceLike(sequenceNode, title, make(title), report)
    return built


def _sequenceLike(
    sequenceNode: slicer.vtkMRMLSequenceNode, name: str, nodes: Iterable[slicer.vtkMRMLNode], report: Reporter
) -> slicer.vtkMRMLSequenceNode:
    """A sequence, not yet in a scene, with the index of ``sequenceNode``."""
    result = slicer.vtkMRMLSequenceNode()
    result.SetName(name)
    result.SetIndexName(sequenceNode.GetIndexName())
    result.SetIndexUnit(sequenceNode.GetIndexUnit())
    result.SetIndexType(sequenceNode.GetIndexType())
    result.SetNumericIndexValueTolerance(sequenceNode.GetNumericIndexValueTolerance())

    def values():
        for index in range(sequenceNode.GetNumberOfDataNodes()):
            report.check()
            yield sequenceNode.GetNthIndexValue(index)

    fillSequence(result, values(), nodes)
    return result


def _volumes(frames: np.ndarray, grid: Grid, name: str) -> Iterable[slicer.vtkMRMLScalarVolumeNode]:
    return (volumeNodeFromArray(np.asarray(frame, dtype=np.float32), grid, name) for frame in frames)


def _transforms(fields: np.ndarray, grid: Grid, name: str) -> Iterable[slicer.vtkMRMLTransformNode]:
    return (transformNodeFromField(field, grid, name) for field in fields)


def _labelNodes(motion: Motion, labels: Labels, name: str) -> Iterable[slicer.vtkMRMLNode]:
    """The labels carried to every frame, as nodes of the kind they were given in."""
    from DeepRegLogic.transport import propagate

    grid = motion.grid
    if isinstance(labels, slicer.vtkMRMLSegmentationNode):
        refuseTransform(labels, labels)
        segments = segmentsOf(labels, grid)
        masks = [propagate(motion, segment.mask, nearest=True) for segment in segments]
        return (segmentationNodeFromMasks(segments, frame, grid, name) for frame in zip(*masks, strict=True))
    if isinstance(labels, slicer.vtkMRMLVolumeNode):
        refuseTransform(labels, labels)
        if not gridOfVolume(labels).matches(grid):
            raise InputError(f"The label map '{labels.GetName()}' does not lie on the frames; resample it onto them.")
        labels = pixelsOfVolume(labels, grid)
    frames = propagate(motion, np.asarray(labels), nearest=True)
    return (volumeNodeFromArray(frame, grid, name, "vtkMRMLLabelMapVolumeNode") for frame in frames)


def qualityTable(motion: Motion, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLTableNode:
    """A table, not yet in the scene, with one row a frame."""
    node = slicer.vtkMRMLTableNode()
    node.SetName(f"{sequenceNode.GetName()} motion quality")
    node.SetAttribute("TemporalRegistration.Provenance", json.dumps(dict(motion.provenance)))
    frames = vtk.vtkIntArray()
    frames.SetName("frame")
    index = vtk.vtkStringArray()
    index.SetName(sequenceNode.GetIndexName() or "index")
    for number in range(len(motion)):
        frames.InsertNextValue(number)
        index.InsertNextValue(sequenceNode.GetNthIndexValue(number))
    columns = [(frames, ""), (index, sequenceNode.GetIndexUnit() or "")]
    for field in dataclasses.fields(FrameQuality) if motion.quality else ():
        values = vtk.vtkDoubleArray()
        values.SetName(field.name.replace("_", " "))
        for quality in motion.quality:
            values.InsertNextValue(float(getattr(quality, field.name)))
        columns.append((values, _QUALITY_UNITS.get(field.name, "")))
    for values, unit in columns:
        node.AddColumn(values)
        node.SetColumnUnitLabel(values.GetName(), unit)
    return node
