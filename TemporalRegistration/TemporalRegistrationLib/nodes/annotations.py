"""What a user drew on the reference frame, as arrays that can be carried along, and as nodes again in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid, flip_lps_ras
from DeepRegLogic.results.labels import Labels

from ..i18n import _
from .names import nodeName
from .segmentations import Segment, segmentationNodeFromMasks, segmentsOf
from .transaction import isResultOf
from .volumes import gridOfVolume, pixelsOfVolume, volumeNodeFromArray

DrawnLabels: TypeAlias = "slicer.vtkMRMLSegmentationNode | slicer.vtkMRMLLabelMapVolumeNode | np.ndarray | Labels"


def refuseTransform(node: slicer.vtkMRMLTransformableNode | None, inputNode: slicer.vtkMRMLNode) -> None:
    """Raise InputError where a node is shown elsewhere than it is stored."""
    parent = node.GetParentTransformNode() if node is not None else None
    if parent is not None and not isResultOf(parent, inputNode):
        reason = _(
            "'{name}' is under the transform '{transform}'; harden the transform or take the node out of it, and "
            "register again."
        )
        raise InputError(reason.format(name=node.GetName(), transform=parent.GetName()))


@dataclass(frozen=True)
class Drawn:
    """Labels and points of the reference frame.

    Attributes
    ----------
    grid : of the reference frame; the masks lie on it.
    segments : the labels, one by one.
    isSegmentation : whether they came from a segmentation; otherwise they are values of a label map.
    markups : copies of the Markups nodes, in no scene.
    """

    grid: Grid
    segments: tuple[Segment, ...] = ()
    isSegmentation: bool = False
    markups: tuple[slicer.vtkMRMLMarkupsNode, ...] = ()

    @cached_property
    def labels(self) -> Labels | None:
        """The segments for the numerics, with the values 1 to M; None where there are none."""
        if not self.segments:
            return None
        return Labels.of_masks(np.stack([s.mask for s in self.segments]), tuple(s.name for s in self.segments))

    @cached_property
    def points(self) -> np.ndarray | None:
        """``[P, 3]`` LPS mm: the control points of all Markups nodes, or None where there are none."""
        return np.concatenate([_controlPoints(node) for node in self.markups]) if self.markups else None

    def labelNode(self, masks: np.ndarray, name: str) -> slicer.vtkMRMLNode:
        """A node, not yet in a scene, of the kind the labels came in, with masks ``[M, *grid.shape]``."""
        if self.isSegmentation:
            return segmentationNodeFromMasks(self.segments, list(masks), self.grid, name)
        labels = np.zeros(self.grid.shape, np.int32)
        for segment, mask in zip(self.segments, masks, strict=True):
            labels[mask > 0] = int(segment.segmentID)
        small = labels.astype(np.uint8) if labels.min() >= 0 and labels.max() < 256 else labels
        return volumeNodeFromArray(small, self.grid, name, "vtkMRMLLabelMapVolumeNode")

    def markupsNode(self, number: int, points: np.ndarray, name: str) -> slicer.vtkMRMLMarkupsNode:
        """A copy, in no scene, of one of the Markups nodes with its control points out of all ``points`` [P, 3]."""
        counts = [len(_defined(node)) for node in self.markups]
        first = sum(counts[:number])
        node = _copyOf(self.markups[number])
        node.SetName(nodeName(name))
        places = flip_lps_ras(points[first : first + counts[number]])
        for index, position in zip(_defined(node), places, strict=True):
            node.SetNthControlPointPosition(index, *position)
        return node


def drawnOn(grid: Grid, labels: DrawnLabels | None = None, markups: Sequence[slicer.vtkMRMLMarkupsNode] = ()) -> Drawn:
    """The labels (a segmentation, label map, integer array ``[*grid.shape]`` or ``Labels``) and points on ``grid``.

    Raises
    ------
    InputError : labels that do not lie on the grid, or are empty; a node under a transform.
    """
    copies = []
    for node in markups:
        refuseTransform(node, node)
        if _defined(node):
            copies.append(_copyOf(node))
    if labels is None:
        return Drawn(grid, markups=tuple(copies))
    if isinstance(labels, Labels):
        return Drawn(grid, _segmentsOfLabels(labels), False, tuple(copies))
    if isinstance(labels, slicer.vtkMRMLSegmentationNode):
        refuseTransform(labels, labels)
        return Drawn(grid, segmentsOf(labels, grid), True, tuple(copies))
    if isinstance(labels, slicer.vtkMRMLVolumeNode):
        refuseTransform(labels, labels)
        if not gridOfVolume(labels).matches(grid):
            reason = _("The label map '{name}' does not lie on the frames; resample it onto them.")
            raise InputError(reason.format(name=labels.GetName()))
        labels = pixelsOfVolume(labels, grid)
    labels = np.asarray(labels)
    if labels.shape != grid.shape:
        reason = _(
            "The image or label map has shape {shape}, but the reference frame has {wanted}; draw it on the reference "
            "frame, or resample it to that frame's geometry."
        )
        raise InputError(reason.format(shape=labels.shape, wanted=grid.shape))
    return Drawn(grid, _segmentsOfLabels(Labels.of_map(labels)), False, tuple(copies))


def _segmentsOfLabels(labels: Labels) -> tuple[Segment, ...]:
    """Labels as segments whose identifiers are the values of the label map."""
    parts = zip(labels.values, labels.names, labels.masks, strict=True)
    return tuple(Segment(f"{value}", name, (0.0, 0.0, 0.0), mask) for value, name, mask in parts)


def _copyOf(node: slicer.vtkMRMLMarkupsNode) -> slicer.vtkMRMLMarkupsNode:
    copy = node.NewInstance()
    with slicer.util.NodeModify(copy):
        copy.CopyContent(node)
        copy.SetName(node.GetName())
        for number in range(copy.GetNumberOfMeasurements()):
            copy.GetNthMeasurement(number).SetEnabled(False)  # it asks the scene for its unit, and there is none
    return copy


def _defined(node: slicer.vtkMRMLMarkupsNode) -> list[int]:
    """The numbers of the control points that were placed; the others stay as they are in every frame."""
    count, placed = node.GetNumberOfControlPoints(), slicer.vtkMRMLMarkupsNode.PositionDefined
    return [index for index in range(count) if node.GetNthControlPointPositionStatus(index) == placed]


def _controlPoints(node: slicer.vtkMRMLMarkupsNode) -> np.ndarray:
    points = [node.GetNthControlPointPosition(i) for i in _defined(node)]
    return flip_lps_ras(np.array(points, dtype=float).reshape(-1, 3))
