"""The tabs Cine and Pair: what is registered. Most of their widgets are bound to the parameter node by name."""

from __future__ import annotations

import qt
import slicer
import slicer.util

from ..i18n import _
from ..kinds import TABS
from ..nodes import transaction
from ..nodes.multivolumes import sequenceOfMultiVolume
from ..nodes.sequences import browserOf, isCine
from ..show import layouts
from .part import Part


class InputPart(Part):
    """The selector of the cine is bound here: it takes sequences of grey and of colour images, and multi-volumes."""

    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        self._hidden: tuple[str, ...] = ()
        # the application's lists have one filter of attributes a class: any data; what is no image is hidden by its ID
        for selector in (ui.inputSelector, ui.generateSelector):
            selector.addAttribute("vtkMRMLSequenceNode", "DataNodeClassName")
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onInput)
        ui.taskTabWidget.connect("currentChanged(int)", self._onTab)
        ui.referenceSlider.connect("valueChanged(double)", self._onReferenceFrame)

    def chooseFirst(self) -> None:
        """Choose the first cine of the scene where none was chosen."""
        settings = self._settings()
        if not settings.inputSequence:
            for node in slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
                if isCine(node) and transaction.inputOf(node) is None:
                    settings.inputSequence = node
                    return

    def choose(self, sequenceNode) -> None:
        """Take a cine, and show it."""
        settings = self._settings()
        self.listCines()
        settings.task = TABS[0]
        settings.inputSequence = sequenceNode
        layouts.showVolume(browserOf(sequenceNode).GetProxyNode(sequenceNode))

    def listCines(self) -> None:
        """Offer sequences of images alone."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
        hidden = tuple(node.GetID() for node in nodes if node.GetNumberOfDataNodes() and not isCine(node))
        if hidden != self._hidden:
            self._hidden = hidden
            for selector in (self._ui.inputSelector, self._ui.generateSelector):
                selector.sortFilterProxyModel().hiddenNodeIDs = hidden

    def _show(self, settings) -> None:
        ui, sequenceNode = self._ui, settings.inputSequence
        self.listCines()
        ui.inputSelector.setCurrentNode(sequenceNode)
        ui.taskTabWidget.setCurrentIndex(TABS.index(settings.task))
        self._fitTabs()
        last = max(0, sequenceNode.GetNumberOfDataNodes() - 1) if sequenceNode else 0
        ui.referenceSlider.maximum = last
        ui.referenceSlider.value = min(settings.referenceFrame, last)
        ui.referenceSlider.enabled = not settings.automaticReference and last > 0

    def _onInput(self, node) -> None:
        settings = self._toStore
        if not settings or node is settings.inputSequence:
            return
        if node is not None and node.IsA("vtkMRMLMultiVolumeNode"):
            with slicer.util.tryWithErrorDisplay(_("The multi-volume could not be taken apart."), waitCursor=True):
                self.choose(sequenceOfMultiVolume(node))
        elif node is None:
            settings.inputSequence = None
        else:
            self.choose(node)

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
