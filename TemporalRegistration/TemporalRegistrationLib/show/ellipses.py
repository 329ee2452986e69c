"""How sure followed points are: the 95 % ellipse of each, drawn as a model."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from DeepRegLogic.grid import flip_lps_ras
from DeepRegLogic.uncertainty.gaussian import chi_squared_quantile

from ..nodes.names import nodeName

_POINTS = 48
COLOR = (1.0, 0.85, 0.2)


def ellipseNode(points: np.ndarray, covariances: np.ndarray, ndim: int, name: str) -> slicer.vtkMRMLModelNode:
    """A model node, not yet in a scene, with the 95 % ellipse of every point.

    Parameters
    ----------
    points : ``[P, 3]`` LPS mm. covariances : ``[P, 3, 3]`` LPS mm^2.
    ndim : 2 for points of a slice, whose ellipses are closed lines in its plane; 3 for ellipsoids.
    """
    values, axes = np.linalg.eigh(covariances)
    # of a slice the two largest: there is no variance through its plane
    radii = np.sqrt(chi_squared_quantile(0.95, ndim) * np.maximum(values[:, -ndim:], 0.0))
    unit, mesh = _circle() if ndim == 2 else _sphere()
    shapes = points[:, None] + np.einsum("pci,pi,ni->pnc", axes[:, :, -ndim:], radii, unit)
    node = slicer.vtkMRMLModelNode()
    node.SetName(nodeName(name))
    node.SetAndObserveMesh(_repeated(mesh, flip_lps_ras(shapes.reshape(-1, 3)), len(points)))
    return node


def prepareDisplay(modelNode: slicer.vtkMRMLModelNode, ndim: int) -> None:
    """Draw ellipses in the slice views: those of a slice on its plane, ellipsoids where a slice cuts them."""
    modelNode.CreateDefaultDisplayNodes()
    displayNode = modelNode.GetDisplayNode()
    displayNode.SetColor(*COLOR)
    displayNode.SetVisibility2D(True)
    displayNode.SetLineWidth(2)
    displayNode.SetSliceIntersectionThickness(2)
    displayNode.SetScalarVisibility(False)
    if ndim == 2:
        # a line that lies in the plane of the view has no intersection with it
        displayNode.SetSliceDisplayModeToProjection()
        displayNode.SetLighting(False)
    else:
        displayNode.SetSliceDisplayModeToIntersection()
        displayNode.SetOpacity(0.4)


def _circle() -> tuple[np.ndarray, vtk.vtkCellArray]:
    """Points ``[N, 2]`` of the unit circle, and the closed line through them."""
    angles = np.linspace(0.0, 2 * np.pi, _POINTS, endpoint=False)
    lines = vtk.vtkCellArray()
    lines.InsertNextCell(_POINTS + 1)
    for index in (*range(_POINTS), 0):
        lines.InsertCellPoint(index)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1), lines


def _sphere() -> tuple[np.ndarray, vtk.vtkCellArray]:
    """Points ``[N, 3]`` of the unit sphere, and the triangles between them."""
    source = vtk.vtkSphereSource()
    source.SetRadius(1.0)
    source.SetThetaResolution(24)
    source.SetPhiResolution(12)
    source.Update()
    return vtk_to_numpy(source.GetOutput().GetPoints().GetData()).astype(float), source.GetOutput().GetPolys()


def _repeated(cells: vtk.vtkCellArray, positions: np.ndarray, count: int) -> vtk.vtkPolyData:
    """``count`` shapes of the same cells, with the points of all of them one after the other."""
    places = vtk.vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(positions, dtype=np.float32), deep=True))
    size = len(positions) // max(count, 1)
    offsets, connections = (vtk_to_numpy(a) for a in (cells.GetOffsetsArray(), cells.GetConnectivityArray()))
    whole = vtk.vtkCellArray()
    starts = np.arange(count)[:, None]
    whole.SetData(
        _ids(np.append((starts * len(connections) + offsets[:-1]).ravel(), count * len(connections))),
        _ids((starts * size + connections).ravel()),
    )
    mesh = vtk.vtkPolyData()
    mesh.SetPoints(places)
    isLine = cells.GetNumberOfCells() == 1
    (mesh.SetLines if isLine else mesh.SetPolys)(whole)
    return mesh


def _ids(values: np.ndarray) -> vtk.vtkIdTypeArray:
    array = vtk.vtkIdTypeArray()
    array.DeepCopy(numpy_to_vtk(values.astype(np.int64), deep=True))
    return array
