"""`Host`: one headless Slicer session, from start-up to a clean close."""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _standInModules() -> None:
    """Publish the stand-ins under the names that modules import."""
    import slicer
    import slicer.util

    from Testing.host import uiloader
    from Testing.host.modules import (
        Modules,
        qSlicerScriptedLoadableModule,
        qSlicerScriptedLoadableModuleWidget,
    )

    slicer.modules = Modules()
    slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
    slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
    for name, cls in uiloader.widgetClasses(("qMRML", "qSlicer")).items():
        setattr(slicer, name, cls)
    ctk = types.ModuleType("ctk", "ctk's widgets, as far as the host has them.")
    for name, cls in uiloader.widgetClasses(("ctk",)).items():
        setattr(ctk, name, cls)
    sys.modules["ctk"] = ctk
    sys.modules["qt"].QUiLoader = uiloader.QUiLoader
    from Testing.host import slicersown

    genuine = slicersown.checkout()
    if genuine is None:
        _publishStandIns(slicer)
    else:
        slicersown.publish(genuine)
    from Testing.host.standins import cli  # Slicer's own wants the command-line logic

    sys.modules["slicer.cli"] = slicer.cli = cli


def _publishStandIns(slicer: Any) -> None:
    from Testing.host import standins
    from Testing.host.standins import (
        SampleData,
        ScriptedLoadableModule,
        i18n,
        parameterNodeWrapper,
    )

    sys.modules["SampleData"] = SampleData
    for standIn in (ScriptedLoadableModule, i18n, parameterNodeWrapper):
        name = standIn.__name__.rpartition(".")[2]
        sys.modules[f"slicer.{name}"] = standIn
        setattr(slicer, name, standIn)
    slicer.__path__.append(str(Path(standins.__file__).parent / "onrequest"))


def startApplication() -> Any:
    """Start Qt and install the stand-ins, once per process; return `slicer.app`."""
    if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Views render offscreen and Qt paints the frames, so VTK never needs the X server.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    import slicer

    from Testing.host import pythonqt

    pythonqt.install()
    if getattr(slicer, "app", None) is None:
        from Testing.host.application import SlicerApplication

        pythonqt.hushPlatform()
        slicer.app = SlicerApplication()
        _standInModules()
    return slicer.app


