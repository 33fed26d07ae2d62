"""Plot charts drawn with Qt: line and scatter series of a `vtkMRMLPlotChartNode`."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QVBoxLayout, QWidget


class PlotView(QWidget):
    """qMRMLPlotView in what tests look at: axes, series, legend; no interaction."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewNode: Any = None
        self.setMinimumSize(120, 90)

    def mrmlPlotViewNode(self) -> Any:
        return self._viewNode

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._viewNode = node
        self.update()

    def fitToContent(self) -> None:
        self.update()

    def _series(self) -> list[tuple[str, QColor, np.ndarray, np.ndarray, bool]]:
        chart = self._viewNode.GetPlotChartNode() if self._viewNode else None
        found = []
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart else 0):
            node = chart.GetNthPlotSeriesNode(n)
            table = node.GetTableNode() if node else None
            if table is None:
                continue
            y = slicer.util.arrayFromTableColumn(table, node.GetYColumnName())
            x = np.arange(len(y), dtype=float)
            if node.GetXColumnName():
                x = slicer.util.arrayFromTableColumn(table, node.GetXColumnName())
            colour = QColor.fromRgbF(*node.GetColor())
            lined = node.GetLineStyle() != node.LineStyleNone
            found.append(
                (node.GetName(), colour, np.asarray(x, float), np.asarray(y, float), lined)
            )
        return found

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect, Qt.GlobalColor.white)
        painter.setPen(QPen(Qt.GlobalColor.black))
        series = [s for s in self._series() if len(s[2])]
        if not series:
            return
        chart = self._viewNode.GetPlotChartNode()
        area = QRectF(self.rect).adjusted(58, 26, -12, -40)
        xs, ys = np.concatenate([s[2] for s in series]), np.concatenate([s[3] for s in series])
        low = np.array([xs.min(), ys.min()])
        size = np.maximum(np.array([xs.max(), ys.max()]) - low, 1e-9)
        painter.drawRect(area)
        painter.drawText(
            QRectF(area.left(), 2, area.width(), 20),
            Qt.AlignmentFlag.AlignCenter,
            chart.GetTitle() or "",
        )
        painter.drawText(
            QRectF(area.left(), area.bottom() + 18, area.width(), 18),
            Qt.AlignmentFlag.AlignCenter,
            chart.GetXAxisTitle() or "",
        )
        for share in (0.0, 0.5, 1.0):
            painter.drawText(
                QPointF(2, area.bottom() - share * area.height() + 4),
                f"{low[1] + share * size[1]:.4g}",
            )
            painter.drawText(
                QPointF(area.left() + share * area.width() - 12, area.bottom() + 14),
                f"{low[0] + share * size[0]:.4g}",
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, (name, colour, x, y, lined) in enumerate(series):
            painter.setPen(QPen(colour, 2))
            points = [
                QPointF(
                    area.left() + (a - low[0]) / size[0] * area.width(),
                    area.bottom() - (b - low[1]) / size[1] * area.height(),
                )
                for a, b in zip(x, y, strict=False)
            ]
            if lined:
                painter.drawPolyline(QPolygonF(points))
            else:
                for point in points:
                    painter.drawEllipse(point, 3, 3)
            painter.drawText(QPointF(area.left() + 8, area.top() + 16 + 15 * row), name)


class PlotWidget(QWidget):
    """A layout's plot view: follows the chart that its view node names."""

    def __init__(self, viewNode: Any) -> None:
        super().__init__()
        self._node = viewNode
        self._view = PlotView()
        self._view.setMRMLPlotViewNode(viewNode)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._view)
        self._tag = viewNode.AddObserver("ModifiedEvent", lambda *_: self._view.update())

    def plotView(self) -> PlotView:
        return self._view

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def close_(self) -> None:
        self._node.RemoveObserver(self._tag)
        self._view.setMRMLPlotViewNode(None)
        self._node = None
