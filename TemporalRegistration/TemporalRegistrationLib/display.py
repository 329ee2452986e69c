"""How results look when they first appear."""

from __future__ import annotations

import numpy as np
import slicer

from DeepRegLogic.grid import Grid

# of labels, and of their curves
COLORS = ((0.12, 0.47, 0.71), (0.84, 0.37, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.90, 0.62, 0.0))
DARK, MIDDLE, LIGHT = (0.16, 0.04, 0.33), (0.80, 0.28, 0.32), (0.99, 0.95, 0.55)
SHRINK, SAME, GROW = (0.13, 0.40, 0.67), (0.97, 0.97, 0.97), (0.70, 0.09, 0.17)
NIGHT, SEA, SUN = (0.27, 0.00, 0.33), (0.13, 0.57, 0.55), (0.99, 0.91, 0.15)
_HIGHEST = 1e6


def volumeChangeColors(name: str, count: int = 256) -> slicer.vtkMRMLColorTableNode:
    """A colour table, not yet in a scene: blue for tissue that shrinks, white for no change, red for growth."""
    return _colorTable(name, (SHRINK, SAME, GROW), count)


def _colorTable(name: str, colors: tuple, count: int) -> slicer.vtkMRMLColorTableNode:
    """A table that runs through three colours."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(name)
    node.SetTypeToUser()
    node.SetNumberOfColors(count)
    positions = np.linspace(0.0, 1.0, count)
    channels = [np.interp(positions, (0.0, 0.5, 1.0), stops) for stops in zip(*colors, strict=True)]
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


def uncertaintyColors(name: str, count: int = 256) -> slicer.vtkMRMLColorTableNode:
    """A colour table, not yet in a scene, that gets lighter with what it shows: dark violet, red, yellow."""
    return _colorTable(name, (DARK, MIDDLE, LIGHT), count)


def entropyColors(name: str, count: int = 256) -> slicer.vtkMRMLColorTableNode:
    """A colour table, not yet in a scene, that gets lighter with what it shows: violet, green, yellow."""
    return _colorTable(name, (NIGHT, SEA, SUN), count)


def showUncertainty(volumeNode: slicer.vtkMRMLScalarVolumeNode, colors: slicer.vtkMRMLColorNode) -> None:
    """Show a standard deviation from 0 to 2 mm, the same in every study, so that colours can be compared."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(0.0, 2.0)
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def showOnlyAbove(volumeNode: slicer.vtkMRMLScalarVolumeNode, limit: float | None) -> None:
    """Leave everything of a volume transparent that is not above ``limit``; None shows all of it."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoThreshold(False)
    displayNode.SetApplyThreshold(limit is not None)
    if limit is not None:
        displayNode.SetThreshold(limit, _HIGHEST)


def showEntropy(volumeNode: slicer.vtkMRMLScalarVolumeNode, colors: slicer.vtkMRMLColorNode, ndim: int) -> None:
    """Show an entropy over the range of equal standard deviations of 0.1 to 2 mm in all ``ndim`` directions."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(*(ndim * np.log(np.sqrt(2 * np.pi) * mm) for mm in (0.1, 2.0)))
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def showLabels(node: slicer.vtkMRMLDisplayableNode) -> None:
    """Show the segments of a segmentation as contours, so that they can be compared with the image."""
    displayNode = node.GetDisplayNode()
    if node.IsA("vtkMRMLSegmentationNode") and displayNode is not None:
        displayNode.SetVisibility2DFill(False)
        displayNode.SetSliceIntersectionThickness(2)


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


def relate(
    transformNode: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLVolumeNode, moving: slicer.vtkMRMLVolumeNode
) -> None:
    """Tell which images a transform was made of."""
    transformNode.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole(), fixed.GetID())
    transformNode.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(), moving.GetID())
