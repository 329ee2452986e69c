"""A layout of three linked slice views: the moving images, those with the motion taken out, and the difference."""

from __future__ import annotations

import slicer

COMPARISON = 7310  # any number that no other layout has
VIEWS = {
    "TemporalRegistrationMoving": "Moving",
    "TemporalRegistrationCompensated": "Motion taken out",
    "TemporalRegistrationDifference": "Difference to the reference",
}


def _description() -> str:
    views = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property></view></item>'
        for tag, label in VIEWS.items()
    )
    return f'<layout type="horizontal" split="true">{views}</layout>'


_before: int | None = None


def showComparison(on: bool) -> None:
    """Switch to the comparison, or from it back to the layout that was there before."""
    global _before
    manager = slicer.app.layoutManager()
    if manager is None or on == (manager.layout == COMPARISON):
        return
    if on:
        _before = manager.layout
        layoutNode = manager.layoutLogic().GetLayoutNode()
        if not layoutNode.IsLayoutDescription(COMPARISON):
            layoutNode.AddLayoutDescription(COMPARISON, _description())
        manager.setLayout(COMPARISON)
    else:
        manager.setLayout(_before if _before is not None else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def fillComparison(*volumes: slicer.vtkMRMLVolumeNode) -> None:
    """Put one volume into each of the three views, and move the views together."""
    for tag, volume in zip(VIEWS, volumes, strict=True):
        composite = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
        if composite is not None:
            composite.SetLinkedControl(True)
            composite.SetBackgroundVolumeID(volume.GetID())
            composite.SetForegroundVolumeID(None)
            if tag != "TemporalRegistrationMoving":
                composite.SetLabelVolumeID(None)


def fit(volume: slicer.vtkMRMLVolumeNode) -> None:
    """Turn the slice views into the plane of the volume and fit it, as a single slice needs."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        for name in manager.sliceViewNames():
            widget = manager.sliceWidget(name)
            widget.mrmlSliceNode().RotateToVolumePlane(volume)
            widget.sliceLogic().FitSliceToBackground()
