"""slicer.app: the Qt application with the parts of qSlicerApplication that modules use."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QProcessEnvironment, QSettings, Signal
from PySide6.QtWidgets import QApplication

from Testing.host.fileio import CoreIOManager
from Testing.host.modules import ModuleManager
from Testing.host.pythonslicer import PythonSlicer


class SlicerApplication(QApplication):
    """One per process; a scene and a main window are attached to it and taken off again."""

    startupCompleted = Signal()
    lastWindowClosed_ = Signal()

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setApplicationVersion("5.12.0")
        self.setStyle("Fusion")
        self._temporary = tempfile.TemporaryDirectory(prefix="slicer-host-")
        self._settings = QSettings(f"{self._temporary.name}/Slicer.ini", QSettings.Format.IniFormat)
        self.pythonSlicer = PythonSlicer(Path(self._temporary.name) / "python" / "bin")
        self._paused = 0
        self._layoutManager: Any = None
        self._renderWhenResumed: list[Any] = []
        self._runtime: Any = None
        self._moduleManager: ModuleManager | None = None
        self._io: CoreIOManager | None = None
        self.testing = False
        self.translations: dict[tuple[str, str], str] = {}

    # Attached for the lifetime of one scene.

    def attach(self, runtime: Any, moduleManager: ModuleManager) -> None:
        self._runtime = runtime
        self._moduleManager = moduleManager
        self._io = CoreIOManager(runtime.scene, runtime.applicationLogic)

    def setLayoutManager(self, layoutManager: Any) -> None:
        self._layoutManager = layoutManager

    def detach(self) -> None:
        self._runtime = self._moduleManager = self._io = self._layoutManager = None
        self._paused = 0
        self.testing = False
        self.translations.clear()
        with warnings.catch_warnings():  # PySide warns where nothing is connected
            warnings.simplefilter("ignore")
            self.startupCompleted.disconnect()

    # Slicer's interface.

    def mrmlScene(self) -> Any:
        return self._runtime.scene

    def applicationLogic(self) -> Any:
        return self._runtime.applicationLogic

    def layoutManager(self) -> Any:
        return self._layoutManager

    def moduleManager(self) -> ModuleManager | None:
        return self._moduleManager

    def coreIOManager(self) -> CoreIOManager | None:
        return self._io

    def ioManager(self) -> CoreIOManager | None:
        return self._io

    def testingEnabled(self) -> bool:
        return self.testing

    def settings(self) -> QSettings:
        return self._settings

    def userSettings(self) -> QSettings:
        return self._settings

    def revisionUserSettings(self) -> QSettings:
        return self._settings

    def translate(self, context: str, text: str) -> str:
        return self.translations.get((context, text), text)

    def startupEnvironment(self) -> QProcessEnvironment:
        return QProcessEnvironment.systemEnvironment()

    def moduleDocumentationUrl(self, moduleName: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def pauseRender(self) -> None:
        self._paused += 1

    def resumeRender(self) -> None:
        self._paused = max(self._paused - 1, 0)
        if not self._paused and self._layoutManager is not None:
            self._layoutManager.renderAll()

    def setRenderPaused(self, paused: bool) -> None:
        (self.pauseRender if paused else self.resumeRender)()

    renderPaused = Property(bool, lambda self: self._paused > 0)
    isRenderPaused = renderPaused
    temporaryPath = Property(str, lambda self: self._temporary.name)
    cachePath = Property(str, lambda self: self._temporary.name)
    slicerHome = Property(str, lambda self: str(Path(__file__).parent))
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 12)
    os = Property(str, lambda self: "linux" if os.name == "posix" else "win")

    def applicationDirPath(self) -> str:
        """Return a folder without a PythonSlicer, as in a build tree; that is on PATH."""
        return self._temporary.name

    def restart(self) -> None:
        raise RuntimeError("The host does not restart.")
