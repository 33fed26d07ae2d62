"""Slice and 3-D views: Slicer's displayable managers in an offscreen render window, shown by Qt.

VTK renders offscreen (EGL or Mesa) and the widget paints the frame, so the same code runs with
Qt's offscreen platform and on a real display, and a widget grab is a screenshot.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QSizePolicy, QWidget
from vtkmodules.util.numpy_support import vtk_to_numpy

_BUTTONS = {
    Qt.MouseButton.LeftButton: "LeftButton",
    Qt.MouseButton.RightButton: "RightButton",
    Qt.MouseButton.MiddleButton: "MiddleButton",
}
_KEYSYMS = {
    Qt.Key.Key_Escape: "Escape",
    Qt.Key.Key_Return: "Return",
    Qt.Key.Key_Enter: "Return",
    Qt.Key.Key_Delete: "Delete",
    Qt.Key.Key_Backspace: "BackSpace",
    Qt.Key.Key_Left: "Left",
    Qt.Key.Key_Right: "Right",
    Qt.Key.Key_Up: "Up",
    Qt.Key.Key_Down: "Down",
    Qt.Key.Key_Space: "space",
    Qt.Key.Key_Tab: "Tab",
}


class VtkView(QWidget):
    """A widget that paints an offscreen render window and forwards mouse and keys to VTK."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetShowWindow(False)
        self._window.SetMultiSamples(0)
        self._window.SetSize(300, 300)
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.EnableRenderOff()  # views render when they are scheduled, not per event
        self._group: Any = None
        self._style: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._frame: QImage | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._renderIfAllowed)
        self.renderCount = 0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(40, 40)

    # What modules call, in Slicer's names.

    def renderWindow(self) -> Any:
        return self._window

    def renderer(self) -> Any:
        return self._renderer

    def interactor(self) -> Any:
        return self._interactor

    def interactorStyle(self) -> Any:
        return self._style

    def scheduleRender(self) -> None:
        if not self._timer.active:
            self._timer.start()

    def forceRender(self) -> None:
        """Render now, and paint what came out."""
        self._timer.stop()
        self._window.Render()
        self._frame = self._grabFrame()
        self.renderCount += 1
        self.update()

    def displayableManagerByClassName(self, className: str) -> Any:
        return self._group.GetDisplayableManagerByClassName(className)

    def close_(self) -> None:
        """Let go of every VTK object; the widget stays as an empty one."""
        self._timer.stop()
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed.clear()
        self._style.SetInteractor(None)
        self._group.SetMRMLDisplayableNode(None)
        self._group = self._style = None
        self._window.RemoveRenderer(self._renderer)
        self._interactor.SetRenderWindow(None)
        self._window.Finalize()
        self._renderer = self._interactor = self._window = None

    # How the pieces are joined.

    def _observe(self, subject: Any, event: str, callback: Any) -> None:
        self._observed.append((subject, subject.AddObserver(event, callback)))

    def _join(self, factory: Any, node: Any, style: Any) -> None:
        # MRML's style observes the interactor and hands what nobody wants to this one.
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self._style = style
        style.SetInteractor(self._interactor)
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.UnRegister(None)  # it comes with a reference that the wrapper does not take
        style.SetDisplayableManagers(self._group)
        self._observe(self._group, "UpdateEvent", lambda *_: self.scheduleRender())
        self._group.SetMRMLDisplayableNode(node)
        self._interactor.Initialize()

    def _renderIfAllowed(self) -> None:
        if self._window is not None and not slicer.app.renderPaused:
            self.forceRender()

    def _grabFrame(self) -> QImage:
        width, height = self._window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, pixels)
        rows = vtk_to_numpy(pixels).reshape(height, width, 4)[::-1, :, :3].copy()
        image = QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        return image.copy()

    def _resized(self, width: int, height: int) -> None:
        self._window.SetSize(width, height)
        self._interactor.UpdateSize(width, height)

    # Qt events.

    def resizeEvent(self, event: Any) -> None:
        size = event.size()
        if self._window is not None:
            self._resized(max(size.width(), 1), max(size.height(), 1))
            self._frame = None
            self.scheduleRender()

    def paintEvent(self, event: Any) -> None:
        if self._frame is None and self._window is not None:
            self._window.Render()
            self._frame = self._grabFrame()
        if self._frame is not None:
            QPainter(self).drawImage(0, 0, self._frame)

    def _send(
        self, event: Any, name: str, x: float, y: float, key: str = "", sym: str = ""
    ) -> None:
        modifiers = event.modifiers()
        self._interactor.SetEventInformation(
            round(x),
            self.height - 1 - round(y),
            int(bool(modifiers & Qt.KeyboardModifier.ControlModifier)),
            int(bool(modifiers & Qt.KeyboardModifier.ShiftModifier)),
            key or "\0",
            0,
            sym or None,
        )
        self._interactor.SetAltKey(int(bool(modifiers & Qt.KeyboardModifier.AltModifier)))
        self._interactor.InvokeEvent(name)
        event.accept()

    def _mouse(self, event: Any, suffix: str) -> None:
        name = _BUTTONS.get(event.button())
        if name and self._interactor is not None:
            position = event.position()
            self._send(event, f"{name}{suffix}Event", position.x(), position.y())

    def mousePressEvent(self, event: Any) -> None:
        self._mouse(event, "Press")

    def mouseReleaseEvent(self, event: Any) -> None:
        self._mouse(event, "Release")

    def mouseDoubleClickEvent(self, event: Any) -> None:
        self._mouse(event, "DoubleClick")

    def mouseMoveEvent(self, event: Any) -> None:
        position = event.position()
        if self._interactor is not None:
            self._send(event, "MouseMoveEvent", position.x(), position.y())

    def wheelEvent(self, event: Any) -> None:
        name = "MouseWheelForwardEvent" if event.angleDelta().y() > 0 else "MouseWheelBackwardEvent"
        position = event.position()
        if self._interactor is not None:
            self._send(event, name, position.x(), position.y())

    def enterEvent(self, event: Any) -> None:
        if self._interactor is not None:
            self._interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, event: QEvent) -> None:
        if self._interactor is not None:
            self._interactor.InvokeEvent("LeaveEvent")

    def _key(self, event: Any, name: str) -> None:
        if self._interactor is None:
            return
        x, y = self._interactor.GetEventPosition()
        sym = _KEYSYMS.get(Qt.Key(event.key()), event.text())
        self._send(event, name, x, self.height - 1 - y, event.text()[:1], sym)

    def keyPressEvent(self, event: Any) -> None:
        self._key(event, "KeyPressEvent")
        if self._interactor is not None and event.text():
            self._interactor.InvokeEvent("CharEvent")
        event.ignore()  # shortcuts of the panel hear it as well

    def keyReleaseEvent(self, event: Any) -> None:
        self._key(event, "KeyReleaseEvent")


