"""Volume nodes to and from arrays on a Grid."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io.formats import luminance

from ..i18n import _
from .names import nodeName
from .transforms import matrixToVtk


def gridOfVolume(volumeNode: slicer.vtkMRMLVolumeNode) -> Grid:
    """The geometry of a volume node.

    Raises
    ------
    InputError : the volume holds no image, or has a geometry that no Grid can have (sheared, empty).
    """
    image = volumeNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(_("The volume '{name}' holds no image.").format(name=volumeNode.GetName()))
    return Grid.from_ras_matrix(image.GetDimensions(), matrixOfVolume(volumeNode))


def matrixOfVolume(volumeNode: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """``[4, 4]``: from voxels (i, j, k) to RAS mm."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def pixelsOfVolume(volumeNode: slicer.vtkMRMLVolumeNode, grid: Grid) -> np.ndarray:
    """A copy of the pixels ``[*grid.shape]`` of a volume node; colour becomes luminance (float32).

    Raises
    ------
    InputError : the number of components is not that of a scalar or colour image.
    """
    pixels = slicer.util.arrayFromVolume(volumeNode)
    components = volumeNode.GetImageData().GetNumberOfScalarComponents()
    if components == 1:
        return pixels.reshape(grid.shape).copy()
    if components not in (3, 4):
        reason = _("The volume '{name}' has {count} numbers a pixel; a grey or colour image is needed.")
        raise InputError(reason.format(name=volumeNode.GetName(), count=components))
    return luminance(pixels.astype(np.float32)).reshape(grid.shape)


def colourNotes(volumeNode: slicer.vtkMRMLVolumeNode, name: str) -> tuple[str, ...]:
    """What to tell the user of the pixels of ``name``: nothing where they are no colours."""
    if volumeNode.GetImageData().GetNumberOfScalarComponents() == 1:
        return ()
    return (_("The colors of '{name}' were turned into luminance.").format(name=name),)


def volumeNodeFromArray(
    pixels: np.ndarray, grid: Grid, name: str, className: str = "vtkMRMLScalarVolumeNode"
) -> slicer.vtkMRMLVolumeNode:
    """A volume node, not yet in a scene, with the pixels ``[*grid.shape]`` on ``grid``."""
    node = getattr(slicer, className)()
    node.SetName(nodeName(name))
    node.SetIJKToRASMatrix(matrixToVtk(grid.ras_matrix))
    slicer.util.updateVolumeFromArray(node, _storable(pixels).reshape(grid.size[::-1]))
    return node


def _storable(pixels: np.ndarray) -> np.ndarray:
    """The pixels in a type that a volume node can hold, changed only where it must be."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8:
        low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
        limits = np.iinfo(np.int32)
        return pixels.astype(np.int32 if limits.min <= low and high <= limits.max else np.float64)
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize not in (4, 8):
        return pixels.astype(np.float32 if pixels.dtype.itemsize < 4 else np.float64)
    return pixels
