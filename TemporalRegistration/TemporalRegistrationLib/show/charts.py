"""Curves over time: plot series and charts of the tables of a result, with the current frame marked.

nodes = addCharts("heart", qualityTable, {"sizes": sizesTable}, grid)
markFrame(nodes["qualityMarker"], x)
"""

from __future__ import annotations

from collections.abc import Mapping

import slicer
import vtk

from DeepRegLogic.grid import Grid
from DeepRegLogic.results.curves import CURVES

from ..i18n import _
from ..nodes.names import nodeName
from ..nodes.segmentations import LABEL_COLORS

_LEGEND_ROOM = 0.35  # of the length of the curves
_MARKER_COLOR = (0.45, 0.45, 0.45)


def titles() -> dict[str, str]:
    """What a list of charts calls them, by name: those of ``curves.CURVES``, then those of the table of quality."""
    return {
        **{name: _(entry.menu or name) for name, entry in CURVES.items()},
        "motion": _("Displacement"),
        "quality": _("Quality"),
    }


def addCharts(
    name: str, quality: slicer.vtkMRMLTableNode, tables: Mapping[str, slicer.vtkMRMLTableNode], grid: Grid
) -> dict[str, slicer.vtkMRMLNode]:
    """Add the plots of the tables to the scene: charts, series and markers, by role.

    ``tables`` are those of the curves of ``curves.CURVES``, by name.
    """
    nodes = {
        **_chart(
            "quality",
            _("{name} quality").format(name=name),
            quality,
            ("error before", "error after"),
            _("error (fraction of range)"),
        ),
        **_chart(
            "motion",
            _("{name} displacement").format(name=name),
            quality,
            ("motion mean", "motion max"),
            _("displacement (mm)"),
        ),
    }
    for curve, table in tables.items():
        entry = CURVES[curve]
        columns = [table.GetTable().GetColumnName(i) for i in range(2, table.GetTable().GetNumberOfColumns())]
        title, unit = _(entry.title_of(grid)), entry.unit_of(grid).replace("mm2", "mm\N{SUPERSCRIPT TWO}")
        axis = f"{_(entry.axis) if entry.axis else title} ({unit})" if unit else title
        banded = all(column.endswith(("mean", *entry.band)) for column in columns)
        nodes |= _chart(curve, f"{name} {title}", table, columns, axis, lines=3 if banded else 1)
        if banded:
            _drawBands([nodes[f"{curve}Series{number}"] for number in range(len(columns))])
    return nodes


def _drawBands(series: list[slicer.vtkMRMLPlotSeriesNode]) -> None:
    """Of every mean with its 5th and 95th percentile, draw the percentiles as the edges of a band: thin and dashed."""
    for number, node in enumerate(series):
        if number % 3:
            node.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
            node.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
            node.SetLineWidth(1)


def _chart(
    role: str, name: str, table: slicer.vtkMRMLTableNode, columns, title: str, lines: int = 1
) -> dict[str, slicer.vtkMRMLNode]:
    """One chart with a line for every column, ``lines`` of one color, and a vertical line at the current frame."""
    present = [column for column in columns if table.GetTable().GetColumnByName(column) is not None]
    x = xColumn(table)
    unit = table.GetColumnUnitLabel(x)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    chart.SetTitle(name)
    chart.SetXAxisTitle(f"{x} ({unit})" if unit else x)
    chart.SetYAxisTitle(title)
    chart.SetLegendFontSize(11)
    first, last = table.GetTable().GetColumnByName(x).GetRange()
    chart.SetXAxisRangeAuto(False)  # the legend is drawn over the right end
    chart.SetXAxisRange(first, last + _LEGEND_ROOM * (last - first))
    nodes = {f"{role}Chart": chart}
    for number, column in enumerate(present):
        nodes[f"{role}Series{number}"] = _series(
            table, x, column, column, LABEL_COLORS[number // lines % len(LABEL_COLORS)]
        )
        chart.AddAndObservePlotSeriesNodeID(nodes[f"{role}Series{number}"].GetID())
    nodes[f"{role}Marker"] = marker = _markerTable(table, present, _("{name} current frame").format(name=name))
    line = _series(marker, "x", "current frame", _("current frame"), _MARKER_COLOR)
    line.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    line.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleDash)
    nodes[f"{role}MarkerSeries"] = line
    chart.AddAndObservePlotSeriesNodeID(line.GetID())
    return nodes


def _series(table: slicer.vtkMRMLTableNode, x: str, column: str, name: str, color) -> slicer.vtkMRMLPlotSeriesNode:
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(x)
    series.SetYColumnName(column)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    series.SetMarkerSize(6)
    series.SetColor(*color)
    return series


def xColumn(table: slicer.vtkMRMLTableNode) -> str:
    """The column of the index values where they are numbers, else that of the frame numbers."""
    values = table.GetTable().GetColumn(1)
    return values.GetName() if isinstance(values, vtk.vtkDataArray) else table.GetTable().GetColumnName(0)


def _markerTable(table: slicer.vtkMRMLTableNode, columns, name: str) -> slicer.vtkMRMLTableNode:
    """A table of two points: the ends of a vertical line over the range of the columns."""
    ranges = [table.GetTable().GetColumnByName(column).GetRange() for column in columns]
    node = slicer.vtkMRMLTableNode()
    node.SetName(nodeName(name))
    node.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(node)
    heights = (min((0.0, *(r[0] for r in ranges))), max((r[1] for r in ranges), default=1.0))
    first = table.GetTable().GetColumnByName(xColumn(table)).GetTuple1(0)
    for title, values in (("x", (first, first)), ("current frame", heights)):
        column = vtk.vtkDoubleArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    return node


def markFrame(marker: slicer.vtkMRMLTableNode, x: float) -> None:
    """Move the vertical line of a chart to ``x``."""
    column = marker.GetTable().GetColumnByName("x")
    if column.GetTuple1(0) != x:
        column.SetTuple1(0, x)
        column.SetTuple1(1, x)
        column.Modified()
        marker.GetTable().Modified()
        marker.Modified()
