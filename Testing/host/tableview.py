"""Table nodes as Qt tables: `qMRMLTableView` and the table view of a layout."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import (
    QAbstractItemView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)


class qMRMLTableView(QTableWidget):
    """Show the table of a `vtkMRMLTableNode` and follow its changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._tag = 0
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setAlternatingRowColors(True)

    def mrmlTableNode(self) -> Any:
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver("ModifiedEvent", lambda *_: self._fill())
        self._fill()

    def setMRMLScene(self, scene: Any) -> None:
        if scene is None:
            self.setMRMLTableNode(None)

    def selectedMRMLTableRows(self) -> list[int]:
        return sorted({index.row() for index in self.selectedIndexes()})

    def _fill(self) -> None:
        self.clear()
        table = self._node.GetTable() if self._node is not None else None
        if table is None:
            self.setRowCount(0)
            self.setColumnCount(0)
            return
        columns, rows = table.GetNumberOfColumns(), table.GetNumberOfRows()
        self.setColumnCount(columns)
        self.setRowCount(rows)
        names = [table.GetColumnName(c) for c in range(columns)]
        locked = self._node.GetUseColumnTitleAsColumnHeader()
        self.setHorizontalHeaderLabels(
            [(self._node.GetColumnTitle(n) or n) if locked else n for n in names]
        )
        for row in range(rows):
            for column in range(columns):
                text = table.GetValue(row, column).ToString()
                self.setItem(row, column, QTableWidgetItem(text))
        self.resizeColumnsToContents()


class TableWidget(QWidget):
    """A layout's table view: shows the table that its view node names."""

    def __init__(self, viewNode: Any) -> None:
        super().__init__()
        self._node = viewNode
        self._table = qMRMLTableView()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._table)
        self._tag = viewNode.AddObserver("ModifiedEvent", lambda *_: self._follow())
        self._follow()

    def tableView(self) -> qMRMLTableView:
        return self._table

    def mrmlTableViewNode(self) -> Any:
        return self._node

    def _follow(self) -> None:
        node = self._node.GetTableNode()
        if node is not self._table.mrmlTableNode():
            self._table.setMRMLTableNode(node)

    def close_(self) -> None:
        self._node.RemoveObserver(self._tag)
        self._table.setMRMLTableNode(None)
        self._node = None
