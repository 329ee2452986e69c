"""Displacement fields of DeepRegLogic to grid transforms of the scene (RAS mm, on the FromParent side).

A transform node stands for what it does to the nodes that are put under it. Its FromParent side is the pull-back
field: ``Motion.displacement[t]`` stored there brings frame t onto the reference, ``Motion.inverse[t]`` carries what
lies on the reference along to frame t.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from DeepRegLogic.grid import Grid, flip_lps_ras

from .names import nodeName


def matrixToVtk(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """A 4x4 array as a vtkMatrix4x4."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


def _vectorMatrix(grid: Grid) -> np.ndarray:
    """3 x ndim matrix from a displacement in voxels, in array axis order, to RAS mm."""
    return flip_lps_ras(grid.vector_matrix.T).T


def gridTransformFromField(displacement: np.ndarray, grid: Grid) -> slicer.vtkOrientedGridTransform:
    """A field ``[ndim, *grid.shape]`` in voxels as a grid transform in RAS mm, float32, on the geometry of ``grid``."""
    vectors = np.einsum("rc,c...->...r", _vectorMatrix(grid), displacement).astype(np.float32)
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.size)
    image.SetSpacing(*grid.spacing)
    image.SetOrigin(*grid.ras_matrix[:3, 3])
    image.GetPointData().SetScalars(numpy_to_vtk(vectors.reshape(-1, 3), deep=True))
    direction = np.eye(4)
    direction[:3, :3] = grid.ras_matrix[:3, :3] / grid.spacing
    transform = slicer.vtkOrientedGridTransform()
    transform.SetGridDirectionMatrix(matrixToVtk(direction))
    transform.SetDisplacementGridData(image)
    transform.SetInterpolationModeToLinear()
    return transform


def transformNodeFromField(displacement: np.ndarray, grid: Grid, name: str) -> slicer.vtkMRMLTransformNode:
    """A transform node, not yet in a scene, that applies the field ``[ndim, *grid.shape]`` (voxels) as a pull-back."""
    # not vtkMRMLGridTransformNode: a transform sequence read from .seq.nrrd has items of the base class, and its
    # browser would then leave the proxy node of the saved scene behind
    node = slicer.vtkMRMLTransformNode()
    node.SetName(nodeName(name))
    node.SetAndObserveTransformFromParent(gridTransformFromField(displacement, grid))
    return node


def transformNodeFromParts(parts: Sequence[vtk.vtkAbstractTransform], name: str) -> slicer.vtkMRMLTransformNode:
    """A transform node, not yet in a scene, that takes points (RAS mm) through the parts, the first of them first."""
    path = vtk.vtkGeneralTransform()
    path.PostMultiply()
    for part in parts:
        path.Concatenate(part)
    node = slicer.vtkMRMLTransformNode()
    node.SetName(nodeName(name))
    node.SetAndObserveTransformFromParent(path)
    return node


def linearTransformFromMatrix(matrix: np.ndarray) -> vtk.vtkTransform:
    """An affine matrix ``[4, 4]`` in LPS mm as a transform in RAS mm."""
    flip = np.diag((-1.0, -1.0, 1.0, 1.0))
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrixToVtk(flip @ matrix @ flip))
    return transform


def linearTransformNode(matrix: np.ndarray, name: str) -> slicer.vtkMRMLLinearTransformNode:
    """A linear transform node, not yet in a scene, with a pull-back matrix ``[4, 4]`` in LPS mm."""
    node = slicer.vtkMRMLLinearTransformNode()
    node.SetName(nodeName(name))
    node.SetMatrixTransformFromParent(linearTransformFromMatrix(matrix).GetMatrix())
    return node


def resample(
    volumeNode: slicer.vtkMRMLScalarVolumeNode,
    transform: vtk.vtkAbstractTransform,
    grid: Grid,
    slices: tuple[int, int] | None = None,
    nearest: bool = False,
) -> vtk.vtkImageData:
    """Voxels of a volume at the points of ``grid`` taken through ``transform`` (RAS to RAS), interpolated once.

    Linear, or the nearest voxel; outside the volume its smallest value. ``slices`` (start, stop) along k, or all.
    """
    start, stop = slices or (0, grid.size[2])
    toIndex = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(toIndex)
    path = vtk.vtkGeneralTransform()
    path.PostMultiply()
    path.Concatenate(matrixToVtk(grid.ras_matrix))
    path.Concatenate(transform)
    path.Concatenate(toIndex)
    image = vtk.vtkImageData()
    image.ShallowCopy(volumeNode.GetImageData())
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(path)
    if nearest:
        reslice.SetInterpolationModeToNearestNeighbor()
    else:
        reslice.SetInterpolationModeToLinear()
    reslice.BorderOn()
    reslice.SetBackgroundLevel(image.GetScalarRange()[0])
    reslice.SetOutputSpacing(1.0, 1.0, 1.0)
    reslice.SetOutputOrigin(0.0, 0.0, 0.0)
    reslice.SetOutputExtent(0, grid.size[0] - 1, 0, grid.size[1] - 1, start, stop - 1)
    reslice.Update()
    return reslice.GetOutput()
