"""How results look when they first appear."""

from __future__ import annotations

import numpy as np
import slicer

from DeepRegLogic.grid import Grid

SHRINK, SAME, GROW = (0.13, 0.40, 0.67), (0.97, 0.97, 0.97), (0.70, 0.09, 0.17)


def volumeChangeColors(name: str, count: int = 256) -> slicer.vtkMRMLColorTableNode:
    """A colour table, not yet in a scene: blue for tissue that shrinks, white for no change, red for growth."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(name)
    node.SetTypeToUser()
    node.SetNumberOfColors(count)
    positions = np.linspace(0.0, 1.0, count)
    channels = [np.interp(positions, (0.0, 0.5, 1.0), stops) for stops in zip(SHRINK, SAME, GROW, strict=True)]
    for index, color in enumerate(np.transpose(channels)):
        node.SetColor(index, f"{index}", *color, 1.0)
    return node


def showLike(volumeNode: slicer.vtkMRMLVolumeNode, source: slicer.vtkMRMLVolumeNode) -> None:
    """Give a volume the window, level and colours of another, so that the two compare."""
    target, model = volumeNode.GetDisplayNode(), source.GetDisplayNode()
    if target is None or model is None:
        return
    target.SetAutoWindowLevel(False)
    target.SetWindowLevel(model.GetWindow(), model.GetLevel())
    target.SetInterpolate(model.GetInterpolate())
    if model.GetColorNodeID():
        target.SetAndObserveColorNodeID(model.GetColorNodeID())


def showVolumeChange(volumeNode: slicer.vtkMRMLScalarVolumeNode, colors: slicer.vtkMRMLColorNode) -> None:
    """Show a Jacobian determinant in diverging colours: white at 1, full colour at half and at one and a half times."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(0.5, 1.5)
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def showDifference(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, source: slicer.vtkMRMLVolumeNode, colors: slicer.vtkMRMLColorNode
) -> None:
    """Show a difference of images in diverging colours, over half the window of the image ``source``."""
    displayNode, model = volumeNode.GetDisplayNode(), source.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevel(model.GetWindow() if model is not None and model.GetWindow() > 0 else 1.0, 0.0)
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def prepareTransformDisplay(
    transformNode: slicer.vtkMRMLTransformNode, region: slicer.vtkMRMLVolumeNode, grid: Grid
) -> None:
    """Make the transform ready to be drawn as a deformed grid over the image ``region``, hidden until asked for."""
    transformNode.CreateDefaultDisplayNodes()
    displayNode = transformNode.GetDisplayNode()
    extent = max(n * s for n, s in zip(grid.size, grid.spacing, strict=True) if n > 1)
    displayNode.SetVisibility(False)
    displayNode.SetVisibility2D(True)
    displayNode.SetVisualizationMode(displayNode.VIS_MODE_GRID)
    displayNode.SetGridSpacingMm(extent / 24)
    displayNode.SetGridResolutionMm(extent / 96)
    displayNode.SetGlyphSpacingMm(extent / 24)
    displayNode.SetAndObserveRegionNode(region)
