"""The sections Curves and Quality: plots with the current frame marked, and what was measured, in words."""

from __future__ import annotations

import slicer
import vtk

from ..kinds import KINDS
from ..nodes import transaction
from ..nodes.tables import shownTable
from ..show import charts, doubts, layouts

_FIRST = "strain"  # the chart that is chosen where there is one of it


class CurvesPart:
    """Shows the curves and the quality of results that have them."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self._nodes = None
        self._doubtful = doubts.DOUBTFUL_MM
        self._tag: int | None = None
        self._markers: list[slicer.vtkMRMLTableNode] = []
        self._series: set[str] = set()
        self._plotView = None
        ui.chartButton.connect("clicked(bool)", self._onShowCurves)
        ui.qualityTableView.verticalHeader().hide()  # it counts from 1, frames from 0

    def setResults(self, nodes: object | None) -> None:
        ui = self._ui
        if self._nodes is not None:
            self._nodes.browser.RemoveObserver(self._tag)
        self._nodes = cine = KINDS[nodes.kind].charts(nodes) if nodes is not None else None
        for section in (ui.curvesCollapsibleButton, ui.qualityCollapsibleButton):
            section.enabled = cine is not None
            section.collapsed = cine is None
        self._tell()
        ui.qualityTableView.setMRMLTableNode(shownTable(cine.table if cine is not None else None))
        ui.qualityTableView.resizeColumnsToContents()
        ui.ejectionLabel.text = doubts.sizesText(cine.sizes) if cine is not None and cine.sizes is not None else ""
        ui.ejectionLabel.visible = bool(ui.ejectionLabel.text)
        self._markers, self._series = [], set()
        ui.chartComboBox.clear()
        if cine is not None:
            self._tag = cine.browser.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onFrame)
            self._listCharts(cine)
            self._onFrame()

    def setDoubtful(self, limit: float) -> None:
        """Take frames for doubtful whose uncertainty is above ``limit`` mm."""
        if limit != self._doubtful:
            self._doubtful = limit
            self._tell()

    def _tell(self) -> None:
        table = self._nodes.table if self._nodes is not None else None
        self._ui.qualityLabel.text = doubts.sentence(table, self._doubtful) if table is not None else ""

    def close(self) -> None:
        """Let go of the scene."""
        if self._nodes is not None:
            self._nodes.browser.RemoveObserver(self._tag)
        self._nodes = None
        if self._plotView is not None:
            self._plotView.disconnect("dataSelected(vtkStringArray*,vtkCollection*)", self._onCurveClicked)
            self._plotView = None

    def _listCharts(self, cine) -> None:
        found = transaction.findResults(transaction.inputOf(cine.table))
        self._markers = [node for role, node in found.items() if role.endswith("Marker")]
        self._series = {node.GetID() for role, node in found.items() if "Series" in role and "Marker" not in role}
        for role, title in charts.titles().items():
            if getattr(cine, f"{role}Chart") is not None:
                self._ui.chartComboBox.addItem(title, role)
        self._ui.chartComboBox.setCurrentIndex(max(0, self._ui.chartComboBox.findData(_FIRST)))

    def _onShowCurves(self, _checked: bool = False) -> None:
        """Show the chosen chart, and let a click on a curve go to its frame."""
        manager, role = slicer.app.layoutManager(), self._ui.chartComboBox.currentData
        if manager is None or role is None:
            return
        chart = getattr(self._nodes, f"{role}Chart")
        if self._nodes.segments is not None:
            layouts.showSegments(self._nodes.segments, chart)
        else:
            slicer.modules.plots.logic().ShowChartInLayout(chart)
        if self._plotView is None:
            self._plotView = manager.plotWidget(0).plotView()
            self._plotView.connect("dataSelected(vtkStringArray*,vtkCollection*)", self._onCurveClicked)

    def _onCurveClicked(self, series: vtk.vtkStringArray, selections: vtk.vtkCollection) -> None:
        """Go to the first frame that was picked on a curve of ours; the row of a table is the number of its frame."""
        for index in range(min(series.GetNumberOfValues(), selections.GetNumberOfItems())):
            picked = selections.GetItemAsObject(index)
            if series.GetValue(index) in self._series and picked.GetNumberOfTuples():
                self._nodes.browser.SetSelectedItemNumber(int(picked.GetTuple1(0)))
                return

    def _onFrame(self, _caller=None, _event=None) -> None:
        """Mark the current frame in the curves."""
        frame, table = self._nodes.browser.GetSelectedItemNumber(), self._nodes.table.GetTable()
        if 0 <= frame < table.GetNumberOfRows():
            x = table.GetColumnByName(charts.xColumn(self._nodes.table)).GetTuple1(frame)
            for marker in self._markers:
                charts.markFrame(marker, x)
