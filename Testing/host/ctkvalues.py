"""ctk's numeric widgets: slider with a spin box, double spin box, range with two handles."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSizePolicy, QSlider, QWidget

_SLIDER_STEPS = 10000


class ctkDoubleSpinBox(QDoubleSpinBox):
    """A spin box; ctk's own decimals options are accepted and ignored."""

    decimalsOption = Property(int, lambda self: 0, lambda self, value: None)


class ctkSliderWidget(QWidget):
    """A slider and a spin box that show one floating-point value."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    editingFinished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, _SLIDER_STEPS)
        self._spin = QDoubleSpinBox()
        self._spin.setRange(0.0, 99.0)
        self._spin.setKeyboardTracking(False)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._spin)
        self.setFocusProxy(self._slider)
        self._tracking = True
        self._syncing = False
        self._slider.valueChanged.connect(self._onSlider)
        self._slider.sliderReleased.connect(self._onReleased)
        self._spin.valueChanged.connect(self._onSpin)
        self._spin.editingFinished.connect(self.editingFinished)

    def setValue(self, value: float) -> None:
        self._spin.setValue(float(value))

    def setMinimum(self, value: float) -> None:
        self.setRange(value, max(float(value), self._spin.maximum))

    def setMaximum(self, value: float) -> None:
        self.setRange(min(self._spin.minimum, float(value)), value)

    def setRange(self, low: float, high: float) -> None:
        self._spin.setRange(float(low), float(high))
        self._moveSlider()

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(int(decimals))

    def setSingleStep(self, step: float) -> None:
        self._spin.setSingleStep(float(step))

    def setSuffix(self, suffix: str) -> None:
        self._spin.setSuffix(suffix)

    def setPrefix(self, prefix: str) -> None:
        self._spin.setPrefix(prefix)

    def setTracking(self, tracking: bool) -> None:
        self._tracking = bool(tracking)

    def slider(self) -> QSlider:
        return self._slider

    def spinBox(self) -> QDoubleSpinBox:
        return self._spin

    value = Property(float, lambda self: self._spin.value, setValue)
    minimum = Property(float, lambda self: self._spin.minimum, setMinimum)
    maximum = Property(float, lambda self: self._spin.maximum, setMaximum)
    decimals = Property(int, lambda self: self._spin.decimals, setDecimals)
    singleStep = Property(float, lambda self: self._spin.singleStep, setSingleStep)
    pageStep = Property(float, lambda self: 10.0, lambda self, value: None)
    tickInterval = Property(float, lambda self: 0.0, lambda self, value: None)
    suffix = Property(str, lambda self: self._spin.suffix, setSuffix)
    prefix = Property(str, lambda self: self._spin.prefix, setPrefix)
    tracking = Property(bool, lambda self: self._tracking, setTracking)
    spinBoxVisible = Property(
        bool, lambda self: not self._spin.isHidden(), lambda self, on: self._spin.setVisible(on)
    )

    def _fraction(self) -> float:
        span = self._spin.maximum - self._spin.minimum
        return (self._spin.value - self._spin.minimum) / span if span > 0 else 0.0

    def _moveSlider(self) -> None:
        self._syncing = True
        self._slider.setValue(round(self._fraction() * _SLIDER_STEPS))
        self._syncing = False

    def _onSlider(self, position: int) -> None:
        if self._syncing:
            return
        span = self._spin.maximum - self._spin.minimum
        value = self._spin.minimum + position / _SLIDER_STEPS * span
        step = self._spin.singleStep
        if step > 0:
            value = self._spin.minimum + round((value - self._spin.minimum) / step) * step
        if self._tracking or not self._slider.isSliderDown():
            self._spin.setValue(value)
        else:
            self.valueIsChanging.emit(value)

    def _onReleased(self) -> None:
        if not self._tracking:
            self._onSlider(self._slider.value)
        self.editingFinished.emit()

    def _onSpin(self, value: float) -> None:
        self._moveSlider()
        self.valueChanged.emit(value)


class ctkDoubleSlider(ctkSliderWidget):
    """The slider alone."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(a for a in arguments if isinstance(a, QWidget)))
        self._spin.setVisible(False)


