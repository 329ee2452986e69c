"""The section Review: playing, and the switches of what the views show."""

from __future__ import annotations

import qt
import slicer

from DeepRegLogic.results.maps import Map, overlays

from ..i18n import _
from ..kinds import KINDS
from ..show import layouts, views
from .part import Part

_SWITCHES = ("compensated", "labels", "points", "motion", "doubtful")


class ReviewPart(Part):
    """Shows the results of one input. The switches are bound to the parameter node by their names.

    The colors have a switch for every overlay of ``maps.MAPS``, made here.
    """

    def __init__(self, ui, settings) -> None:
        super().__init__(ui, settings)
        self.nodes = None
        self._available: set[str] = set()
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
        self._colors = {name: self._addSwitch(name, entry) for name, entry in overlays().items()}
        for shortcut in ui.playWidget.findChildren(qt.QShortcut):
            # the widget also answers to the keys of the application's own toolbar, and neither would hear them then
            if "+" in shortcut.key.toString():
                shortcut.enabled = False
        ui.reviewCollapsibleButton.collapsed = True

    def _addSwitch(self, name: str, entry: Map):
        """A switch for a map, two in a row; those for who asks for more are among the advanced options."""
        widget = self._ui.advancedOverlaysWidget if entry.advanced else self._ui.overlaysWidget
        box, number = qt.QCheckBox(_(entry.title)), widget.layout().count()
        box.objectName = f"{name}CheckBox"
        widget.layout().addWidget(box, number // 2, number % 2)
        setattr(self._ui, box.objectName, box)
        box.connect("toggled(bool)", lambda on, name=name: self._onColor(name, on))
        return box

    def setResults(self, nodes) -> None:
        """Review these results, or nothing."""
        self._letGo(nodes)
        ui, kind = self._ui, KINDS[nodes.kind] if nodes is not None else None
        appeared = (nodes is None) != (self.nodes is None)
        self.nodes = nodes
        if appeared:
            ui.reviewCollapsibleButton.collapsed = nodes is None
        browser = nodes.browser if nodes is not None else None
        for widget in (ui.playWidget, ui.seekWidget):
            widget.setMRMLSequenceBrowserNode(browser)
            widget.visible = nodes is None or browser is not None
        ui.reviewCollapsibleButton.enabled = nodes is not None
        main = kind.mainVolume(nodes) if kind is not None else None
        if main is not None and (appeared or kind.count(nodes)):
            layouts.showVolume(main)
        self._available = kind.switches(nodes) if kind is not None else set()
        if any(entry.above and name in self._available for name, entry in overlays().items()):
            self._available.add("doubtful")
        ui.doubtfulSpinBox.enabled = "doubtful" in self._available
        for name in _SWITCHES:
            getattr(ui, f"{name}CheckBox").enabled = name in self._available
        for name, box in self._colors.items():
            box.enabled, entry = name in self._available, overlays()[name]
            box.text = _(entry.title_of(kind.ndim(nodes) if kind is not None else 3))
            lacks = entry.needs_covariance and nodes is not None and not box.enabled
            box.toolTip = (
                _("Under Method, ask how sure the motion is, and run again") if lacks else _(entry.explanation)
            )
        self.refresh()

    def _letGo(self, nodes) -> None:
        """Take what lies over the former results out of the views when something else is reviewed."""
        former = self.nodes
        if former is None or former.browser is None or not slicer.mrmlScene.IsNodePresent(former.browser):
            return
        if nodes is None or nodes.kind != former.kind:
            KINDS[former.kind].hide(former)

    def _show(self, settings) -> None:
        if self.nodes is None:
            self._inViews = None
            return
        ui, kind = self._ui, KINDS[self.nodes.kind]
        isOn = {name: name in self._available and getattr(settings, f"show{name.capitalize()}") for name in _SWITCHES}
        for box, value in ((ui.motionStyleComboBox, settings.motionStyle), (ui.compareComboBox, settings.compare)):
            box.setCurrentIndex(max(0, box.findData(value)))
        ui.opacitySlider.value = round(100 * settings.opacity)
        for name, box in self._colors.items():
            box.checked = name == settings.colors
        ui.compareComboBox.enabled = kind.compares
        shown = views.Shown(
            compensated=isOn["compensated"],
            labels=isOn["labels"],
            points=isOn["points"],
            motion=settings.motionStyle if isOn["motion"] else "",
            colors=settings.colors if settings.colors in self._available else "",
            above=settings.doubtfulLimit if isOn["doubtful"] else None,
            opacity=settings.opacity,
            compare=settings.compare,
            sample=settings.sampleShown,
        )
        # what the user shows otherwise stays until a switch is used
        inViews = (self.nodes, shown)
        if inViews != self._inViews:
            compared = self._inViews is not None and self._inViews[1].compare == views.SIDE_BY_SIDE
            self._inViews = inViews
            kind.show(self.nodes, shown, settings)
            if shown.compare == views.SIDE_BY_SIDE and not compared:
                qt.QTimer.singleShot(0, layouts.fitComparison)

    def _onChoice(self, _index: int) -> None:
        settings, ui = self._toStore, self._ui
        if settings is not None and self.nodes is not None:
            style, compare = ui.motionStyleComboBox.currentData, ui.compareComboBox.currentData
            opacity = ui.opacitySlider.value / 100
            settings.motionStyle, settings.compare, settings.opacity = style, compare, opacity

    def _onColor(self, name: str, on: bool) -> None:
        """Only one thing is colored at a time."""
        settings = self._toStore
        if settings is not None and on != (settings.colors == name):
            settings.colors = name if on else ""
