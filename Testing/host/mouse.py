"""Mouse and keys in views, in the terms of a test: a RAS point, a drag, a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
import vtk
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest


def sliceViewPoint(view: Any, ras: Any) -> QPoint:
    """Where a RAS point lies in a slice view, in Qt's pixels."""
    x, y, _ = view.convertRASToXYZ(ras)
    return QPoint(round(x), view.height - 1 - round(y))


def threeDViewPoint(view: Any, ras: Any) -> QPoint:
    """Where a RAS point lies in a 3-D view, in Qt's pixels."""
    coordinate = vtk.vtkCoordinate()
    coordinate.SetCoordinateSystemToWorld()
    coordinate.SetValue(*ras)
    x, y = coordinate.GetComputedDisplayValue(view.renderer())
    return QPoint(x, view.height - 1 - y)


def pointIn(view: Any, ras: Any) -> QPoint:
    """Where a RAS point lies in a view of either kind."""
    isSlice = hasattr(view, "convertRASToXYZ")
    return (sliceViewPoint if isSlice else threeDViewPoint)(view, ras)


def pick(combo: Any, text: str) -> None:
    """Open a combo box with the mouse and click on one of its entries."""
    slicer.app.setDoubleClickInterval(1)  # a popup ignores clicks for that long after it opens
    QTest.mouseClick(combo, Qt.MouseButton.LeftButton)
    QTest.qWait(20)
    popup = combo.view()
    place = popup.visualRect(combo.model().index(combo.findText(text), 0)).center()
    buttons = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    QTest.mouseMove(popup.viewport(), place)
    QTest.mouseClick(popup.viewport(), *buttons)
    QTest.qWait(20)
    slicer.app.setDoubleClickInterval(400)


def click(view: Any, ras: Any) -> None:
    """Move to a RAS point and click there."""
    point = pointIn(view, ras)
    view.interactor().InvokeEvent("EnterEvent")
    _moveEvent(view, point)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, point)
    slicer.app.processEvents()


def drag(view: Any, start: Any, end: Any, steps: int = 8) -> None:
    """Press at one RAS point, move in steps, release at another."""
    for _ in dragging(view, start, end, steps):
        pass


def dragging(view: Any, start: Any, end: Any, steps: int = 8) -> Iterator[None]:
    """As `drag`; a pause after the press, every step and the release."""
    a, b = pointIn(view, start), pointIn(view, end)
    view.interactor().InvokeEvent("EnterEvent")
    _moveEvent(view, a)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, a)
    yield
    for step in range(1, steps + 1):
        _moveEvent(view, a + (b - a) * step / steps, Qt.MouseButton.LeftButton)
        slicer.app.processEvents()
        yield
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, b)
    slicer.app.processEvents()
    yield


def _moveEvent(view: Any, point: QPoint, buttons: Any = Qt.MouseButton.NoButton) -> None:
    # QTest.mouseMove goes through the platform's cursor, which an offscreen platform lacks.
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtGui import QMouseEvent

    local = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        local,
        view.mapToGlobal(local),
        Qt.MouseButton.NoButton,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    slicer.app.sendEvent(view, event)