class _RangeBar(QWidget):
    """A bar with a lower and an upper handle, dragged with the mouse."""

    moved = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self.fractions = [0.0, 1.0]
        self._held: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(120, 22)

    def _x(self, fraction: float) -> int:
        return 6 + round(fraction * (self.width - 12))

    def mousePressEvent(self, event: Any) -> None:
        x = event.position().x()
        gaps = [abs(self._x(f) - x) for f in self.fractions]
        self._held = 0 if gaps[0] <= gaps[1] else 1

    def mouseMoveEvent(self, event: Any) -> None:
        if self._held is None:
            return
        fraction = min(max((event.position().x() - 6) / max(self.width - 12, 1), 0.0), 1.0)
        low, high = self.fractions
        low, high = (min(fraction, high), high) if self._held == 0 else (low, max(fraction, low))
        self.moved.emit(low, high)

    def mouseReleaseEvent(self, event: Any) -> None:
        self._held = None

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        middle = self.height // 2
        painter.fillRect(QRect(6, middle - 2, self.width - 12, 4), self.palette.mid())
        low, high = (self._x(f) for f in self.fractions)
        painter.fillRect(QRect(low, middle - 2, high - low, 4), self.palette.highlight())
        painter.setBrush(self.palette.button())
        painter.setPen(self.palette.dark().color())
        for x in (low, high):
            painter.drawEllipse(QPoint(x, middle), 6, 6)


class ctkRangeWidget(QWidget):
    """A range between two values, with a spin box for each."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spins = (QDoubleSpinBox(), QDoubleSpinBox())
        self._bar = _RangeBar()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._spins[0])
        row.addWidget(self._bar, 1)
        row.addWidget(self._spins[1])
        self._values = (0.0, 99.0)
        self.setRange(0.0, 99.0)
        for spin in self._spins:
            spin.valueChanged.connect(lambda _: self._onSpin())
        self._bar.moved.connect(self._onBar)

    def setRange(self, low: float, high: float) -> None:
        self._limits = (float(low), float(high))
        for spin in self._spins:
            spin.blockSignals(True)
            spin.setRange(*self._limits)
            spin.blockSignals(False)
        self.setValues(*self._values)

    def setValues(self, low: float, high: float) -> None:
        low = min(max(float(low), self._limits[0]), self._limits[1])
        high = min(max(float(high), low), self._limits[1])
        changed = (low, high) != self._values
        old, self._values = self._values, (low, high)
        for spin, value in zip(self._spins, self._values, strict=True):
            spin.blockSignals(True)
            spin.setValue(value)
            spin.blockSignals(False)
        span = max(self._limits[1] - self._limits[0], 1e-12)
        self._bar.fractions = [(v - self._limits[0]) / span for v in self._values]
        self._bar.update()
        if changed:
            if low != old[0]:
                self.minimumValueChanged.emit(low)
            if high != old[1]:
                self.maximumValueChanged.emit(high)
            self.valuesChanged.emit(low, high)

    def setDecimals(self, decimals: int) -> None:
        for spin in self._spins:
            spin.setDecimals(int(decimals))

    def setSingleStep(self, step: float) -> None:
        for spin in self._spins:
            spin.setSingleStep(float(step))

    def setSuffix(self, suffix: str) -> None:
        for spin in self._spins:
            spin.setSuffix(suffix)

    minimum = Property(
        float, lambda self: self._limits[0], lambda self, v: self.setRange(v, self._limits[1])
    )
    maximum = Property(
        float, lambda self: self._limits[1], lambda self, v: self.setRange(self._limits[0], v)
    )
    minimumValue = Property(
        float, lambda self: self._values[0], lambda self, v: self.setValues(v, self._values[1])
    )
    maximumValue = Property(
        float, lambda self: self._values[1], lambda self, v: self.setValues(self._values[0], v)
    )
    decimals = Property(int, lambda self: self._spins[0].decimals, setDecimals)
    singleStep = Property(float, lambda self: self._spins[0].singleStep, setSingleStep)
    suffix = Property(str, lambda self: self._spins[0].suffix, setSuffix)

    def _onSpin(self) -> None:
        self.setValues(self._spins[0].value, self._spins[1].value)

    def _onBar(self, low: float, high: float) -> None:
        span = self._limits[1] - self._limits[0]
        self.setValues(self._limits[0] + low * span, self._limits[0] + high * span)
