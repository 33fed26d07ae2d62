"""ctk's paths, colours, choices and message boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtGui import QColor, QPixmap, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTextBrowser,
    QToolButton,
    QWidget,
)

from Testing.host.pythonqt import QFileDialog


class ctkPathLineEdit(QWidget):
    """A path that can be typed or browsed for."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    Files, Dirs, Readable, Writable = 2, 1, 16, 32

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edit = QLineEdit()
        self._browse = QToolButton()
        self._browse.setText("...")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._edit, 1)
        row.addWidget(self._browse)
        self._filters = self.Files | self.Dirs | self.Readable  # ctk's default
        self._nameFilters: list[str] = []
        self._edit.textChanged.connect(self.currentPathChanged)
        self._browse.clicked.connect(self.browse)
        self.setFocusProxy(self._edit)

    def browse(self) -> None:
        if self._filters & self.Dirs and not self._filters & self.Files:
            path = QFileDialog.getExistingDirectory(self, "Select a folder", self.currentPath)
        elif self._filters & self.Writable:
            path = QFileDialog.getSaveFileName(self, "Select a file", self.currentPath)
        else:
            names = ";;".join(self._nameFilters)
            path = QFileDialog.getOpenFileName(self, "Select a file", self.currentPath, names)
        if path:
            self.setCurrentPath(path)

    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(str(path))

    def addCurrentPathToHistory(self) -> None:
        """Keep nothing: the host has no settings to keep it in."""

    def setFilters(self, filters: Any) -> None:
        self._filters = int(getattr(filters, "value", filters))

    def setNameFilters(self, filters: list[str]) -> None:
        self._nameFilters = list(filters)

    currentPath = Property(str, lambda self: self._edit.text, setCurrentPath)
    filters = Property(int, lambda self: self._filters, setFilters)
    nameFilters = Property("QStringList", lambda self: self._nameFilters, setNameFilters)
    settingKey = Property(str, lambda self: "", lambda self, value: None)
    showHistoryButton = Property(bool, lambda self: False, lambda self, value: None)
    label = Property(str, lambda self: "", lambda self, value: None)


class ctkDirectoryButton(QPushButton):
    """A button that shows a folder and asks for another one."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._directory = ""
        self.clicked.connect(lambda: self.browse())

    def browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Select a folder", self._directory)
        if path:
            self.setDirectory(path)
            self.directorySelected.emit(path)

    def setDirectory(self, directory: str) -> None:
        directory = str(directory)
        if directory != self._directory:
            self._directory = directory
            self.setText(Path(directory).name or directory)
            self.directoryChanged.emit(directory)

    directory = Property(str, lambda self: self._directory, setDirectory)


class ctkColorPickerButton(QPushButton):
    """A button that shows a colour and asks for another one."""

    colorChanged = Signal(QColor)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColor(QColor("black"))
        self.clicked.connect(lambda: self.changeColor())

    def changeColor(self) -> None:
        colour = QColorDialog.getColor(self._color, self)
        if colour.isValid():
            self.setColor(colour)

    def setColor(self, colour: QColor) -> None:
        changed = getattr(self, "_color", None) != colour
        self._color = QColor(colour)
        swatch = QPixmap(16, 16)
        swatch.fill(self._color)
        self.setIcon(swatch)
        self.setText(self._color.name())
        if changed:
            self.colorChanged.emit(self._color)

    color = Property(QColor, lambda self: self._color, setColor)
    displayColorName = Property(bool, lambda self: True, lambda self, value: None)


class ctkComboBox(QComboBox):
    """A combo box with a text for when nothing is chosen."""

    defaultText = Property(
        str, lambda self: self.placeholderText, lambda self, v: self.setPlaceholderText(v)
    )


class ctkCheckableComboBox(QComboBox):
    """A combo box whose items carry check marks."""

    checkedIndexesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(QStandardItemModel(self))
        self.model().itemChanged.connect(lambda _: self.checkedIndexesChanged.emit())

    def addItem(self, text: str, data: Any = None) -> None:
        item = QStandardItem(text)
        item.setCheckable(True)
        item.setData(data, Qt.ItemDataRole.UserRole)
        self.model().appendRow(item)

    def checkedIndexes(self) -> list[Any]:
        model = self.model()
        rows = [model.index(row, 0) for row in range(model.rowCount())]
        return [i for i in rows if model.itemFromIndex(i).checkState() == Qt.CheckState.Checked]

    def setCheckState(self, index: Any, state: Any) -> None:
        self.model().itemFromIndex(index).setCheckState(Qt.CheckState(state))


class ctkMenuButton(QPushButton):
    """A button with a menu beside it."""


class ctkPushButton(QPushButton):
    """A push button."""


class ctkFittedTextBrowser(QTextBrowser):
    """A text browser."""


@dataclass(frozen=True)
class Message:
    """One message box as the user would have seen it."""

    text: str
    title: str
    details: str
    buttons: Any
    box: Any = None


class ctkMessageBox(QMessageBox):
    """A message box; in tests it is answered by `answerer` instead of waiting for a click."""

    answerer: Callable[[Message], Any] | None = None

    def exec_(self) -> Any:
        if ctkMessageBox.answerer is None:
            return self.exec()
        message = Message(
            self.text, self.windowTitle.strip(), self.detailedText, self.standardButtons, self
        )
        return ctkMessageBox.answerer(message)


class ctkWidgetsUtils:
    """The one helper that modules use: a picture of a widget."""

    @staticmethod
    def grabWidget(widget: QWidget, *_: Any) -> Any:
        return widget.grab().toImage()
