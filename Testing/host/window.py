"""The main window: module panel on the left, views on the right, status bar below."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtCore import Property, QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

PANEL_WIDTH = 480
# Keys of Slicer's own main window (5.10 and 5.12: qSlicerMainWindow.ui and .cxx,
# qSlicerModuleSelectorToolBar.cxx, qSlicerAppMainWindow.cxx). Its Undo and Redo are in no menu.
SLICERS_KEYS = (
    "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+X", "Ctrl+C", "Ctrl+V", "Ctrl+H", "Ctrl+F", "Ctrl+B",
    "Ctrl+0", "Ctrl+1", "Ctrl+2", "Ctrl+3", "Ctrl+4", "Ctrl+5", "Ctrl+6", "Ctrl+`",
    "Ctrl+Left", "Ctrl+Right", "Alt+Left", "Alt+Right",
)  # fmt: skip


class ModuleSelector(QObject):
    """Chooses the module whose panel is shown."""

    moduleSelected = Signal(str)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._name = ""

    def selectModule(self, name: str) -> None:
        module = slicer.util.getModule(name)
        old = self._window.takePanel()
        if old is not None:
            old.exit()
        self._name = name
        self._window.showPanel(module.title, module.widgetRepresentation())
        module.widgetRepresentation().enter()
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: self._name)


class MainWindow(QMainWindow):
    """qSlicerMainWindow, as far as modules and screenshots need it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (test host)")
        self._viewport = QWidget()
        self.setCentralWidget(self._viewport)
        self._title = QLabel("")
        self._title.setStyleSheet("font-weight: bold; padding: 4px;")
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        panel = QWidget()
        column = QVBoxLayout(panel)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._title)
        column.addWidget(self._scroll, 1)
        dock = QDockWidget("", self)
        dock.setObjectName("PanelDockWidget")
        dock.setTitleBarWidget(QWidget(dock))
        dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        dock.setWidget(panel)
        dock.setMinimumWidth(PANEL_WIDTH)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self._selector = ModuleSelector(self)
        for keys in SLICERS_KEYS:
            action = QAction(keys, self)
            action.setShortcut(QKeySequence(keys))
            self.addAction(action)
        self.statusBar()

    def moduleSelector(self) -> ModuleSelector:
        return self._selector

    def viewport(self) -> QWidget:
        return self._viewport

    def takePanel(self) -> Any:
        return self._scroll.takeWidget()

    def panel(self) -> Any:
        return self._scroll.widget()

    def showPanel(self, title: str, widget: QWidget) -> None:
        self._title.setText(title)
        self._scroll.setWidget(widget)
        widget.show()
