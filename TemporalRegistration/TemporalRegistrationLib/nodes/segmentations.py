"""Segmentation nodes to and from masks on a Grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid

from ..i18n import _
from .names import nodeName
from .transforms import matrixToVtk

LABEL_COLORS = ((0.12, 0.47, 0.71), (0.84, 0.37, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.90, 0.62, 0.0))
"""Of labels without a color, and of all curves."""

_NO_COLOR = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Segment:
    """A segment on the reference frame: its mask ``[*grid.shape]`` uint8 and how it is called and shown."""

    segmentID: str
    name: str
    color: tuple[float, float, float]
    mask: np.ndarray


def _orientedImage(grid: Grid, mask: np.ndarray) -> slicer.vtkOrientedImageData:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*grid.size)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, dtype=np.uint8).ravel(), deep=True))
    image.SetImageToWorldMatrix(matrixToVtk(grid.ras_matrix))
    return image


def segmentsOf(segmentationNode: slicer.vtkMRMLSegmentationNode, grid: Grid) -> tuple[Segment, ...]:
    """The segments of a segmentation node, sampled on ``grid``. The node is not changed.

    Raises
    ------
    InputError : there are no segments, or all of them lie outside the image.
    """
    name = segmentationNode.GetName()
    labelmapName = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segmentation = slicer.vtkSegmentation()
    segmentation.DeepCopy(segmentationNode.GetSegmentation())
    if segmentation.GetNumberOfSegments() == 0:
        reason = _("The segmentation '{name}' has no segments; draw them on the reference frame.")
        raise InputError(reason.format(name=name))
    reference = _orientedImage(grid, np.zeros(grid.shape))
    if not segmentation.ContainsRepresentation(labelmapName):
        geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(reference)
        segmentation.SetConversionParameter(
            slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(), geometry
        )
        segmentation.CreateRepresentation(labelmapName)
    segments = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        labelmap = segment.GetRepresentation(labelmapName)
        mask = np.zeros(grid.shape, dtype=np.uint8)
        if labelmap is not None and labelmap.GetNumberOfPoints() > 0:
            onGrid = slicer.vtkOrientedImageData()
            slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
                labelmap, reference, onGrid
            )
            labels = vtk_to_numpy(onGrid.GetPointData().GetScalars()).reshape(grid.shape)
            mask = (labels == segment.GetLabelValue()).astype(np.uint8)
        color = segment.GetColor()
        if color == _NO_COLOR:  # the application would invent another in every frame
            color = LABEL_COLORS[index % len(LABEL_COLORS)]
        segments.append(Segment(segmentation.GetNthSegmentID(index), segment.GetName(), color, mask))
    if not any(segment.mask.any() for segment in segments):
        reason = _("No segment of '{name}' lies on the image; draw them on the reference frame.")
        raise InputError(reason.format(name=name))
    return tuple(segments)


def segmentationNodeFromMasks(
    segments: Sequence[Segment], masks: Sequence[np.ndarray], grid: Grid, name: str
) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation node, not yet in a scene, with the given segments and new masks ``[*grid.shape]`` for them."""
    labelmapName = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(nodeName(name))
    node.GetSegmentation().SetSourceRepresentationName(labelmapName)
    for segment, mask in zip(segments, masks, strict=True):
        copy = slicer.vtkSegment()
        copy.SetName(segment.name)
        copy.SetColor(*segment.color)
        copy.AddRepresentation(labelmapName, _orientedImage(grid, mask))
        node.GetSegmentation().AddSegment(copy, segment.segmentID)
    return node
