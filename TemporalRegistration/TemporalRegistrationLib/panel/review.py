"""The section Review: playing, and the switches of what the views show."""

from __future__ import annotations

import slicer

from .. import layouts, views
from ..i18n import _
from ..scene import MotionNodes, PairNodes
from .part import Part

_SWITCHES = ("compensated", "labels", "points", "motion", "jacobian", "uncertainty")
_COLORS = ("jacobian", "uncertainty")


class ReviewPart(Part):
    """Shows the results of one input. The switches are bound to the parameter node by their names."""

    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        self.nodes: MotionNodes | PairNodes | None = None
        self._fixed: slicer.vtkMRMLVolumeNode | None = None
        choices = {
            ui.motionStyleComboBox: ((_("as a grid"), views.GRID), (_("as arrows"), views.ARROWS)),
            ui.compareComboBox: (
                (_("One view"), views.SINGLE),
                (_("Side by side, with the difference"), views.SIDE_BY_SIDE),
                (_("Blended"), views.BLENDED),
            ),
        }
        for box, items in choices.items():
            for title, value in items:
                box.addItem(title, value)
            box.connect("currentIndexChanged(int)", self._onChoice)
        ui.opacitySlider.connect("valueChanged(int)", self._onChoice)
        for name in _COLORS:
            getattr(ui, f"{name}CheckBox").connect("toggled(bool)", getattr(self, f"_on{name.capitalize()}"))
        ui.reviewCollapsibleButton.collapsed = True

    def setResults(self, nodes: MotionNodes | PairNodes | None, fixed: slicer.vtkMRMLVolumeNode | None = None) -> None:
        """Review these results (of a pair with its fixed volume), or nothing."""
        ui, cine = self._ui, nodes if isinstance(nodes, MotionNodes) else None
        appeared = (nodes is None) != (self.nodes is None)
        self.nodes, self._fixed = nodes, fixed
        for widget in (ui.playWidget, ui.seekWidget):
            widget.setMRMLSequenceBrowserNode(cine.browser if cine is not None else None)
            widget.visible = nodes is None or cine is not None
        ui.reviewCollapsibleButton.enabled = nodes is not None
        if appeared:
            ui.reviewCollapsibleButton.collapsed = nodes is None
        if appeared and cine is not None:
            layouts.showVolume(views.cineProxyOf(cine))
        available = {
            "compensated": nodes is not None,
            "labels": cine is not None and cine.labels is not None,
            "points": cine is not None and bool(cine.points),
            "motion": nodes is not None,
            "jacobian": cine is not None,
            "uncertainty": cine is not None and cine.uncertainty is not None,
        }
        for name in _SWITCHES:
            getattr(ui, f"{name}CheckBox").enabled = available[name]
        ui.uncertaintyCheckBox.toolTip = (
            _("Color where the motion is uncertain, in millimeters")
            if available["uncertainty"]
            else _("This model does not tell how sure it is")
        )
        self.refresh()

    def _show(self, settings) -> None:
        if self.nodes is None:
            return
        ui, isOn = self._ui, {name: self._isOn(name, settings) for name in _SWITCHES}
        for box, value in ((ui.motionStyleComboBox, settings.motionStyle), (ui.compareComboBox, settings.compare)):
            box.setCurrentIndex(max(0, box.findData(value)))
        ui.opacitySlider.value = round(100 * settings.opacity)
        shown = views.Shown(
            compensated=isOn["compensated"],
            labels=isOn["labels"],
            points=isOn["points"],
            motion=settings.motionStyle if isOn["motion"] else "",
            colors=next((name for name in reversed(_COLORS) if isOn[name]), ""),
            opacity=settings.opacity,
            compare=settings.compare,
        )
        if isinstance(self.nodes, MotionNodes):
            views.show(self.nodes, shown)
        else:
            views.showPair(self.nodes, self._fixed, shown)

    def _isOn(self, name: str, settings) -> bool:
        return getattr(self._ui, f"{name}CheckBox").enabled and getattr(settings, f"show{name.capitalize()}")

    def _onChoice(self, _index: int) -> None:
        settings, ui = self._toStore, self._ui
        if settings is not None and self.nodes is not None:
            settings.motionStyle = ui.motionStyleComboBox.currentData
            settings.compare = ui.compareComboBox.currentData
            settings.opacity = ui.opacitySlider.value / 100

    def _onJacobian(self, on: bool) -> None:
        """Only one thing is colored at a time."""
        if on and self._toStore is not None:
            self._toStore.showUncertainty = False

    def _onUncertainty(self, on: bool) -> None:
        if on and self._toStore is not None:
            self._toStore.showJacobian = False
