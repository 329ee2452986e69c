"""Layouts of our own: moving images, those with the motion taken out and the difference; curves and bull's-eyes."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..i18n import _
from . import views

COMPARISON, SEGMENTS = 7310, 7311  # any numbers that no other layouts have
DIFFERENCE = "TemporalRegistrationDifference"
VIEWS = {
    "TemporalRegistrationMoving": lambda: _("M"),
    "TemporalRegistrationCompensated": lambda: _("C"),
    DIFFERENCE: lambda: _("D"),
}
_SLICE_AXIS = 2
# the axis of a volume across which a view looks, by the view's name; all others look at the slices
_NORMALS = {"Yellow": 0, "Green": 1}


SEGMENTS_VIEW = "TemporalRegistrationSegments"


def _segmentsDescription() -> str:
    """The images beside the curves and the bull's-eyes."""
    return (
        '<layout type="horizontal" split="true"><item><view class="vtkMRMLSliceNode" singletontag="Red"/></item>'
        '<item><layout type="vertical" split="true">'
        '<item><view class="vtkMRMLPlotViewNode" singletontag="PlotView1">'
        '<property name="viewlabel" action="default">P</property></view></item>'
        f'<item><view class="vtkMRMLSliceNode" singletontag="{SEGMENTS_VIEW}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{_("B")}</property>'
        f'<property name="viewgroup" action="default">{SEGMENTS}</property></view></item></layout></item></layout>'
    )


def _description() -> str:
    # the bar of a view has room for two letters
    views = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label()}</property>'
        f'<property name="viewgroup" action="default">{COMPARISON}</property></view></item>'
        for tag, label in VIEWS.items()
    )
    return f'<layout type="horizontal" split="true">{views}</layout>'


_before: int | None = None


def register() -> None:
    """Make the layouts known: a scene that was saved in one would be shown without views otherwise."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        layoutNode = manager.layoutLogic().GetLayoutNode()
        for number, description in ((COMPARISON, _description), (SEGMENTS, _segmentsDescription)):
            if not layoutNode.IsLayoutDescription(number):
                layoutNode.AddLayoutDescription(number, description())


def showComparison(on: bool) -> None:
    """Switch to the comparison, or from it back to the layout that was there before."""
    global _before
    manager = slicer.app.layoutManager()
    if manager is None or on == (manager.layout == COMPARISON):
        return
    if on:
        _before = manager.layout
        register()
        manager.setLayout(COMPARISON)
    else:
        manager.setLayout(_before if _before is not None else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def fillComparison(*volumes: slicer.vtkMRMLVolumeNode) -> None:
    """Put one volume into each of the three views, in its plane, and move the views together."""
    filled = False
    for tag, volume in zip(VIEWS, volumes, strict=True):
        composite = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
        if composite is not None:
            filled |= composite.GetBackgroundVolumeID() != volume.GetID()
            composite.SetLinkedControl(True)
            composite.SetBackgroundVolumeID(volume.GetID())
            composite.SetForegroundVolumeID(None)
            if tag != DIFFERENCE:
                composite.SetLabelVolumeID(None)
    if filled:
        fitComparison()


def showDifferenceLegend(difference: slicer.vtkMRMLScalarVolumeNode) -> None:
    """What the colors of the difference mean, in its view."""
    views.showLegend(difference, True, _("Difference"), DIFFERENCE)


def fitComparison() -> None:
    """Fit what is compared; once more when the new views were drawn, which gives them their size."""
    composite = slicer.mrmlScene.GetSingletonNode(next(iter(VIEWS)), "vtkMRMLSliceCompositeNode")
    volume = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "") if composite is not None else None
    if volume is not None:
        fit(volume)


def showSegments(segments: slicer.vtkMRMLVolumeNode, chart: slicer.vtkMRMLPlotChartNode) -> None:
    """Show a chart and the picture of the bull's-eyes beside the images."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    register()
    manager.setLayout(SEGMENTS)
    manager.plotWidget(0).mrmlPlotViewNode().SetPlotChartNodeID(chart.GetID())
    fillSegments(segments)


def fillSegments(segments: slicer.vtkMRMLVolumeNode | None) -> None:
    """Keep the picture in its view, where that is shown: what is shown in all views would cover it."""
    manager = slicer.app.layoutManager()
    composite = slicer.mrmlScene.GetSingletonNode(SEGMENTS_VIEW, "vtkMRMLSliceCompositeNode")
    if segments is None or manager is None or manager.layout != SEGMENTS or composite is None:
        return
    changed = composite.GetBackgroundVolumeID() != segments.GetID()
    composite.SetLinkedControl(False)
    composite.SetBackgroundVolumeID(segments.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    if changed:
        widget = manager.sliceWidget(SEGMENTS_VIEW)
        widget.mrmlSliceNode().SetOrientationToAxial()
        widget.sliceLogic().FitSliceToBackground()


def _sliceNodes() -> list[slicer.vtkMRMLSliceNode]:
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def _faces(volume: slicer.vtkMRMLVolumeNode, sliceNode: slicer.vtkMRMLSliceNode) -> bool:
    """Whether a slice view lies in the plane of the slices of a volume."""
    directions = vtk.vtkMatrix4x4()
    volume.GetIJKToRASDirectionMatrix(directions)
    return abs(sum(directions.GetElement(i, 2) * sliceNode.GetSliceToRAS().GetElement(i, 2) for i in range(3))) > 0.999


def showVolume(volume: slicer.vtkMRMLVolumeNode) -> None:
    """Show a volume in the slice views where none of them does, and turn to the plane of its slices."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    isShown = any(composite.GetBackgroundVolumeID() == volume.GetID() for composite in composites)
    if not isShown:
        slicer.util.setSliceViewerLayers(background=volume.GetID(), foreground=None, label=None)
    if not isShown or not any(_faces(volume, node) for node in _sliceNodes()):
        fit(volume)


def fit(volume: slicer.vtkMRMLVolumeNode) -> None:
    """Turn the slice views to the plane of the volume's slices, of a stack the second and third to the planes at right
    angles, and fit it."""
    manager = slicer.app.layoutManager()
    if manager is None or not slicer.mrmlScene.IsNodePresent(volume):
        return
    isSlice = volume.GetImageData().GetDimensions()[2] == 1
    axes = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(axes)
    for name in manager.sliceViewNames():
        if name == SEGMENTS_VIEW:
            continue
        widget = manager.sliceWidget(name)
        widget.mrmlSliceNode().RotateToAxes(axes, _SLICE_AXIS if isSlice else _NORMALS.get(name, _SLICE_AXIS))
        widget.sliceLogic().FitSliceToBackground()
