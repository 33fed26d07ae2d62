"""Slice and 3-D view widgets with the coloured bar that Slicer puts above each view."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from Testing.host.views import SliceView, ThreeDView


def _bar(colour: tuple[float, float, float], label: str) -> tuple[QWidget, QHBoxLayout]:
    bar = QWidget()
    bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
    rgb = ",".join(str(round(255 * c)) for c in colour)
    bar.setStyleSheet(f"background-color: rgb({rgb});")
    bar.setFixedHeight(22)
    row = QHBoxLayout(bar)
    row.setContentsMargins(4, 1, 4, 1)
    letter = QLabel(label)
    letter.setStyleSheet("color: black; font-weight: bold;")
    row.addWidget(letter)
    return bar, row


class SliceController(QWidget):
    """The bar over a slice view: label, offset slider and the offset in mm."""

    def __init__(self, sliceLogic: Any) -> None:
        super().__init__()
        self._logic = sliceLogic
        node = sliceLogic.GetSliceNode()
        bar, row = _bar(node.GetLayoutColor(), node.GetLayoutLabel() or "")
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._slider.setStyleSheet("background: transparent;")
        self._value = QDoubleSpinBox()
        self._value.setDecimals(2)
        self._value.setRange(-1e5, 1e5)
        self._value.setSuffix("mm")
        self._value.setStyleSheet("background: white; color: black;")
        self._value.setKeyboardTracking(False)
        row.addWidget(self._slider, 1)
        row.addWidget(self._value)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(bar)
        self._range = (0.0, 0.0, 1.0)
        self._updating = False
        self._slider.valueChanged.connect(self._onSlider)
        self._value.valueChanged.connect(self._onValue)
        self._tag = sliceLogic.AddObserver("ModifiedEvent", lambda *_: self._update())
        self._nodeTag = node.AddObserver("ModifiedEvent", lambda *_: self._update())
        self._update()

    def sliceLogic(self) -> Any:
        return self._logic

    def sliceOffsetSlider(self) -> QSlider:
        return self._slider

    def setSliceOffsetValue(self, offset: float) -> None:
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(offset)
        self._logic.EndSliceOffsetInteraction()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()

    def setSliceLink(self, linked: bool) -> None:
        self._logic.GetSliceCompositeNode().SetLinkedControl(linked)

    def _update(self) -> None:
        if self._updating or self._logic is None:
            return
        self._updating = True
        limits, step = [0.0, 0.0], [0.0]
        try:
            import vtk

            resolution = vtk.reference(0.0)
            self._logic.GetSliceOffsetRangeResolution(limits, resolution)
            step[0] = abs(float(resolution)) or 1.0
            low, high = min(limits), max(limits)
            self._range = (low, high, step[0])
            offset = self._logic.GetSliceOffset()
            self._slider.setMaximum(max(round((high - low) / step[0]), 1))
            self._slider.setValue(round((offset - low) / step[0]))
            self._value.setSingleStep(step[0])
            self._value.setValue(offset)
        finally:
            self._updating = False

    def _onSlider(self, position: int) -> None:
        if not self._updating:
            self.setSliceOffsetValue(self._range[0] + position * self._range[2])

    def _onValue(self, offset: float) -> None:
        if not self._updating:
            self.setSliceOffsetValue(offset)

    def close_(self) -> None:
        self._logic.RemoveObserver(self._tag)
        self._logic.GetSliceNode().RemoveObserver(self._nodeTag)
        self._logic = None


class _ViewWidget(QWidget):
    def _stack(self, bar: QWidget, view: QWidget) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(view, 1)

    def view(self) -> Any:
        return self._view

    def interactorStyle(self) -> Any:
        return self._view.interactorStyle()

    def close_(self) -> None:
        self._view.close_()


class SliceWidget(_ViewWidget):
    """qMRMLSliceWidget: controller bar and slice view."""

    def __init__(self, sliceLogic: Any) -> None:
        super().__init__()
        self._logic = sliceLogic
        self._controller = SliceController(sliceLogic)
        self._view = SliceView(sliceLogic)
        self._stack(self._controller, self._view)

    def sliceView(self) -> SliceView:
        return self._view

    def sliceController(self) -> SliceController:
        return self._controller

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._controller.fitSliceToBackground()

    def close_(self) -> None:
        self._controller.close_()
        super().close_()
        self._logic.SetSliceNode(None)
        self._logic.SetMRMLScene(None)
        self._logic.SetMRMLApplicationLogic(None)
        self._logic = None


class ThreeDWidget(_ViewWidget):
    """qMRMLThreeDWidget: bar and 3-D view."""

    def __init__(self, viewNode: Any) -> None:
        super().__init__()
        bar, row = _bar(viewNode.GetLayoutColor(), viewNode.GetLayoutLabel() or "1")
        row.addStretch(1)
        self._view = ThreeDView(viewNode)
        self._stack(bar, self._view)

    def threeDView(self) -> ThreeDView:
        return self._view

    def mrmlViewNode(self) -> Any:
        return self._view.mrmlViewNode()
