"""How results look when they first appear."""

from __future__ import annotations

import numpy as np
import slicer

from DeepRegLogic.grid import Grid
from DeepRegLogic.results.maps import PALETTES, Map

from ..i18n import _
from ..nodes.names import nodeName
from . import views

_HIGHEST = 1e6


def paletteColors(palette: str, name: str, count: int = 256) -> slicer.vtkMRMLColorTableNode:
    """A color table, not yet in a scene, that runs through the three colors of one of ``maps.PALETTES``."""
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(nodeName(name))
    node.SetTypeToUser()
    node.SetNumberOfColors(count)
    positions = np.linspace(0.0, 1.0, count)
    channels = [np.interp(positions, (0.0, 0.5, 1.0), stops) for stops in zip(*PALETTES[palette], strict=True)]
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


def showMap(volumeNode: slicer.vtkMRMLScalarVolumeNode, entry: Map, colors: slicer.vtkMRMLColorNode, ndim: int) -> None:
    """Show a map of ``maps.MAPS`` in its colors, over its limits."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(*entry.limits_of(ndim))
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def showDifference(
    volumeNode: slicer.vtkMRMLScalarVolumeNode, source: slicer.vtkMRMLVolumeNode, colors: slicer.vtkMRMLColorNode
) -> None:
    """Show a difference of images in diverging colours, over about a quarter of the window of the image ``source`` to
    either side: a round number, which its scale shows."""
    displayNode, model = volumeNode.GetDisplayNode(), source.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    window = model.GetWindow() if model is not None and model.GetWindow() > 0 else 1.0
    displayNode.SetWindowLevel(2 * float(f"{window / 4:.1g}"), 0.0)
    displayNode.SetAndObserveColorNodeID(colors.GetID())


def showOnlyAbove(volumeNode: slicer.vtkMRMLScalarVolumeNode, limit: float | None) -> None:
    """Leave everything of a volume transparent that is not above ``limit``; None shows all of it."""
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoThreshold(False)
    displayNode.SetApplyThreshold(limit is not None)
    if limit is not None:
        displayNode.SetThreshold(limit, _HIGHEST)


def showOverlay(
    volume: slicer.vtkMRMLVolumeNode, entry: Map, ndim: int, visible: bool, above: float | None = None
) -> None:
    """Show or hide the legend of a map's volume; of maps of doubt only what is above a limit is coloured."""
    title = _(entry.title_of(ndim)) + (f" ({entry.unit})" if entry.unit else "")
    views.showLegend(volume, visible, title)
    if entry.above:
        showOnlyAbove(volume, above)


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
