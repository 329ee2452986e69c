"""What the slice views show of a result: one function puts the scene into the state that the switches say."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import slicer.util

from . import layouts, results
from .scene import MotionNodes, PairNodes

SINGLE, SIDE_BY_SIDE, BLENDED = "single", "sideBySide", "blended"
GRID, ARROWS = "grid", "arrows"


@dataclass(frozen=True)
class Shown:
    """The switches.

    Attributes
    ----------
    compensated : the frames with their motion taken out, instead of the moving ones.
    labels, points : what was carried along; it belongs on the moving frames and is hidden on the others.
    motion : "", "grid" or "arrows".
    colors : "", "jacobian" or "uncertainty".
    opacity : of the colours, or of the second image of a blend; 0 to 1.
    compare : "single", "sideBySide" or "blended".
    """

    compensated: bool = False
    labels: bool = True
    points: bool = True
    motion: str = ""
    colors: str = ""
    opacity: float = 0.6
    compare: str = SINGLE


def cineProxyOf(nodes: MotionNodes) -> slicer.vtkMRMLVolumeNode | None:
    """The node that shows the current frame of the cine itself."""
    return nodes.browser.GetProxyNode(results.inputOf(nodes.table))


def _nodeID(node: slicer.vtkMRMLNode | None) -> str | None:
    return node.GetID() if node is not None else None


def show(nodes: MotionNodes, shown: Shown) -> None:
    """Put the views into the state ``shown``; twice does no more than once."""
    moving, compensated = cineProxyOf(nodes), nodes.proxy(nodes.compensated)
    onMoving = not shown.compensated or shown.compare == SIDE_BY_SIDE
    colored = {"jacobian": nodes.jacobian, "uncertainty": nodes.uncertainty}
    overlays = {key: nodes.proxy(sequence) for key, sequence in colored.items() if sequence is not None}
    overlay = overlays.get(shown.colors)
    background, foreground = (compensated if shown.compensated else moving), overlay
    if shown.compare == BLENDED:
        background, foreground = moving, compensated
    labels = nodes.proxy(nodes.labels) if nodes.labels is not None else None
    labelsOn = shown.labels and onMoving
    isLabelMap = labels is not None and labels.IsA("vtkMRMLLabelMapVolumeNode")
    layouts.showComparison(shown.compare == SIDE_BY_SIDE)
    slicer.util.setSliceViewerLayers(
        background=_nodeID(background),
        foreground=_nodeID(foreground),
        label=_nodeID(labels) if isLabelMap and labelsOn else None,
        foregroundOpacity=shown.opacity if foreground is not None else 0.0,
        labelOpacity=0.5,
    )
    if shown.compare == SIDE_BY_SIDE:
        layouts.fillComparison(moving, compensated, nodes.proxy(nodes.difference))
    for key, proxy in overlays.items():
        _showLegend(proxy, proxy is foreground, "Change of volume" if key == "jacobian" else "Uncertainty (mm)")
    if labels is not None and not isLabelMap:
        _setVisible(labels, labelsOn)
    for sequence in nodes.points:
        _setVisible(nodes.proxy(sequence), shown.points and onMoving)
    showTransform(nodes.proxy(nodes.toFrame), shown.motion if onMoving else "")


def showPair(nodes: PairNodes, fixed: slicer.vtkMRMLVolumeNode, shown: Shown) -> None:
    """The fixed volume, the warped one blended over it, and the displacement."""
    layouts.showComparison(False)
    slicer.util.setSliceViewerLayers(
        background=fixed.GetID(), foreground=nodes.warped.GetID(), label=None, foregroundOpacity=shown.opacity
    )
    showTransform(nodes.toMoving, shown.motion)


def showTransform(node: slicer.vtkMRMLTransformNode, style: str) -> None:
    """Draw a displacement as a "grid" or "arrows", or not at all."""
    displayNode = node.GetDisplayNode()
    if displayNode is None:
        return
    displayNode.SetVisibility(bool(style))
    if style:
        displayNode.SetVisualizationMode(displayNode.VIS_MODE_GRID if style == GRID else displayNode.VIS_MODE_GLYPH)


def _setVisible(node: slicer.vtkMRMLDisplayableNode, visible: bool) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(visible)


def _showLegend(volumeNode: slicer.vtkMRMLVolumeNode, visible: bool, title: str) -> None:
    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(volumeNode)
    if legend is None and visible:
        legend = logic.AddDefaultColorLegendDisplayNode(volumeNode)
        legend.SetTitleText(title)
        legend.SetLabelFormat("%.1f")
    if legend is not None:
        legend.SetVisibility(visible)
