"""Further qMRML widgets: segments, subject hierarchy, markups, units."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from Testing.host.ctkvalues import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from Testing.host.nodeselectors import qMRMLNodeComboBox
from Testing.host.scenewidgets import qMRMLWidget


class qMRMLSliderWidget(ctkSliderWidget):
    """A slider; the scene's units do not change its suffix here."""

    quantity = Property(str, lambda self: "", lambda self, value: None)

    def setMRMLScene(self, scene: Any) -> None:
        """Take the scene and do nothing with it."""


class qMRMLRangeWidget(ctkRangeWidget):
    """A range; the scene's units do not change its suffix here."""

    def setMRMLScene(self, scene: Any) -> None:
        """Take the scene and do nothing with it."""


class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box; the scene's units do not change its suffix here."""

    quantity = Property(str, lambda self: "", lambda self, value: None)

    def setMRMLScene(self, scene: Any) -> None:
        """Take the scene and do nothing with it."""


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """Pick a segmentation and one of its segments."""

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox()
        self._nodes.setNodeTypes(["vtkMRMLSegmentationNode"])
        self._nodes.addEnabled = False
        self._nodes.removeEnabled = False
        self._segments = QComboBox()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._nodes)
        column.addWidget(self._segments)
        self._node: Any = None
        self._tag = 0
        self._noneEnabled = False
        self._nodes.currentNodeChanged.connect(self._onNode)
        self._segments.currentIndexChanged.connect(
            lambda _: self.currentSegmentChanged.emit(self.currentSegmentID())
        )

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, identifier: str) -> None:
        self._nodes.setCurrentNodeID(identifier)

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    def currentSegmentID(self) -> str:
        return self._segments.currentData or ""

    def setCurrentSegmentID(self, identifier: str) -> None:
        self._segments.setCurrentIndex(self._segments.findData(identifier or ""))

    def setNoneEnabled(self, on: bool) -> None:
        self._noneEnabled = bool(on)
        self._nodes.noneEnabled = on
        self._fill()

    noneEnabled = Property(bool, lambda self: self._noneEnabled, setNoneEnabled)
    segmentationNodeSelectorVisible = Property(
        bool, lambda self: not self._nodes.isHidden(), lambda self, on: self._nodes.setVisible(on)
    )
    selectSegmentUponCreation = Property(bool, lambda self: False, lambda self, value: None)

    def _onNode(self, node: Any) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: self._fill())
        self._fill()
        self.currentNodeChanged.emit(node)

    def _fill(self) -> None:
        segmentation = self._node.GetSegmentation() if self._node else None
        entries = [("None", "")] if self._noneEnabled else []
        for n in range(segmentation.GetNumberOfSegments() if segmentation else 0):
            entries.append(
                (segmentation.GetNthSegment(n).GetName(), segmentation.GetNthSegmentID(n))
            )
        held = [
            (self._segments.itemText(i), self._segments.itemData(i))
            for i in range(self._segments.count)
        ]
        if entries == held:
            return
        current = self.currentSegmentID()
        self._segments.blockSignals(True)
        self._segments.clear()
        for text, identifier in entries:
            self._segments.addItem(text, identifier)
        self._segments.setCurrentIndex(max(self._segments.findData(current), 0) if entries else -1)
        self._segments.blockSignals(False)
        if self.currentSegmentID() != current:
            self.currentSegmentChanged.emit(self.currentSegmentID())


class qMRMLSubjectHierarchyTreeView(QTreeWidget):
    """The subject hierarchy as a tree; `refresh` reads it again."""

    currentItemsChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels(["Node"])
        self._scene: Any = None
        self._types: list[str] = []

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.refresh()

    def subjectHierarchyNode(self) -> Any:
        import slicer

        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def refresh(self) -> None:
        self.clear()
        if self._scene is not None:
            node = self.subjectHierarchyNode()
            self._addChildren(node, node.GetSceneItemID(), self.invisibleRootItem())
            self.expandAll()

    def _addChildren(self, node: Any, item: int, parent: QTreeWidgetItem) -> None:
        children = vtk.vtkIdList()
        node.GetItemChildren(item, children, False)
        for n in range(children.GetNumberOfIds()):
            child = children.GetId(n)
            row = QTreeWidgetItem(parent, [node.GetItemName(child)])
            row.setData(0, Qt.ItemDataRole.UserRole, child)
            self._addChildren(node, child, row)


class qSlicerSimpleMarkupsWidget(qMRMLWidget):
    """The control points of one markups node as a table, with a place button."""

    markupsNodeChanged = Signal()
    markupsPlaceModeChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selector = qMRMLNodeComboBox()
        self._selector.setNodeTypes(["vtkMRMLMarkupsFiducialNode"])
        self._place = QPushButton("Place")
        self._place.setCheckable(True)
        self._table = QTableWidget(0, 4)
        self._table.setHorizontalHeaderLabels(["Label", "R", "A", "S"])
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        row = QHBoxLayout()
        row.addWidget(self._selector, 1)
        row.addWidget(self._place)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self._table)
        self._node: Any = None
        self._tag = 0
        self._selector.currentNodeChanged.connect(self._onNode)
        self._place.toggled.connect(self._onPlace)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._selector.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        self._selector.setCurrentNode(node)

    def markupsSelectorComboBox(self) -> qMRMLNodeComboBox:
        return self._selector

    def tableWidget(self) -> QTableWidget:
        return self._table

    def _onNode(self, node: Any) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: self._fill())
        self._fill()
        self.markupsNodeChanged.emit()

    def _onPlace(self, on: bool) -> None:
        import slicer

        if on and self._node is not None:
            slicer.modules.markups.logic().SetActiveList(self._node)
            slicer.modules.markups.logic().StartPlaceMode(True)
        elif not on:
            interaction = slicer.app.applicationLogic().GetInteractionNode()
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self.markupsPlaceModeChanged.emit(on)

    def _fill(self) -> None:
        count = self._node.GetNumberOfControlPoints() if self._node else 0
        self._table.setRowCount(count)
        for n in range(count):
            point = self._node.GetNthControlPointPositionWorld(n)
            texts = [self._node.GetNthControlPointLabel(n), *(f"{c:.2f}" for c in point)]
            for column, text in enumerate(texts):
                self._table.setItem(n, column, QTableWidgetItem(text))