class SliceView(VtkView):
    """A 2-D view: the slice logic's image and the 2-D displayable managers."""

    def __init__(self, sliceLogic: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = sliceLogic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._renderer.AddViewProp(self._image)
        self._connectImage()
        self._observe(sliceLogic, "ModifiedEvent", lambda *_: self._onLogicModified())
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(sliceLogic)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._join(factory, sliceLogic.GetSliceNode(), style)

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def sliceLogic(self) -> Any:
        return self._logic

    def convertDeviceToXYZ(self, xy: Any) -> list[float]:
        return [float(xy[0]), float(xy[1]), 0.0]

    def convertRASToXYZ(self, ras: Any) -> list[float]:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return list(inverse.MultiplyPoint((*ras, 1.0))[:3])

    def _connectImage(self) -> None:
        connection = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._image.SetVisibility(connection is not None)

    def _onLogicModified(self) -> None:
        self._connectImage()
        self.scheduleRender()

    def _resized(self, width: int, height: int) -> None:
        super()._resized(width, height)
        self._logic.ResizeSliceNode(width, height)

    def close_(self) -> None:
        self._mapper.SetInputConnection(None)
        self.interactorStyle().SetSliceLogic(None)
        super().close_()
        self._logic = self._mapper = self._image = None


class ThreeDView(VtkView):
    """A 3-D view: the view node and the 3-D displayable managers."""

    def __init__(self, viewNode: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = viewNode
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._join(factory, viewNode, slicer.vtkMRMLThreeDViewInteractorStyle())
        self._style.SetCameraNode(self.cameraNode())

    def mrmlViewNode(self) -> Any:
        return self._node

    def cameraNode(self) -> Any:
        return slicer.modules.cameras.logic().GetViewActiveCameraNode(self._node)

    def resetFocalPoint(self) -> None:
        self.resetCamera()

    def resetCamera(self, *_: Any) -> None:
        self._renderer.ResetCamera()
        self._renderer.ResetCameraClippingRange()
        self.scheduleRender()

    def close_(self) -> None:
        self._style.SetCameraNode(None)
        super().close_()
        self._node = None
