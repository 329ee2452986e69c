"""Contours without drawing: the buttons below the labels, and the clicks in the views that follow them."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer

from ..contours import ContoursTask, Found
from ..i18n import _, translated
from ..run.job import Job, State
from .part import Part

_SHORT, _LONG = 1, 3
"""Clicks in a short axis: in the cavity; in a long axis: the apex, and both ends of the annulus."""


class ContoursPart(Part):
    """``start`` runs a task and calls back with its job; ``tell`` shows a sentence."""

    def __init__(self, ui, settings, start: Callable, tell: Callable[[str], None]) -> None:
        super().__init__(ui, settings)
        self._start, self._tell = start, tell
        self._clicked: slicer.vtkMRMLMarkupsFiducialNode | None = None
        self._tag: int | None = None
        self._count = 0
        ui.contoursButton.connect("clicked(bool)", lambda _checked=False: self._onButton(_SHORT))
        ui.longAxisButton.connect("clicked(bool)", lambda _checked=False: self._onButton(_LONG))

    def _show(self, settings) -> None:
        cine = settings.inputSequence
        for button in (self._ui.contoursButton, self._ui.longAxisButton):
            button.enabled = cine is not None and cine.GetNumberOfDataNodes() > 0

    def close(self) -> None:
        """Wait for no more clicks."""
        node, self._clicked = self._clicked, None
        if node is None:
            return
        node.RemoveObserver(self._tag)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if interaction is not None:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        slicer.mrmlScene.RemoveNode(node)

    def _onButton(self, count: int) -> None:
        """Wait for clicks in the views; a second press of the button stops that."""
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        isPlacing = interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place
        again = self._clicked is not None and count == self._count and isPlacing  # Escape ends placing, too
        self.close()
        if again:
            self._tell("")
            return
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("Click"))
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.CreateDefaultDisplayNodes()
        self._clicked, self._count = node, count
        self._tag = node.AddObserver(node.PointPositionDefinedEvent, self._onClick)
        markups = slicer.modules.markups.logic()
        markups.SetActiveList(node)
        markups.StartPlaceMode(count > _SHORT)
        self._tell(
            _("Click in the middle of the left ventricle.")
            if count == _SHORT
            else _("Click the apex of the left ventricle's cavity, then both ends of the mitral annulus.")
        )

    def _onClick(self, node: slicer.vtkMRMLMarkupsFiducialNode, _event=None) -> None:
        if node.GetNumberOfDefinedControlPoints() == self._count:
            qt.QTimer.singleShot(0, self._onClicked)  # after the event, as the node that it is of goes

    def _onClicked(self) -> None:
        """All clicks are there."""
        settings, node = self._settings(), self._clicked
        if node is None:
            return
        clicks = [node.GetNthControlPointPositionWorld(index) for index in range(self._count)]
        self.close()
        if settings is not None and settings.inputSequence is not None:
            frame = None if settings.automaticReference else settings.referenceFrame
            self._start(ContoursTask(settings.inputSequence, clicks, frame), self._onFound)

    def _onFound(self, job: Job) -> None:
        settings = self._settings()
        if job.state is not State.DONE or settings is None:
            return
        found: Found = job.result
        settings.automaticReference, settings.referenceFrame = False, found.frame
        settings.labels = found.segmentation
        text = _("Contours were found on frame {frame}. Correct them in the Segment Editor, or follow the motion.")
        self._tell(" ".join([text.format(frame=found.frame), *map(translated, found.notes)]))
