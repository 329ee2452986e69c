"""The tab Generate: the frame that cines are made from, how many, and which of them is shown."""

from __future__ import annotations

from ..kinds import KINDS, TABS
from ..nodes.sequences import browserOf
from ..show import layouts
from .part import Part


class GeneratePart(Part):
    """The selectors are bound to the parameter node by name; the numbers are stored here."""

    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        ui.taskTabWidget.connect("currentChanged(int)", self._onTab)
        ui.generateFrameSlider.connect("valueChanged(double)", self._onFrame)
        self._numbers = {
            "sampleFrames": ui.sampleFramesSlider,
            "samples": ui.samplesSlider,
            "seed": ui.seedSpinBox,
            "sampleShown": ui.sampleSlider,
        }
        for widget in self._numbers.values():
            widget.connect("valueChanged(double)", self._onNumber)

    def setResults(self, nodes: object | None) -> None:
        """Offer the cines that were made."""
        count = KINDS[nodes.kind].count(nodes) if nodes is not None else 0
        self._showing = True  # the slider changes because of what there is to show
        self._ui.sampleSlider.maximum = max(1, count)
        self._ui.sampleSlider.enabled = count > 1
        self._showing = False

    def _show(self, settings) -> None:
        ui, node = self._ui, settings.generateInput
        isSequence = bool(node and node.IsA("vtkMRMLSequenceNode"))
        last = max(0, node.GetNumberOfDataNodes() - 1) if isSequence else 0
        ui.generateFrameSlider.maximum = last
        ui.generateFrameSlider.value = min(settings.generateFrame, last)
        ui.generateFrameSlider.enabled = last > 0
        for name, widget in self._numbers.items():
            widget.value = getattr(settings, name)

    def _onTab(self, index: int) -> None:
        """Start from the cine of the first tab where nothing was chosen."""
        settings = self._toStore
        if settings and TABS[index] == "generate" and not settings.generateInput and settings.inputSequence:
            settings.generateInput = settings.inputSequence

    def _onFrame(self, value: float) -> None:
        """Store the frame, and show it."""
        settings = self._toStore
        if settings and settings.generateInput and settings.generateInput.IsA("vtkMRMLSequenceNode"):
            settings.generateFrame = int(value)
            browser = browserOf(settings.generateInput)
            browser.SetSelectedItemNumber(int(value))
            layouts.showVolume(browser.GetProxyNode(settings.generateInput))

    def _onNumber(self, _value: float) -> None:
        settings = self._toStore
        if settings:
            for name, number in {name: int(widget.value) for name, widget in self._numbers.items()}.items():
                if getattr(settings, name) != number:
                    setattr(settings, name, number)
