"""A user's hands in the host: mouse, keys and wheel as Qt and VTK get them, counted and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Touch:
    """One thing that the hands did, or waited for.

    Parameters
    ----------
    what : str
    kind : {"click", "key", "drag", "scroll", "wait"}
    count : int
        Clicks, keys and so on.
    seconds : float
        By the clock, until the panel was free again; of a wait all of it.
    panel_s, drawing_s : float
        Processor seconds of the panel's own thread: without the drawing of the views, and of it.
        Of a wait those of the longest pass of the event loop, of a drag those of its longest step.
    """

    what: str
    kind: str
    count: int
    seconds: float
    panel_s: float
    drawing_s: float


class Hands:
    """Touches widgets and views of a host as a user does, keeps a record, and says each touch.

    What lies in a folded section is unfolded first, what is scrolled away is scrolled to: both
    count. Message boxes are answered by a click that counts.

    Parameters
    ----------
    host : Host
    """

    def __init__(self, host: Any) -> None:
        self.host = host
        self.touches: list[Touch] = []
        self._drawing_s = 0.0
        self._boxes = 0
        host.answer = self._answer
        self._watch_drawing()

    # The record.

    def count(self, kind: str) -> int:
        """Return how many clicks, keys, drags or scrolls there were."""
        return sum(touch.count for touch in self.touches if touch.kind == kind)

    def waited_s(self) -> float:
        """Return the seconds that the hands waited for something in the background."""
        return sum(touch.seconds for touch in self.touches if touch.kind == "wait")

    def held_s(self) -> float:
        """Return the seconds by the clock that touches took until the panel was free again."""
        return sum(touch.seconds for touch in self.touches if touch.kind != "wait")

    def panel_s(self) -> float:
        """Return the processor seconds of the panel in them, without the drawing of views."""
        return sum(touch.panel_s for touch in self.touches if touch.kind != "wait")

    # Touching.

    def click(self, widget: Any, what: str = "", place: Any = None) -> None:
        """Click a widget, at its middle or a place in it; a box at its mark."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QCheckBox

        self._reach(widget)
        if isinstance(widget, QCheckBox):
            place = QPoint(8, widget.height // 2)
        arguments = () if place is None else (Qt.KeyboardModifier.NoModifier, place)
        with self._touch(what or _name_of(widget), "click"):
            QTest.mouseClick(widget, Qt.MouseButton.LeftButton, *arguments)

    def cell(self, table: Any, row: int, column: int = 0) -> None:
        """Click a cell of a table."""
        self._reach(table)
        item = table.item(row, column)
        table.scrollToItem(item)
        place = table.visualItemRect(item).center()
        self.click(table.viewport(), f"row {item.text()!r}", place)

    def pick(self, combo: Any, text: str) -> None:
        """Open a combo box and click an entry: two clicks."""
        from Testing.host import mouse

        self._reach(combo)
        with self._touch(f"choose {text!r}", "click", 2):
            mouse.pick(combo, text)

    def type(self, widget: Any, text: str) -> None:
        """Click into a line and type a text."""
        from PySide6.QtTest import QTest

        self.click(widget)
        with self._touch("type a text", "key", len(text)):
            QTest.keyClicks(widget, text)

    def number(self, spin: Any, value: float) -> None:
        """Click into a box, and type another number and Enter."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        text = f"{value:.1f}"
        self.click(spin)
        line = spin.findChild(_line_edit())
        line.selectAll()
        QTest.keyClicks(line, text)
        with self._touch(f"type {text} into {spin.objectName}", "key", len(text) + 1):
            QTest.keyClick(line, Qt.Key.Key_Return)

    def drag(self, view: Any, start: Any, end: Any) -> None:
        """Drag from one RAS point to another in a view."""
        from Testing.host import mouse

        self._boxes, began = 0, time.perf_counter()
        longest, held = (0.0, 0.0), self._held()
        for _ in mouse.dragging(view, start, end):
            now = self._held()
            longest = max(longest, (now[0] - held[0], now[1] - held[1]))
            held = self._held()
        self._keep(Touch("drag in a view", "drag", 1, time.perf_counter() - began, *longest))
        self._keep_boxes()

    def key(self, code: Any, modifier: Any = None, what: str = "key") -> None:
        """Press a key in the main window."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        self.host.window.activateWindow()
        self.host.process()
        with self._touch(what, "key"):
            QTest.keyClick(self.host.window, code, modifier or Qt.KeyboardModifier.NoModifier)

    def wait(self, what: str, until: Callable[[], bool], most_s: float = 900.0) -> None:
        """Wait, as a user does, while the event loop runs."""
        self._boxes = 0
        began, longest = time.perf_counter(), (0.0, 0.0)
        while not until():
            if time.perf_counter() - began > most_s:
                raise TimeoutError(f"{what}: not after {most_s:g} s")
            longest = max(longest, self._pass())
            time.sleep(0.002)
        longest = max(longest, self._pass())
        seconds = time.perf_counter() - began
        self._keep(Touch(what, "wait", 0, seconds, *longest))
        self._keep_boxes()

    # How it is done.

    @contextmanager
    def _touch(self, what: str, kind: str, count: int = 1) -> Iterator[None]:
        self._boxes = 0
        began, held = time.perf_counter(), self._held()
        yield
        self.host.app.processEvents()
        now, seconds = self._held(), time.perf_counter() - began
        self._keep(Touch(what, kind, count, seconds, now[0] - held[0], now[1] - held[1]))
        self._keep_boxes()

    def _keep_boxes(self) -> None:
        if self._boxes:
            self._keep(Touch("answer a box", "click", self._boxes, 0.0, 0.0, 0.0))

    def _keep(self, touch: Touch) -> None:
        """Keep what was done, and say it."""
        self.touches.append(touch)
        print(
            f"{touch.kind:6} {touch.seconds:7.2f} s, panel {touch.panel_s:5.2f} s  {touch.what}",
            flush=True,
        )

    def _pass(self) -> tuple[float, float]:
        held = self._held()
        self.host.app.processEvents()
        now = self._held()
        return now[0] - held[0], now[1] - held[1]

    def _held(self) -> tuple[float, float]:
        """Return the processor seconds so far: of the panel without drawing, and of drawing."""
        return time.thread_time() - self._drawing_s, self._drawing_s

    def _answer(self, message: Any) -> Any:
        self._boxes += 1
        return self.host._acceptMessage(message)

    def _reach(self, widget: Any) -> None:
        """Unfold what a widget lies in, and scroll to it with the wheel."""
        from PySide6.QtCore import QPoint
        from PySide6.QtWidgets import QScrollArea

        for box in reversed(list(_folds_around(widget))):
            if box.collapsed:
                self._scroll(box)
                self.click(box, f"unfold {box.text!r}", QPoint(40, 12))
        area = _around(widget, QScrollArea)
        if area is not None:
            self._scroll(widget)

    def _scroll(self, widget: Any) -> None:
        """Turn the wheel over the panel until a widget is seen."""
        from PySide6.QtCore import QPoint, QPointF, Qt
        from PySide6.QtGui import QWheelEvent
        from PySide6.QtWidgets import QScrollArea

        area = _around(widget, QScrollArea)
        self.host.process()
        if area is None or _seen(widget, area):
            return
        with self._touch("scroll the panel", "scroll"):
            for _ in range(200):
                top = widget.mapTo(area.viewport(), QPoint(0, min(widget.height, 26) // 2)).y()
                if _seen(widget, area):
                    return
                turn = -120 if top > area.viewport().height // 2 else 120
                place = QPointF(3.0, 3.0)
                event = QWheelEvent(
                    place, area.viewport().mapToGlobal(place), QPoint(0, 0), QPoint(0, turn),
                    Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
                    Qt.ScrollPhase.NoScrollPhase, False,
                )  # fmt: skip
                self.host.app.sendEvent(area.viewport(), event)
                self.host.process()
        raise RuntimeError(f"{_name_of(widget)} cannot be scrolled to")

    def _watch_drawing(self) -> None:
        """Count the processor time that views take to be drawn in software, as no GPU does it."""
        from Testing.host.views import VtkView

        drawn = getattr(VtkView, "drawn_unwatched", VtkView.forceRender)

        def watched(view: Any) -> None:
            began = time.thread_time()
            drawn(view)
            self._drawing_s += time.thread_time() - began

        VtkView.drawn_unwatched = drawn
        VtkView.forceRender = watched


def outwards(screw: Any, millimetres: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a screw's shaft, and where it is so much further from the midline."""
    middle = (np.array(screw.entry) + screw.tip) / 2
    sign = 1.0 if screw.side == "right" else -1.0
    return middle, middle + np.array([sign * millimetres, 0.0, 0.0])


def _around(widget: Any, kind: type) -> Any:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent


def _folds_around(widget: Any) -> Iterator[Any]:
    from Testing.host.ctkcontainers import ctkCollapsibleButton

    box = _around(widget, ctkCollapsibleButton)
    while box is not None:
        yield box
        box = _around(box, ctkCollapsibleButton)


def _seen(widget: Any, area: Any) -> bool:
    """Whether a widget, or as much of a tall one as a line is high, is in the scrolled part."""
    from PySide6.QtCore import QPoint

    top = widget.mapTo(area.viewport(), QPoint(0, 0)).y()
    return top >= 0 and top + min(widget.height, 30) <= area.viewport().height


def _name_of(widget: Any) -> str:
    text = getattr(widget, "text", "")
    return repr(str(text).replace("&", "")) if text else str(widget.objectName)


def _line_edit() -> type:
    from PySide6.QtWidgets import QLineEdit

    return QLineEdit
