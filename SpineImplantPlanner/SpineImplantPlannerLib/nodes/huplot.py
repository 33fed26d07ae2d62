"""The HU along the selected screw as a plot, from its entry to its tip."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from spinemar.planning.grades.hu_profile import HuProfile
from SpineMARLib.nodes.transient import addTransient, removeTransient

_ROLE = "SpineMAR.HuProfile"
_DEPTH, _HU = "Depth mm", "HU"


class HuPlot:
    """Keeps table, series and chart; `show` only changes numbers, so it follows a drag."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._table: Any = None
        self.chart: Any = None
        self._series: Any = None

    def show(self, name: str, profile: HuProfile | None) -> None:
        """Show a profile; None empties the plot."""
        if self._table is None or not self._scene.IsNodePresent(self._table):
            self._make()
        depth = hu = np.zeros(0)
        if profile is not None:
            inside = np.isfinite(profile.hu)  # what lies outside the CT has no HU
            depth, hu = profile.depth_mm[inside], profile.hu[inside]
        table = vtk.vtkTable()
        for title, values in ((_DEPTH, depth), (_HU, hu)):
            column = numpy_to_vtk(np.ascontiguousarray(values, dtype=np.float64), deep=True)
            column.SetName(title)
            table.AddColumn(column)
        self._table.SetAndObserveTable(table)
        self.chart.SetTitle(f"{name}: HU from entry to tip")

    def remove(self) -> None:
        """Take the plot's nodes away."""
        for node in (self.chart, self._series, self._table):
            removeTransient(node)
        self._table = self.chart = self._series = None

    def _make(self) -> None:
        def new(kind: str, name: str) -> Any:
            node = addTransient(self._scene, kind, name)
            node.SetAttribute(_ROLE, "1")
            return node

        self._table = new("vtkMRMLTableNode", "HU profile table")
        self._series = new("vtkMRMLPlotSeriesNode", "HU along the screw")
        self._series.SetAndObserveTableNodeID(self._table.GetID())
        self._series.SetXColumnName(_DEPTH)
        self._series.SetYColumnName(_HU)
        self._series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        self._series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        self._series.SetColor(0.1, 0.35, 0.65)
        self.chart = new("vtkMRMLPlotChartNode", "HU profile")
        self.chart.AddAndObservePlotSeriesNodeID(self._series.GetID())
        self.chart.SetXAxisTitle("Depth, mm")
        self.chart.SetYAxisTitle("HU")
        self.chart.SetLegendVisibility(False)
