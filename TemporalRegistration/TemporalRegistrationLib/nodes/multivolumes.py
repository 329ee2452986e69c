"""Multi-volume nodes of the module MultiVolumeExplorer, whose frames are the components of one image, as sequences."""

from __future__ import annotations

import slicer
import slicer.util

from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid

from ..i18n import _
from . import transaction
from .names import nodeName
from .sequences import browserOf
from .volumes import matrixOfVolume, volumeNodeFromArray

_ATTRIBUTES = "MultiVolume."


def sequenceOfMultiVolume(node: slicer.vtkMRMLVolumeNode) -> slicer.vtkMRMLSequenceNode:
    """A sequence in the scene with the frames of a multi-volume, as the importer makes it: with its attributes, which
    hold the times.

    Raises
    ------
    InputError : it holds no image.
    """
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(_("The volume '{name}' holds no image.").format(name=node.GetName()))
    pixels = slicer.util.arrayFromVolume(node).reshape(*image.GetDimensions()[::-1], -1)
    grid = Grid.from_ras_matrix(image.GetDimensions(), matrixOfVolume(node))
    sequenceNode = slicer.vtkMRMLSequenceNode()
    sequenceNode.SetName(nodeName(_("{name} cine").format(name=node.GetName())))
    sequenceNode.SetIndexName("")
    sequenceNode.SetIndexUnit("")
    for frame in range(pixels.shape[-1]):
        item = volumeNodeFromArray(pixels[..., frame].reshape(grid.shape), grid, node.GetName())
        sequenceNode.SetDataNodeAtValue(item, str(frame))
    for name in node.GetAttributeNames():
        if name.startswith(_ATTRIBUTES):
            sequenceNode.SetAttribute(name, node.GetAttribute(name))
    with transaction.batch(), transaction.allOrNothing():
        slicer.mrmlScene.AddNode(sequenceNode)
        browserOf(sequenceNode)
    return sequenceNode
