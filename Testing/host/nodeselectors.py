"""qMRML selectors: combo boxes that list, pick, add and remove the nodes of a scene."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, QTimer, Signal
from PySide6.QtGui import QStandardItem
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from Testing.host.ctkchoices import ctkCheckableComboBox
from Testing.host.scenewidgets import SceneFollower


class qMRMLNodeComboBox(SceneFollower):
    """Pick one node; with the entries None, create, rename and delete where they are enabled."""

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAddedByUser = Signal(object)
    nodeActivated = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = QComboBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._combo.activated.connect(self._onActivated)
        self._options = {"none": False, "add": True, "remove": True, "rename": False, "edit": False}
        self._noneText = "None"
        self._baseName = ""
        self._selectNew = False
        self._shown: list[Any] = []
        self._current: Any = None

    # Options as Qt properties, so that a .ui file can set them.

    def _setOption(self, name: str, value: bool) -> None:
        self._options[name] = bool(value)
        self._refresh()

    noneEnabled = Property(
        bool, lambda self: self._options["none"], lambda self, v: self._setOption("none", v)
    )
    addEnabled = Property(
        bool, lambda self: self._options["add"], lambda self, v: self._setOption("add", v)
    )
    removeEnabled = Property(
        bool, lambda self: self._options["remove"], lambda self, v: self._setOption("remove", v)
    )
    renameEnabled = Property(
        bool, lambda self: self._options["rename"], lambda self, v: self._setOption("rename", v)
    )
    editEnabled = Property(
        bool, lambda self: self._options["edit"], lambda self, v: self._setOption("edit", v)
    )
    interactionNodeSingletonTag = Property(str, lambda self: "", lambda self, v: None)

    def setNoneDisplay(self, text: str) -> None:
        self._noneText = text
        self._refresh()

    noneDisplay = Property(str, lambda self: self._noneText, setNoneDisplay)

    def setBaseName(self, name: str, nodeType: str = "") -> None:
        self._baseName = name

    baseName = Property(str, lambda self: self._baseName, setBaseName)

    def setSelectNodeUponCreation(self, on: bool) -> None:
        self._selectNew = bool(on)

    selectNodeUponCreation = Property(bool, lambda self: self._selectNew, setSelectNodeUponCreation)

    # Nodes.

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene else None
        if node is not None and all(node is not n for n in self._shown):
            node = None
        if node is None and not self._options["none"] and self._shown:
            node = self._shown[0]
        self._select(node)

    def setCurrentNodeID(self, identifier: str) -> None:
        self.setCurrentNode(identifier)

    currentNodeID = Property(
        str, lambda self: self._current.GetID() if self._current else "", setCurrentNodeID
    )

    def nodeCount(self) -> int:
        return len(self._shown)

    def nodeFromIndex(self, index: int) -> Any:
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def addNode(self, nodeType: str = "") -> Any:
        kind = nodeType or self._nodeTypes[0]
        name = self._baseName or kind.removeprefix("vtkMRML").removesuffix("Node")
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(name))
        for attribute, value in self._attributes.get(kind, []):
            node.SetAttribute(attribute, "" if value is None else str(value))
        self._refresh()
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._current is not None:
            self._scene.RemoveNode(self._current)

    def comboBox(self) -> QComboBox:
        return self._combo

    # List.

    def _entries(self) -> list[tuple[str, Any]]:
        entries: list[tuple[str, Any]] = []
        if self._options["none"]:
            entries.append((self._noneText, None))
        entries += [(n.GetName() or n.GetID(), n) for n in self._shown]
        kind = (
            self._nodeTypes[0].removeprefix("vtkMRML").removesuffix("Node")
            if self._nodeTypes
            else ""
        )
        if self._options["add"] and kind:
            entries.append((f"Create new {kind}", "add"))
        if self._options["remove"] and self._current is not None:
            entries.append((f"Delete current {kind}", "remove"))
        return entries

    def _fill(self) -> None:
        self._combo.blockSignals(True)
        self._combo.clear()
        for row, (text, what) in enumerate(self._entries()):
            self._combo.addItem(text)
            if what is self._current and not isinstance(what, str):
                self._combo.setCurrentIndex(row)
        if self._current is None and not self._options["none"]:
            self._combo.setCurrentIndex(-1)
            self._combo.setPlaceholderText(
                f"Select a {self._nodeTypes[0][7:-4]}" if self._nodeTypes else ""
            )
        self._combo.blockSignals(False)

    def _refresh(self) -> None:
        before = self._shown
        self._shown = self._nodes()
        self._watch(self._shown)
        new = [n for n in self._shown if all(n is not b for b in before)]
        current = self._current
        if current is not None and all(current is not n for n in self._shown):
            current = None
        if new and self._selectNew and before != self._shown and self._combo.isVisible():
            current = new[-1]
        if current is None and not self._options["none"] and self._shown:
            current = self._shown[0]
        self._select(current)

    def _select(self, node: Any) -> None:
        changed = node is not self._current
        self._current = node
        self._fill()
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _rename(self, node: Any) -> None:
        row = next((r for r, (_, n) in enumerate(self._entries()) if n is node), -1)
        if row >= 0 and self._combo.itemText(row) != node.GetName():
            self._combo.setItemText(row, node.GetName())

    def _onActivated(self, row: int) -> None:
        what = self._entries()[row][1]
        if what == "add":
            # After the combo box has finished with its click: a new node refills it.
            QTimer.singleShot(0, lambda: self.addNode())
        elif what == "remove":
            QTimer.singleShot(0, lambda: self.removeCurrentNode())
        else:
            self._select(what)
            self.nodeActivated.emit(what)


class qMRMLCheckableNodeComboBox(SceneFollower):
    """Check any number of nodes."""

    checkedNodesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = ctkCheckableComboBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._shown: list[Any] = []
        self._filling = False
        self._combo.model().itemChanged.connect(lambda _: self._onItem())

    def nodeCount(self) -> int:
        return len(self._shown)

    def nodeFromIndex(self, index: int) -> Any:
        return self._shown[index]

    def checkedNodes(self) -> list[Any]:
        return [n for n in self._shown if self.checkState(n) == Qt.CheckState.Checked]

    def _item(self, node: Any) -> QStandardItem:
        row = next(r for r, n in enumerate(self._shown) if n is node)
        return self._combo.model().item(row)

    def checkState(self, node: Any) -> Any:
        return self._item(node).checkState()

    def setCheckState(self, node: Any, state: Any) -> None:
        self._item(node).setCheckState(Qt.CheckState(state))

    def comboBox(self) -> ctkCheckableComboBox:
        return self._combo

    def _onItem(self) -> None:
        if not self._filling:
            self.checkedNodesChanged.emit()

    def _refresh(self) -> None:
        checked = {n.GetID() for n in self._shown if n.GetScene() and self.checkState(n).value}
        self._filling = True
        self._shown = self._nodes()
        self._watch(self._shown)
        self._combo.model().clear()
        for node in self._shown:
            self._combo.addItem(node.GetName() or node.GetID())
            if node.GetID() in checked:
                self._item(node).setCheckState(Qt.CheckState.Checked)
        self._filling = False

    def _rename(self, node: Any) -> None:
        if self._item(node).text() != node.GetName():
            self._item(node).setText(node.GetName())
