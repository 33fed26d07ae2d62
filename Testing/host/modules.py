"""slicer.modules and the module manager: Slicer's own logics and scripted modules from files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import qt
import slicer
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout, QWidget

from Testing.host.scenewidgets import qMRMLWidget


class CoreModule:
    """A module of Slicer's own: it has a logic and no panel here."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = self.title = name
        self._logic = logic
        self.path = ""

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> None:
        return None


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The Qt widget that holds the panel of a scripted module."""

    def __init__(self, module: qSlicerScriptedLoadableModule) -> None:
        super().__init__()
        self._module = module
        self._python: Any = None
        self._entered = False
        self.setLayout(QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)
        self.reload()

    def self(self) -> Any:
        return self._python

    def reload(self) -> None:
        script = sys.modules[self._module.name]
        self._python = getattr(script, f"{self._module.name}Widget")(self)
        setattr(slicer.modules, f"{self._module.name}Widget", self._python)
        self._python.setup()
        if self._entered and hasattr(self._python, "enter"):
            self._python.enter()

    def enter(self) -> None:
        if not self._entered:
            self._entered = True
            if hasattr(self._python, "enter"):
                self._python.enter()

    def exit(self) -> None:
        if self._entered:
            self._entered = False
            if hasattr(self._python, "exit"):
                self._python.exit()


class qSlicerScriptedLoadableModule:
    """A scripted module: its description, and its panel when somebody asks for it."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.name = path.stem
        self.title = self.name
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.helpText = self.acknowledgementText = ""
        self.hidden = False
        self.icon = QIcon()
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None
        self._folderAdded = str(path.parent) not in sys.path
        if self._folderAdded:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(self.name, path)
        script = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = script
        spec.loader.exec_module(script)
        self._python = getattr(script, self.name)(self)

    def self(self) -> Any:
        return self._python

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self)
        return self._widget

    def createNewWidgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        return qSlicerScriptedLoadableModuleWidget(self)

    def logic(self) -> Any:
        return None

    def hasWidget(self) -> bool:
        return self._widget is not None

    def unload(self) -> None:
        """Forget the panel and the script, with the library folder that came with it."""
        if self._widget is not None:
            self._widget.exit()
            for child in [self._widget, *self._widget.findChildren(QWidget)]:
                if hasattr(child, "setMRMLScene"):
                    child.setMRMLScene(None)
            self._widget.setParent(None)
            self._widget.deleteLater()
            self._widget = None
        folder = Path(self.path).parent
        if self._folderAdded and str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            source = getattr(module, "__file__", None)
            if name == self.name or (source and folder in Path(source).parents):
                del sys.modules[name]


class Modules:
    """The namespace `slicer.modules`."""

    def add(self, module: Any) -> None:
        setattr(self, module.name.lower(), module)


class ModuleManager(QObject):
    """slicer.app.moduleManager(), which is its own factory manager here."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}

    def factoryManager(self) -> ModuleManager:
        return self

    def loadedModuleNames(self) -> list[str]:
        return list(self._modules)

    def modulesNames(self) -> list[str]:
        return list(self._modules)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    def addCore(self, name: str, logic: Any) -> None:
        self.add(CoreModule(name, logic))

    def loadScripted(self, path: str | Path) -> qSlicerScriptedLoadableModule:
        module = qSlicerScriptedLoadableModule(Path(path).resolve())
        self.add(module)
        self.moduleLoaded.emit(module.name)
        return module

    def add(self, module: Any) -> None:
        self._modules[module.name] = module
        slicer.modules.add(module)

    def unloadAll(self) -> None:
        """Unload scripted modules as Slicer does when it quits, then forget all."""
        for name, module in list(self._modules.items()):
            if isinstance(module, qSlicerScriptedLoadableModule):
                if module.hasWidget():
                    module.widgetRepresentation().exit()
                self.moduleAboutToBeUnloaded.emit(name)
                module.unload()
            if hasattr(slicer.modules, f"{name}Widget"):
                delattr(slicer.modules, f"{name}Widget")
        self._modules.clear()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)
