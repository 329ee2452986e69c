"""A chart as the application's plot view draws it: VTK's chart with the legend over its upper right corner."""

from __future__ import annotations

import slicer
import vtk

SIZE = (640, 420)


def chart_image(chartNode: slicer.vtkMRMLPlotChartNode) -> vtk.vtkImageData:
    """What the plot view shows."""
    view = vtk.vtkContextView()
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*SIZE)
    view.GetRenderer().SetBackground(1.0, 1.0, 1.0)
    chart = vtk.vtkChartXY()
    view.GetScene().AddItem(chart)
    chart.SetTitle(chartNode.GetTitle())
    chart.SetShowLegend(chartNode.GetLegendVisibility())
    chart.GetLegend().SetLabelSize(chartNode.GetLegendFontSize())
    for axis, title in ((vtk.vtkAxis.BOTTOM, chartNode.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chartNode.GetYAxisTitle())):
        chart.GetAxis(axis).SetTitle(title)
    for number in range(chartNode.GetNumberOfPlotSeriesNodes()):
        series = chartNode.GetNthPlotSeriesNode(number)
        plot = chart.AddPlot(vtk.vtkChart.LINE)
        table = series.GetTableNode().GetTable()
        plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.GetPen().SetLineType(series.GetLineStyle())
        plot.SetMarkerStyle(series.GetMarkerStyle())
        plot.SetMarkerSize(series.GetMarkerSize())
    if not chartNode.GetXAxisRangeAuto():
        axis = chart.GetAxis(vtk.vtkAxis.BOTTOM)
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetRange(*chartNode.GetXAxisRange())
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    return grab.GetOutput()
