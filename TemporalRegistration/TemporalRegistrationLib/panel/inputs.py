"""The tabs Cine and Pair: what is registered. Most of their widgets are bound to the parameter node by name."""

from __future__ import annotations

import qt
import slicer
import slicer.util

from .. import sample
from ..i18n import _
from ..kinds import TABS
from ..nodes import transaction
from ..nodes.sequences import browserOf
from ..show import layouts
from .part import Part


class InputPart(Part):
    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        ui.inputSelector.addAttribute("vtkMRMLSequenceNode", "DataNodeClassName", "vtkMRMLScalarVolumeNode")
        ui.taskTabWidget.connect("currentChanged(int)", self._onTab)
        ui.referenceSlider.connect("valueChanged(double)", self._onReferenceFrame)
        ui.sampleButton.connect("clicked(bool)", self._onSampleButton)

    def chooseFirst(self) -> None:
        """Choose the first cine of the scene where none was chosen."""
        settings = self._settings()
        if not settings.inputSequence:
            for node in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
                if node.GetDataNodeClassName() == "vtkMRMLScalarVolumeNode" and transaction.inputOf(node) is None:
                    settings.inputSequence = node
                    return

    def _show(self, settings) -> None:
        ui, sequenceNode = self._ui, settings.inputSequence
        ui.taskTabWidget.setCurrentIndex(TABS.index(settings.task))
        self._fitTabs()
        last = max(0, sequenceNode.GetNumberOfDataNodes() - 1) if sequenceNode else 0
        ui.referenceSlider.maximum = last
        ui.referenceSlider.value = min(settings.referenceFrame, last)
        ui.referenceSlider.enabled = not settings.automaticReference and last > 0

    def _onTab(self, index: int) -> None:
        self._fitTabs()
        if self._toStore:
            self._toStore.task = TABS[index]

    def _fitTabs(self) -> None:
        """Make the tabs as tall as the open one needs, and not as the tallest."""
        tabs, policy = self._ui.taskTabWidget, qt.QSizePolicy
        for number in range(tabs.count):
            isOpen = number == tabs.currentIndex
            tabs.widget(number).setSizePolicy(policy.Preferred, policy.Preferred if isOpen else policy.Ignored)
        tabs.maximumHeight = tabs.minimumSizeHint.height()

    def _onReferenceFrame(self, value: float) -> None:
        """Store the reference frame, and show it."""
        settings = self._toStore
        if settings and settings.inputSequence:
            settings.referenceFrame = int(value)
            browser = browserOf(settings.inputSequence)
            browser.SetSelectedItemNumber(int(value))
            layouts.showVolume(browser.GetProxyNode(settings.inputSequence))

    def _onSampleButton(self, _checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            sequenceNode = sample.loadSample()
            self._settings().task = TABS[0]
            self._settings().inputSequence = sequenceNode
            layouts.showVolume(browserOf(sequenceNode).GetProxyNode(sequenceNode))
