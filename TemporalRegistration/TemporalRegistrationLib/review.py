"""The panel's Review, Curves and Quality: what the switches do, and the frame that is marked in the curves."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk
from slicer.i18n import tr as _

from . import charts, quality, results, views
from .scene import MotionNodes, PairNodes

_SWITCHES = ("compensated", "labels", "points", "motion", "jacobian", "uncertainty")


class ReviewPanel:
    """Binds the review widgets of the panel to the results of one input.

    ``settings`` gives the switches (the parameter node); the widgets of the switches are bound to it by their names.
    """

    def __init__(self, ui, settings: Callable[[], object]) -> None:
        self._ui, self._settings = ui, settings
        self._nodes: MotionNodes | PairNodes | None = None
        self._fixed: slicer.vtkMRMLVolumeNode | None = None
        self._browser: slicer.vtkMRMLSequenceBrowserNode | None = None
        self._tag: int | None = None
        self._markers: list[slicer.vtkMRMLTableNode] = []
        self._plotView = None
        for title, style in ((_("as a grid"), views.GRID), (_("as arrows"), views.ARROWS)):
            ui.motionStyleComboBox.addItem(title, style)
        for title, mode in (
            (_("One view"), views.SINGLE),
            (_("Side by side"), views.SIDE_BY_SIDE),
            (_("Blended"), views.BLENDED),
        ):
            ui.compareComboBox.addItem(title, mode)
        for box in (ui.motionStyleComboBox, ui.compareComboBox):
            box.connect("currentIndexChanged(int)", self._onChoice)
        ui.opacitySlider.connect("valueChanged(int)", self._onChoice)
        ui.speedSpinBox.connect("valueChanged(double)", self._onSpeed)
        ui.loopCheckBox.connect("toggled(bool)", self._onLoop)
        ui.chartButton.connect("clicked(bool)", self._onShowCurves)
        self.setResults(None)
        self._collapse(True)

    @property
    def nodes(self) -> MotionNodes | PairNodes | None:
        return self._nodes

    def setResults(self, nodes: MotionNodes | PairNodes | None, fixed: slicer.vtkMRMLVolumeNode | None = None) -> None:
        """Review these results (of a pair with its fixed volume), or nothing."""
        ui = self._ui
        appeared = (nodes is None) != (self._nodes is None)
        self._nodes, self._fixed = nodes, fixed
        cine = nodes if isinstance(nodes, MotionNodes) else None
        self._follow(cine.browser if cine is not None else None)
        for name in ("playWidget", "seekWidget"):
            getattr(ui, name).setMRMLSequenceBrowserNode(self._browser)
        for section in (ui.reviewCollapsibleButton, ui.exportCollapsibleButton):
            section.enabled = nodes is not None
        for section in (ui.curvesCollapsibleButton, ui.qualityCollapsibleButton):
            section.enabled = cine is not None
        if appeared:
            self._collapse(nodes is None)
        available = {
            "compensated": cine is not None,
            "labels": cine is not None and cine.labels is not None,
            "points": cine is not None and bool(cine.points),
            "motion": nodes is not None,
            "jacobian": cine is not None,
            "uncertainty": cine is not None and cine.uncertainty is not None,
        }
        for name in _SWITCHES:
            getattr(ui, f"{name}CheckBox").enabled = available[name]
        ui.uncertaintyCheckBox.visible = available["uncertainty"]
        ui.compareComboBox.enabled = cine is not None
        ui.qualityLabel.text = quality.sentence(cine.table) if cine is not None else ""
        ui.qualityTableView.setMRMLTableNode(cine.table if cine is not None else None)
        ui.ejectionLabel.text = quality.sizesText(cine.sizes) if cine is not None and cine.sizes is not None else ""
        self._fillCharts(cine)
        if self._browser is not None:
            ui.speedSpinBox.value = self._browser.GetPlaybackRateFps()
            ui.loopCheckBox.checked = self._browser.GetPlaybackLooped()
        self.refresh()

    def _collapse(self, collapsed: bool) -> None:
        ui = self._ui
        for section in (ui.reviewCollapsibleButton, ui.curvesCollapsibleButton, ui.qualityCollapsibleButton):
            section.collapsed = collapsed

    def refresh(self) -> None:
        """Show what the switches say."""
        settings = self._settings()
        if self._nodes is None or settings is None:
            return
        ui, enabled = self._ui, {name: getattr(self._ui, f"{name}CheckBox").enabled for name in _SWITCHES}
        for box, value in ((ui.motionStyleComboBox, settings.motionStyle), (ui.compareComboBox, settings.compare)):
            box.setCurrentIndex(max(0, box.findData(value)))
        ui.opacitySlider.value = round(100 * settings.opacity)
        colors = [name for name in ("jacobian", "uncertainty") if enabled[name] and self._switch(name)]
        shown = views.Shown(
            compensated=enabled["compensated"] and settings.showCompensated,
            labels=settings.showLabels,
            points=settings.showPoints,
            motion=settings.motionStyle if settings.showMotion else "",
            colors=colors[-1] if colors else "",
            opacity=settings.opacity,
            compare=settings.compare,
        )
        if isinstance(self._nodes, MotionNodes):
            views.show(self._nodes, shown)
        elif self._fixed is not None:
            views.showPair(self._nodes, self._fixed, shown)

    def _switch(self, name: str) -> bool:
        return getattr(self._settings(), f"show{name.capitalize()}")

    def close(self) -> None:
        """Let go of the scene."""
        self._nodes = self._fixed = None
        self._follow(None)

    def _follow(self, browser: slicer.vtkMRMLSequenceBrowserNode | None) -> None:
        if self._browser is not None and self._tag is not None:
            self._browser.RemoveObserver(self._tag)
        self._browser, self._tag = browser, None
        if browser is not None:
            self._tag = browser.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onFrame)

    def _onChoice(self, _index: int) -> None:
        settings, ui = self._settings(), self._ui
        if settings is not None and self._nodes is not None:
            settings.motionStyle = ui.motionStyleComboBox.currentData
            settings.compare = ui.compareComboBox.currentData
            settings.opacity = ui.opacitySlider.value / 100
            self.refresh()

    def _onSpeed(self, rate: float) -> None:
        if self._browser is not None:
            self._browser.SetPlaybackRateFps(rate)

    def _onLoop(self, loop: bool) -> None:
        if self._browser is not None:
            self._browser.SetPlaybackLooped(loop)

    def _fillCharts(self, nodes: MotionNodes | None) -> None:
        box, self._markers = self._ui.chartComboBox, []
        box.clear()
        if nodes is not None:
            found = results.findResults(results.inputOf(nodes.table))
            self._markers = [node for role, node in found.items() if role.endswith("Marker")]
            roles = {"sizes": _("Size of labels"), "motion": _("Displacement"), "quality": _("Quality")}
            for role, title in roles.items():
                if getattr(nodes, f"{role}Chart") is not None:
                    box.addItem(title, role)
        self._onFrame()

    def _onShowCurves(self, _checked: bool = False) -> None:
        """Show the chosen chart, and let a click on a curve go to its frame."""
        manager, role = slicer.app.layoutManager(), self._ui.chartComboBox.currentData
        if manager is None or role is None:
            return
        slicer.modules.plots.logic().ShowChartInLayout(getattr(self._nodes, f"{role}Chart"))
        view = manager.plotWidget(0).plotView()
        if self._plotView is not view:
            view.connect("dataSelected(vtkStringArray*,vtkCollection*)", self._onCurveClicked)
            self._plotView = view

    def _onCurveClicked(self, _series, selections) -> None:
        """Go to the first frame that was picked; the row of a table is the number of its frame."""
        for index in range(selections.GetNumberOfItems()):
            picked = selections.GetItemAsObject(index)
            if picked.GetNumberOfTuples() and self._browser is not None:
                self._browser.SetSelectedItemNumber(int(picked.GetTuple1(0)))
                return

    def _onFrame(self, caller=None, event=None) -> None:
        """Mark the current frame in the curves."""
        if self._browser is None or not isinstance(self._nodes, MotionNodes):
            return
        table = self._nodes.table.GetTable()
        frame = self._browser.GetSelectedItemNumber()
        if not 0 <= frame < table.GetNumberOfRows():
            return
        x = table.GetColumnByName(charts.xColumn(self._nodes.table)).GetTuple1(frame)
        for marker in self._markers:
            charts.markFrame(marker, x)
