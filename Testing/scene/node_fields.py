"""Displacement fields read back from transform nodes, and a pair's motion added at a stretch."""

from __future__ import annotations

import numpy as np
import slicer
from TemporalRegistrationLib.kinds.pair_nodes import PairNodes, pairSteps
from TemporalRegistrationLib.steps import runSteps
from vtk.util.numpy_support import vtk_to_numpy

from DeepRegLogic import Grid, InputError, Motion
from DeepRegLogic.grid import flip_lps_ras
from DeepRegLogic.progress import Reporter


def fieldFromTransformNode(node: slicer.vtkMRMLTransformNode, grid: Grid) -> np.ndarray:
    """The pull-back field ``[ndim, *grid.shape]`` in voxels of a transform node that holds a displacement grid.

    Raises
    ------
    InputError : the node holds no displacement grid on its FromParent side, or one on another geometry.
    """
    transform = slicer.vtkOrientedGridTransform.SafeDownCast(node.GetTransformFromParent())
    if transform is None or transform.GetDisplacementGrid() is None or transform.GetInverseFlag():
        raise InputError(f"The transform '{node.GetName()}' holds no displacement field on its FromParent side.")
    transform.Update()
    image = transform.GetDisplacementGrid()
    direction = np.reshape(
        [transform.GetGridDirectionMatrix().GetElement(r, c) for r in range(4) for c in range(4)], (4, 4)
    )
    matrix = np.eye(4)
    matrix[:3, :3] = direction[:3, :3] * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    if not Grid.from_ras_matrix(image.GetDimensions(), matrix).matches(grid):
        raise InputError(f"The displacement field of '{node.GetName()}' lies on another grid than the image.")
    vectors = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*grid.shape, 3)
    vectors = vectors * transform.GetDisplacementScale() + transform.GetDisplacementShift()
    return np.einsum("cr,...r->c...", np.linalg.pinv(flip_lps_ras(grid.vector_matrix.T).T), vectors).astype(np.float32)


def addPairMotion(motion: Motion, fixedNode, movingNode, maps=None, drawn=None) -> PairNodes:
    """Add the motion between two volumes to the scene: frame 0 is the fixed volume, frame 1 the moving one."""
    return runSteps(pairSteps(motion, fixedNode, movingNode, maps, drawn), Reporter(None, None))
