"""Loading .ui files that hold ctk and qMRML widgets."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtUiTools import QUiLoader as PlainUiLoader
from PySide6.QtWidgets import QWidget

from Testing.host import (
    ctkchoices,
    ctkcontainers,
    ctkvalues,
    mrmlwidgets,
    nodeselectors,
    scenewidgets,
    tableview,
)

_WIDGET_FILES = (
    ctkcontainers,
    ctkvalues,
    ctkchoices,
    scenewidgets,
    nodeselectors,
    mrmlwidgets,
    tableview,
)


def widgetClasses(prefixes: tuple[str, ...] = ("ctk", "qMRML", "qSlicer")) -> dict[str, type]:
    """Return the stand-ins by the class name that a .ui file uses."""
    found: dict[str, type] = {}
    for module in _WIDGET_FILES:
        for name, value in vars(module).items():
            if isinstance(value, type) and name.startswith(prefixes):
                found[name] = value
    return found


class QUiLoader(PlainUiLoader):
    """Makes stand-ins by class name, and the file's ``mrmlSceneChanged`` connections."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._classes = widgetClasses()

    def createWidget(
        self, className: str, parent: QWidget | None = None, name: str = ""
    ) -> QWidget:
        if className in self._classes:
            widget = self._classes[className](parent)
        elif className.startswith(("ctk", "qMRML", "qSlicer")):
            raise NotImplementedError(
                f"The host has no stand-in for {className} ({name}). Add one to Testing/host."
            )
        else:
            return super().createWidget(className, parent, name)
        widget.setObjectName(name)
        return widget

    def load(self, device: Any, parent: QWidget | None = None) -> QWidget:
        tree = ElementTree.fromstring(bytes(device.readAll().data()))
        mrml = self._takeMrmlConnections(tree)
        buffer = QBuffer()
        buffer.setData(QByteArray(ElementTree.tostring(tree)))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for sender, signal, receiver, slot in mrml:
            source = widget if widget.objectName == sender else widget.findChild(QWidget, sender)
            target = widget.findChild(QWidget, receiver)
            getattr(source, signal.partition("(")[0]).connect(
                getattr(target, slot.partition("(")[0])
            )
        return widget

    @staticmethod
    def _takeMrmlConnections(tree: ElementTree.Element) -> list[tuple[str, str, str, str]]:
        """Take the connections that only Slicer's C++ classes could make out of the tree."""
        taken = []
        for connections in tree.findall("connections"):
            for item in list(connections):
                parts = [item.findtext(t, "") for t in ("sender", "signal", "receiver", "slot")]
                if "vtkMRML" in parts[1]:
                    connections.remove(item)
                    taken.append((parts[0], parts[1], parts[2], parts[3]))
        return taken
