"""ctk's collapsible containers: a clickable header above the content they show or hide."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPolygon
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

_HEADER_HEIGHT = 26


class ctkCollapsibleButton(QAbstractButton):
    """A header button whose children are shown while it is expanded."""

    contentsCollapsed = Signal(bool)

    def __init__(self, text: Any = "", parent: QWidget | None = None) -> None:
        if isinstance(text, QWidget):
            text, parent = "", text
        super().__init__(parent)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, _HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._collapsed = False
        self._hiddenByUs: set[QWidget] = set()
        self.toggled.connect(lambda checked: self.setCollapsed(not checked))

    def setCollapsed(self, collapsed: bool) -> None:
        collapsed = bool(collapsed)
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        if collapsed:
            for child in self._content():
                self._hide(child)
        else:
            for child in self._hiddenByUs:
                child.setVisible(True)
            self._hiddenByUs.clear()
        self.setMaximumHeight(_HEADER_HEIGHT if collapsed else 16777215)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, lambda self: self._collapsed, setCollapsed)
    contentsFrameShape = Property(int, lambda self: 0, lambda self, value: None)
    collapsedHeight = Property(int, lambda self: 0, lambda self, value: None)

    def _content(self) -> list[QWidget]:
        return [c for c in self.children() if isinstance(c, QWidget)]

    def _hide(self, child: QWidget) -> None:
        if not child.isHidden():
            self._hiddenByUs.add(child)
            child.setVisible(False)

    def childEvent(self, event: Any) -> None:
        # A .ui file sets "collapsed" before the children exist; they are hidden as they come.
        super().childEvent(event)
        if event.type() == QEvent.Type.ChildPolished and self._collapsed:
            child = event.child()
            if isinstance(child, QWidget):
                self._hide(child)

    def sizeHint(self) -> QSize:
        layout = self.layout()
        width = max(layout.totalSizeHint().width() if layout else 0, 160)
        height = _HEADER_HEIGHT
        if layout and not self._collapsed:
            height = layout.totalSizeHint().height()
        return QSize(width, max(height, _HEADER_HEIGHT))

    def minimumSizeHint(self) -> QSize:
        layout = self.layout()
        if self._collapsed or layout is None:
            return QSize(80, _HEADER_HEIGHT)
        return layout.totalMinimumSize()

    def hitButton(self, position: Any) -> bool:
        return 0 <= position.y() < _HEADER_HEIGHT

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        header = self.rect.adjusted(0, 1, -1, _HEADER_HEIGHT - 2 - self.height)
        painter.fillRect(header, self.palette.button())
        painter.setPen(self.palette.mid().color())
        painter.drawRect(header)
        painter.setPen(self.palette.buttonText().color())
        painter.setBrush(self.palette.buttonText())
        y = header.center().y()
        points = (
            [(8, y - 4), (8, y + 4), (13, y)]
            if self._collapsed
            else [(6, y - 2), (15, y - 2), (10, y + 4)]
        )
        painter.drawPolygon(QPolygon([QPoint(a, b) for a, b in points]))
        painter.drawText(
            header.adjusted(22, 0, 0, 0),
            Qt.AlignmentFlag.AlignVCenter
            | Qt.AlignmentFlag.AlignLeft
            | Qt.TextFlag.TextShowMnemonic,
            self.text,
        )
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(self.palette.highlight().color())
            painter.drawRect(header.adjusted(1, 1, -1, -1))


class ctkCollapsibleGroupBox(ctkCollapsibleButton):
    """The same with a title instead of a text."""

    def setTitle(self, title: str) -> None:
        self.setText(title)

    title = Property(str, lambda self: self.text, setTitle)


class ctkExpandButton(QAbstractButton):
    """A small arrow that is down or up."""

    def paintEvent(self, event: Any) -> None:
        QPainter(self).drawText(
            self.rect, Qt.AlignmentFlag.AlignCenter, "v" if self.checked else ">"
        )

    def sizeHint(self) -> QSize:
        return QSize(16, 16)
