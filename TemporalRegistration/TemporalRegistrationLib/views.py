"""What the slice views show of a result: one function puts the scene into the state that the switches say."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import slicer.util

from . import display, layouts, results
from .i18n import _
from .pairs import PairNodes
from .scene import MotionNodes

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
    colors : "", "jacobian", "uncertainty" or "entropy".
    doubtful : color only the uncertainty above so many mm; None for all of it.
    opacity : of the colours, or of the second image of a blend; 0 to 1.
    compare : "single", "sideBySide" or "blended".
    """

    compensated: bool = False
    labels: bool = True
    points: bool = True
    motion: str = ""
    colors: str = ""
    doubtful: float | None = None
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
    colored = {"jacobian": nodes.jacobian, "uncertainty": nodes.uncertainty, "entropy": nodes.entropy}
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
    titles = {
        "jacobian": _("Change of volume"),
        "uncertainty": _("Uncertainty (mm)"),
        "entropy": _("Entropy (nats)"),
    }
    for key, proxy in overlays.items():
        _showLegend(proxy, proxy is foreground, titles[key])
    if "uncertainty" in overlays:
        display.showOnlyAbove(overlays["uncertainty"], shown.doubtful)
    if labels is not None and not isLabelMap:
        _setVisible(labels, labelsOn)
    followed = nodes.points if nodes.ellipses is None else (*nodes.points, nodes.ellipses)
    for sequence in followed:
        _setVisible(nodes.proxy(sequence), shown.points and onMoving)
    showTransform(nodes.proxy(nodes.toFrame), shown.motion if onMoving else "")


def hide(nodes: MotionNodes) -> None:
    """Take what lies over the images out of the views, as far as it is still there."""
    over = [nodes.labels, *nodes.points, nodes.ellipses, nodes.toFrame]
    present = [node for node in over if node is not None and slicer.mrmlScene.IsNodePresent(node)]
    for proxy in filter(None, map(nodes.proxy, present)):
        if not proxy.IsA("vtkMRMLVolumeNode") and proxy.GetDisplayNode() is not None:
            proxy.GetDisplayNode().SetVisibility(False)


def showPair(nodes: PairNodes, fixed: slicer.vtkMRMLVolumeNode, shown: Shown) -> None:
    """Over the fixed volume the moving one, or the warped one; or moving, warped and difference side by side."""
    moving = results.inputOf(nodes.warped)
    background, foreground = fixed, nodes.warped if shown.compensated else moving
    if shown.compare == BLENDED:
        background, foreground = moving, nodes.warped
    layouts.showComparison(shown.compare == SIDE_BY_SIDE)
    slicer.util.setSliceViewerLayers(
        background=background.GetID(), foreground=foreground.GetID(), label=None, foregroundOpacity=shown.opacity
    )
    if shown.compare == SIDE_BY_SIDE:
        layouts.fillComparison(moving, nodes.warped, nodes.difference)
    showTransform(nodes.toMoving, shown.motion)


def hideDrawn(*nodes: slicer.vtkMRMLDisplayableNode | None) -> None:
    """Hide what was drawn on the reference frame: it stays where it was, and would cover what is followed."""
    for node in nodes:
        if node is not None and not node.IsA("vtkMRMLVolumeNode"):
            _setVisible(node, False)


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
        legend.GetTitleTextProperty().SetFontSize(14)
        legend.GetLabelTextProperty().SetFontSize(12)
    if legend is not None:
        legend.SetVisibility(visible)
