"""A layout of three linked slice views: the moving images, those with the motion taken out, and the difference."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from ..i18n import _

COMPARISON = 7310  # any number that no other layout has
VIEWS = {
    "TemporalRegistrationMoving": lambda: _("Moving"),
    "TemporalRegistrationCompensated": lambda: _("Motion-compensated"),
    "TemporalRegistrationDifference": lambda: _("Difference"),
}


def _description() -> str:
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
    """Make the comparison known: a scene that was saved in it would be shown without views otherwise."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        layoutNode = manager.layoutLogic().GetLayoutNode()
        if not layoutNode.IsLayoutDescription(COMPARISON):
            layoutNode.AddLayoutDescription(COMPARISON, _description())


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
    for tag, volume in zip(VIEWS, volumes, strict=True):
        composite = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
        if composite is not None:
            composite.SetLinkedControl(True)
            composite.SetBackgroundVolumeID(volume.GetID())
            composite.SetForegroundVolumeID(None)
            if tag != "TemporalRegistrationMoving":
                composite.SetLabelVolumeID(None)
    if not any(_faces(volumes[0], node) for node in _sliceNodes() if node.GetLayoutName() in VIEWS):
        fit(volumes[0])


def _sliceNodes() -> list[slicer.vtkMRMLSliceNode]:
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def _faces(volume: slicer.vtkMRMLVolumeNode, sliceNode: slicer.vtkMRMLSliceNode) -> bool:
    """Whether a slice view lies in the plane of the slices of a volume."""
    directions = vtk.vtkMatrix4x4()
    volume.GetIJKToRASDirectionMatrix(directions)
    return abs(sum(directions.GetElement(i, 2) * sliceNode.GetSliceToRAS().GetElement(i, 2) for i in range(3))) > 0.999


def showVolume(volume: slicer.vtkMRMLVolumeNode) -> None:
    """Show a volume in the slice views where none of them does, and turn to the one plane of a single slice."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    isShown = any(composite.GetBackgroundVolumeID() == volume.GetID() for composite in composites)
    if not isShown:
        slicer.util.setSliceViewerLayers(background=volume.GetID(), foreground=None, label=None)
    isSlice = volume.GetImageData().GetDimensions()[2] == 1
    if not isShown or (isSlice and not any(_faces(volume, node) for node in _sliceNodes())):
        fit(volume)


def fit(volume: slicer.vtkMRMLVolumeNode) -> None:
    """Turn the slice views into the plane of the volume and fit it, as a single slice needs."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        for name in manager.sliceViewNames():
            widget = manager.sliceWidget(name)
            widget.mrmlSliceNode().RotateToVolumePlane(volume)
            widget.sliceLogic().FitSliceToBackground()