class Host:
    """A scene, a main window with views, and the modules loaded into them.

    Use it as a context manager. Message boxes do not wait: they are kept in `messages` and answered
    by `answer`, which may be replaced. Exceptions that Qt and VTK callbacks would only print are
    kept in `errors`, and closing raises if nobody took them.
    """

    def __init__(self, *, size: tuple[int, int] = (1400, 900), answerBoxes: bool = True) -> None:
        self.app = startApplication()
        self.size = size
        self.messages: list[Any] = []
        self.errors: list[BaseException] = []
        self.answer: Callable[[Any], Any] = self._acceptMessage
        self._answerBoxes = answerBoxes
        self.window: Any = None
        self._runtime: Any = None

    # Life.

    def __enter__(self) -> Host:
        self.open()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.close()
        if self.errors and error is None:
            raise self.errors[0]

    def open(self) -> None:
        import slicer

        from Testing.host.ctkchoices import ctkMessageBox
        from Testing.host.modules import ModuleManager
        from Testing.host.scene import openScene

        self._runtime = openScene(self.app.temporaryPath)
        self.scene = slicer.mrmlScene = self._runtime.scene
        self.moduleManager = ModuleManager()
        self.app.attach(self._runtime, self.moduleManager)
        for name, logic in self._runtime.moduleLogics.items():
            self.moduleManager.addCore(name, logic)
        self._excepthook, sys.excepthook = sys.excepthook, self._onException
        ctkMessageBox.answerer = self._onMessage if self._answerBoxes else None

    def close(self) -> None:
        import gc

        import slicer

        from Testing.host.ctkchoices import ctkMessageBox

        if self.window is not None:
            self.window.takePanel()
        self.moduleManager.unloadAll()
        if self.window is not None:
            self.layoutManager.close_()
            self.window.close()
            self.window.deleteLater()
            self.window = self.layoutManager = None
        self.app.detach()
        self.app.processEvents()
        self.app.sendPostedEvents(None, 52)  # QEvent::DeferredDelete
        self._runtime.close()
        self._runtime = self.scene = slicer.mrmlScene = None
        for name in list(vars(slicer.modules)):
            delattr(slicer.modules, name)
        self.moduleManager = None
        if sys.modules.pop("slicer.packaging", None) is not None:
            vars(slicer).pop("packaging", None)  # the next session is one that nobody asked
        self.app.pythonSlicer.forget()
        ctkMessageBox.answerer = None
        sys.excepthook = self._excepthook
        gc.collect()

    def showWindow(self, layout: int | None = None) -> Any:
        """Open the main window with views; four-up unless another layout is asked for."""
        import slicer

        from Testing.host.layout import LayoutManager
        from Testing.host.window import MainWindow

        self.window = MainWindow()
        self.window.resize(*self.size)
        self.layoutManager = LayoutManager(
            self.scene, self._runtime.applicationLogic, self.window.viewport()
        )
        self.app.setLayoutManager(self.layoutManager)
        fourUp = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        self.layoutManager.setLayout(fourUp if layout is None else layout)
        self.window.show()
        self.process()
        return self.window

    # Modules.

    def loadModule(self, path: str | Path) -> Any:
        return self.moduleManager.loadScripted(path)

    def loadCommandLineModule(self, path: str | Path) -> Any:
        """Register a scripted command-line module, for `slicer.cli.runSync`."""
        from Testing.host.standins.cli import CommandLineModule

        module = CommandLineModule(str(path))
        self.moduleManager.add(module)
        return module

    def finishStartup(self) -> None:
        """Tell the modules that Slicer has started (they register sample data then)."""
        self.app.startupCompleted.emit()
        self.process()

    def clickSample(self, name: str) -> None:
        """Click a sample's button in the Sample Data module: what it raises ends in a slot."""
        import qt
        import slicer

        sources = [s for group in slicer.modules.sampleDataSources.values() for s in group]
        source = next(s for s in sources if s.sampleName == name)
        button = qt.QPushButton(name)
        button.connect("clicked()", lambda: source.customDownloader(source))
        button.click()

    def openModule(self, path: str | Path) -> Any:
        """Load a module from its file, show its panel, and return its Python widget."""
        module = self.loadModule(path)
        if self.window is None:
            self.showWindow()
        self.window.moduleSelector().selectModule(module.name)
        self.process()
        return module.widgetRepresentation().self()

    # Time.

    def process(self, seconds: float = 0.0) -> None:
        """Let the event loop run for a while."""
        end = time.monotonic() + seconds
        self.app.processEvents()
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.002)

    def waitUntil(self, condition: Callable[[], Any], seconds: float = 10.0) -> None:
        """Run the event loop until the condition holds; fail when it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Still not so after {seconds} s")
            self.process()
            time.sleep(0.002)

    # Pictures.

    def screenshot(self, path: str | Path, widget: Any = None) -> Path:
        """Render all views, then save a picture of the window (or of one widget)."""
        self.process()
        if self.window is not None:
            self.layoutManager.renderAll()
        picture = (widget or self.window).grab()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not picture.save(str(path)):
            raise OSError(f"Could not write {path}")
        return Path(path)

    # What would have stopped the user.

    def _acceptMessage(self, message: Any) -> Any:
        import qt

        for button in (qt.QMessageBox.Yes, qt.QMessageBox.Ok):
            if message.buttons & button:
                return button
        return qt.QMessageBox.Ok

    def _onMessage(self, message: Any) -> Any:
        self.messages.append(message)
        return self.answer(message)

    def _onException(self, kind: type, error: BaseException, trace: Any) -> None:
        self.errors.append(error)
        self._excepthook(kind, error, trace)
