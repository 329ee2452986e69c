"""What all kinds of results ask of the views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import slicer
import slicer.util

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
    colors : name of the map of ``maps.MAPS`` that colors the image, or "".
    above : color only what is above this limit, of maps that have one; None for all of it.
    opacity : of the colors, or of the second image of a blend; 0 to 1.
    compare : "single", "sideBySide" or "blended".
    sample : number of the generated cine that is shown, from 1.
    """

    compensated: bool = False
    labels: bool = True
    points: bool = True
    motion: str = ""
    colors: str = ""
    above: float | None = None
    opacity: float = 0.6
    compare: str = SINGLE
    sample: int = 1


def nodeID(node: slicer.vtkMRMLNode | None) -> str | None:
    return node.GetID() if node is not None else None


def hideProxies(
    browser: slicer.vtkMRMLSequenceBrowserNode, sequences: Iterable[slicer.vtkMRMLSequenceNode | None]
) -> None:
    """Hide what lies over the images of some sequences, as far as they are still in the scene."""
    present = [node for node in sequences if node is not None and slicer.mrmlScene.IsNodePresent(node)]
    for proxy in filter(None, map(browser.GetProxyNode, present)):
        if not proxy.IsA("vtkMRMLVolumeNode") and proxy.GetDisplayNode() is not None:
            proxy.GetDisplayNode().SetVisibility(False)


def hideDrawn(*nodes: slicer.vtkMRMLDisplayableNode | None) -> None:
    """Hide what was drawn on the reference frame: it stays where it was, and would cover what is followed."""
    for node in nodes:
        if node is not None and not node.IsA("vtkMRMLVolumeNode"):
            setVisible(node, False)


def showTransform(node: slicer.vtkMRMLTransformNode, style: str) -> None:
    """Draw a displacement as a "grid" or "arrows", or not at all."""
    displayNode = node.GetDisplayNode()
    if displayNode is None:
        return
    displayNode.SetVisibility(bool(style))
    if style:
        displayNode.SetVisualizationMode(displayNode.VIS_MODE_GRID if style == GRID else displayNode.VIS_MODE_GLYPH)


def setVisible(node: slicer.vtkMRMLDisplayableNode, visible: bool) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(visible)


# of a view: the application makes the text as large as fits, whatever font sizes are set
_LEGEND_SIZE, _LEGEND_POSITION = (0.09, 0.19), (0.99, 0.03)
LEGEND_TICKS, LEGEND_FORMAT = 5, "%.4g"  # no tick is rounded to another value


def showLegend(volumeNode: slicer.vtkMRMLVolumeNode, visible: bool, title: str, view: str = "") -> None:
    """Show or hide the colors of a volume with their values: small, at the border of one view.

    ``view`` is the name of that view; "" for the first one of the layout.
    """
    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(volumeNode)
    if legend is None and visible:
        legend = logic.AddDefaultColorLegendDisplayNode(volumeNode)
    if legend is None:
        return
    if visible:
        legend.SetTitleText(title)
        legend.SetSize(*_LEGEND_SIZE)
        legend.SetPosition(*_LEGEND_POSITION)
        legend.SetNumberOfLabels(LEGEND_TICKS)
        legend.SetLabelFormat(LEGEND_FORMAT)
        legend.SetVisibility3D(False)
        sliceNode = _legendView(view)
        legend.RemoveAllViewNodeIDs()  # which is all views
        if sliceNode is not None:
            legend.AddViewNodeID(sliceNode.GetID())
    legend.SetVisibility(visible)


def _legendView(name: str) -> slicer.vtkMRMLSliceNode | None:
    nodes = [node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode") if node.IsMappedInLayout()]
    wanted = name or "Red"
    return next((node for node in nodes if node.GetLayoutName() == wanted), nodes[0] if nodes else None)
