"""The section Review: playing, and the switches of what the views show."""

from __future__ import annotations

import qt
import slicer

from .. import generation, layouts, views
from ..generation import GeneratedNodes
from ..i18n import _
from ..pairs import PairNodes
from ..scene import MotionNodes
from .part import Part

_SWITCHES = ("compensated", "labels", "points", "motion", "jacobian", "uncertainty", "doubtful", "entropy")
_COLORS = ("jacobian", "uncertainty", "entropy")


class ReviewPart(Part):
    """Shows the results of one input. The switches are bound to the parameter node by their names."""

    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        self.nodes: MotionNodes | PairNodes | GeneratedNodes | None = None
        self._fixed: slicer.vtkMRMLVolumeNode | None = None
        self._available = dict.fromkeys(_SWITCHES, False)
        self._inViews: tuple | None = None
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
        for shortcut in ui.playWidget.findChildren(qt.QShortcut):
            # the widget also answers to the keys of the application's own toolbar, and neither would hear them then
            if "+" in shortcut.key.toString():
                shortcut.enabled = False
        ui.reviewCollapsibleButton.collapsed = True

    def setResults(
        self, nodes: MotionNodes | PairNodes | GeneratedNodes | None, fixed: slicer.vtkMRMLVolumeNode | None = None
    ) -> None:
        """Review these results (of a pair with its fixed volume), or nothing."""
        self._letGo(nodes)
        ui, cine = self._ui, nodes if isinstance(nodes, MotionNodes) else None
        appeared = (nodes is None) != (self.nodes is None)
        self.nodes, self._fixed = nodes, fixed
        if appeared:
            ui.reviewCollapsibleButton.collapsed = nodes is None
        for widget in (ui.playWidget, ui.seekWidget):
            widget.setMRMLSequenceBrowserNode(getattr(nodes, "browser", None))
            widget.visible = not isinstance(nodes, PairNodes)
        ui.reviewCollapsibleButton.enabled = nodes is not None
        if appeared and cine is not None:
            layouts.showVolume(views.cineProxyOf(cine))
        registered = cine is not None or isinstance(nodes, PairNodes)
        made = nodes.samples[0] if isinstance(nodes, GeneratedNodes) else None
        if made is not None:
            layouts.showVolume(nodes.proxy(made.images))
        self._available = {
            "compensated": registered,
            "labels": getattr(cine or made, "labels", None) is not None,
            "points": cine is not None and bool(cine.points),
            "motion": registered,
            "jacobian": cine is not None,
            "uncertainty": cine is not None and cine.uncertainty is not None,
            "doubtful": cine is not None and cine.uncertainty is not None,
            "entropy": cine is not None and cine.entropy is not None,
        }
        ui.doubtfulSpinBox.enabled = self._available["doubtful"]
        for name in _SWITCHES:
            getattr(ui, f"{name}CheckBox").enabled = self._available[name]
        ui.uncertaintyCheckBox.toolTip = (
            _("Color where the motion is uncertain, in millimeters")
            if self._available["uncertainty"]
            else _("This model does not tell how sure it is")
        )
        self.refresh()

    def _letGo(self, nodes: object | None) -> None:
        """Take what lies over the former results out of the views when something else is reviewed."""
        former = getattr(self.nodes, "browser", None)
        if former is None or isinstance(nodes, type(self.nodes)) or not slicer.mrmlScene.IsNodePresent(former):
            return
        if isinstance(self.nodes, MotionNodes):
            views.hide(self.nodes)
        elif isinstance(self.nodes, GeneratedNodes):
            generation.hideSegments(self.nodes)

    def _show(self, settings) -> None:
        if self.nodes is None:
            self._inViews = None
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
            doubtful=settings.doubtfulLimit if isOn["doubtful"] else None,
            opacity=settings.opacity,
            compare=settings.compare,
        )
        ui.compareComboBox.enabled = not isinstance(self.nodes, GeneratedNodes)
        # what the user shows otherwise stays until a switch is used
        inViews = (self.nodes, self._fixed, shown, settings.sampleShown)
        if inViews == self._inViews:
            return
        self._inViews = inViews
        if isinstance(self.nodes, GeneratedNodes):
            last = len(self.nodes.samples)
            generation.showSample(self.nodes, min(settings.sampleShown, last) - 1, isOn["labels"])
        elif isinstance(self.nodes, MotionNodes):
            views.show(self.nodes, shown)
        else:
            views.showPair(self.nodes, self._fixed, shown)

    def _isOn(self, name: str, settings) -> bool:
        return self._available[name] and getattr(settings, f"show{name.capitalize()}")

    def _onChoice(self, _index: int) -> None:
        settings, ui = self._toStore, self._ui
        if settings is not None and self.nodes is not None:
            style, compare = ui.motionStyleComboBox.currentData, ui.compareComboBox.currentData
            opacity = ui.opacitySlider.value / 100
            settings.motionStyle, settings.compare, settings.opacity = style, compare, opacity

    def _onJacobian(self, on: bool) -> None:
        self._colorOnly("jacobian", on)

    def _onUncertainty(self, on: bool) -> None:
        self._colorOnly("uncertainty", on)

    def _onEntropy(self, on: bool) -> None:
        self._colorOnly("entropy", on)

    def _colorOnly(self, chosen: str, on: bool) -> None:
        """Only one thing is colored at a time."""
        if on and self._toStore is not None:
            for name in _COLORS:
                if name != chosen:
                    setattr(self._toStore, f"show{name.capitalize()}", False)
