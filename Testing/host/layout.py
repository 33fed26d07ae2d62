"""The layout manager: Slicer's layout descriptions turned into view widgets."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import slicer
from PySide6.QtCore import Property, QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSplitter, QTabWidget, QVBoxLayout, QWidget

from Testing.host.plotview import PlotWidget
from Testing.host.tableview import TableWidget
from Testing.host.viewwidgets import SliceWidget, ThreeDWidget


class LayoutManager(QObject):
    """Show the views of the layout node's current description in one viewport widget."""

    layoutChanged = Signal(int)

    def __init__(self, scene: Any, applicationLogic: Any, viewport: QWidget) -> None:
        super().__init__()
        self._scene = scene
        self._applicationLogic = applicationLogic
        self._viewport = viewport
        QVBoxLayout(viewport).setContentsMargins(0, 0, 0, 0)
        self._content: QWidget | None = None
        self._widgets: dict[str, QWidget] = {}
        self._shown: str | None = None
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.GetLayoutNode()
        self._node.SetSaveWithScene(False)
        self._tag = self._node.AddObserver("ModifiedEvent", lambda *_: self._update())

    # Slicer's interface.

    def setLayout(self, layout: int) -> None:
        self._node.SetViewArrangement(layout)

    layout = Property(int, lambda self: self._node.GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._visible(ThreeDWidget)))
    tableViewCount = Property(int, lambda self: len(self._visible(TableWidget)))
    plotViewCount = Property(int, lambda self: len(self._visible(PlotWidget)))

    def layoutLogic(self) -> Any:
        return self._logic

    def layoutNode(self) -> Any:
        return self._node

    def viewport(self) -> QWidget:
        return self._viewport

    def mrmlScene(self) -> Any:
        return self._scene

    def mrmlSliceLogics(self) -> Any:
        return self._applicationLogic.GetSliceLogics()

    def sliceViewNames(self) -> list[str]:
        return [w.mrmlSliceNode().GetLayoutName() for w in self._visible(SliceWidget)]

    def sliceWidget(self, name: str) -> SliceWidget | None:
        widget = self._widgets.get(name)
        return widget if isinstance(widget, SliceWidget) else None

    def threeDWidget(self, index: int | str) -> ThreeDWidget | None:
        return self._pick(ThreeDWidget, index)

    def tableWidget(self, index: int) -> TableWidget | None:
        return self._pick(TableWidget, index)

    def plotWidget(self, index: int) -> PlotWidget | None:
        return self._pick(PlotWidget, index)

    def resetSliceViews(self) -> None:
        for widget in self._visible(SliceWidget):
            widget.sliceController().fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._visible(ThreeDWidget):
            widget.threeDView().resetFocalPoint()

    def renderAll(self) -> None:
        """Render every visible view now, ahead of the event loop."""
        for widget in [*self._visible(SliceWidget), *self._visible(ThreeDWidget)]:
            widget.view().forceRender()

    def close_(self) -> None:
        """Drop all views and let go of the scene."""
        self._node.RemoveObserver(self._tag)
        for widget in self._widgets.values():
            widget.close_()
            widget.setParent(None)
        self._widgets.clear()
        if self._content is not None:
            self._content.setParent(None)
        self._logic.SetMRMLScene(None)
        self._logic.SetMRMLApplicationLogic(None)
        self._node = self._logic = self._scene = self._applicationLogic = None

    # From description to widgets.

    def _visible(self, kind: type) -> list[Any]:
        shown = [w for w in self._widgets.values() if isinstance(w, kind)]
        return [w for w in shown if w.property("inLayout")]

    def _pick(self, kind: type, index: int | str) -> Any:
        if isinstance(index, str):
            return self._widgets.get(index)
        widgets = self._visible(kind)
        return widgets[index] if index < len(widgets) else None

    def _update(self) -> None:
        description = self._node.GetCurrentLayoutDescription()
        if not description or description == self._shown:
            return
        self._shown = description
        for widget in self._widgets.values():
            widget.setParent(None)
            widget.setProperty("inLayout", False)
        old, self._content = self._content, self._build(ElementTree.fromstring(description))
        if old is not None:
            old.setParent(None)
            old.deleteLater()
        self._viewport.layout().addWidget(self._content)
        self.layoutChanged.emit(self._node.GetViewArrangement())

    def _build(self, element: ElementTree.Element) -> QWidget:
        if element.tag == "view":
            return self._viewFor(element)
        items = element.findall("item")
        kind = element.get("type", "vertical")
        if kind == "grid":
            return self._buildGrid(items)
        if kind == "tab":
            tabs = QTabWidget()
            for item in items:
                tabs.addTab(self._build(item[0]), item.get("name", ""))
            return tabs
        horizontal = kind == "horizontal"
        splitter = QSplitter(Qt.Orientation.Horizontal if horizontal else Qt.Orientation.Vertical)
        for item in items:
            splitter.addWidget(self._build(item[0]))
        # Views have no natural size, so without this the first one would take all the room.
        splitter.setSizes([int(float(item.get("splitSize", 500))) for item in items])
        return splitter

    def _buildGrid(self, items: list[ElementTree.Element]) -> QWidget:
        widget = QWidget()
        grid = QGridLayout(widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(2)
        for number, item in enumerate(items):
            row, column = int(item.get("row", number)), int(item.get("column", 0))
            grid.addWidget(self._build(item[0]), row, column)
            grid.setRowStretch(row, 1)
            grid.setColumnStretch(column, 1)
        return widget

    def _viewFor(self, element: ElementTree.Element) -> QWidget:
        tag = element.get("singletontag", "")
        kind = element.get("class", "")
        name = tag if kind == "vtkMRMLSliceNode" else f"{kind}{tag}"
        if name not in self._widgets:
            node = self._scene.GetSingletonNode(tag, kind)
            self._widgets[name] = self._makeView(kind, node)
        widget = self._widgets[name]
        widget.setProperty("inLayout", True)
        return widget

    def _makeView(self, kind: str, node: Any) -> QWidget:
        if kind == "vtkMRMLSliceNode":
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._applicationLogic)
            logic.SetMRMLScene(self._scene)
            logic.SetSliceNode(node)
            self.mrmlSliceLogics().AddItem(logic)
            return SliceWidget(logic)
        if kind == "vtkMRMLViewNode":
            logic = slicer.vtkMRMLViewLogic()
            logic.SetMRMLApplicationLogic(self._applicationLogic)
            logic.SetMRMLScene(self._scene)
            logic.AddViewNode(node.GetLayoutName())
            self._applicationLogic.GetViewLogics().AddItem(logic)
            return ThreeDWidget(node)
        if kind == "vtkMRMLTableViewNode":
            return TableWidget(node)
        if kind == "vtkMRMLPlotViewNode":
            return PlotWidget(node)
        raise ValueError(f"The host has no view for {kind}.")
