"""Widgets that know the scene: the plain one, and the base of those that list its nodes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid


class qMRMLWidget(QWidget):
    """A widget that knows the scene and tells its children when it changes."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class SceneFollower(QWidget):
    """Watches a scene for nodes of some types; subclasses fill their list in `_refresh`."""

    _EVENTS = (
        "NodeAddedEvent",
        "NodeRemovedEvent",
        "EndCloseEvent",
        "EndImportEvent",
        "EndBatchProcessEvent",
        "EndRestoreEvent",
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []
        self._nodeTags: list[tuple[Any, int]] = []
        self._nodeTypes: list[str] = []
        self._attributes: dict[str, list[tuple[str, Any]]] = {}
        self._showHidden = False
        self._showChildTypes = True

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._forgetNodes()
        self._scene = scene
        import slicer

        events = [getattr(slicer.vtkMRMLScene, name) for name in self._EVENTS] if scene else []
        self._tags = [scene.AddObserver(event, self._onScene) for event in events]
        self._refresh()

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        self._attributes.setdefault(nodeType, []).append((name, value))
        self._refresh()

    def setNodeTypes(self, types: Any) -> None:
        self._nodeTypes = [types] if isinstance(types, str) else [t for t in types if t]
        self._refresh()

    def setShowHidden(self, show: bool) -> None:
        self._showHidden = bool(show)
        self._refresh()

    def setShowChildNodeTypes(self, show: bool) -> None:
        self._showChildTypes = bool(show)
        self._refresh()

    nodeTypes = Property("QStringList", lambda self: list(self._nodeTypes), setNodeTypes)
    showHidden = Property(bool, lambda self: self._showHidden, setShowHidden)
    showChildNodeTypes = Property(bool, lambda self: self._showChildTypes, setShowChildNodeTypes)

    def _matches(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self._showHidden:
            return False
        for kind in self._nodeTypes:
            same = node.GetClassName() == kind
            if same or (self._showChildTypes and node.IsA(kind)):
                wanted = self._attributes.get(kind, [])
                return all(
                    node.GetAttribute(n) is not None
                    and (v is None or node.GetAttribute(n) == str(v))
                    for n, v in wanted
                )
        return False

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        count = self._scene.GetNumberOfNodes()
        return [n for n in (self._scene.GetNthNode(i) for i in range(count)) if self._matches(n)]

    def _watch(self, nodes: list[Any]) -> None:
        self._forgetNodes()
        self._nodeTags = [(n, n.AddObserver("ModifiedEvent", self._onNode)) for n in nodes]

    def _forgetNodes(self) -> None:
        for node, tag in self._nodeTags:
            node.RemoveObserver(tag)
        self._nodeTags = []

    def _onScene(self, caller: Any, event: str) -> None:
        if not isValid(self):  # Qt deleted the widget while Python still held it
            self._forgetNodes()
            for tag in self._tags:
                caller.RemoveObserver(tag)
        elif not caller.IsBatchProcessing():
            self._refresh()

    def _onNode(self, caller: Any, event: str) -> None:
        if isValid(self):
            self._rename(caller)

    def _refresh(self) -> None:
        raise NotImplementedError

    def _rename(self, node: Any) -> None:
        raise NotImplementedError
