"""What is written into slice views: the screws' names, and in turned ones what they cut.

Plain VTK in the views' own renderers, as Slicer's Data Probe does it: nothing of it is in the
scene, and a view that is closed takes its words along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import vtk

from spinemar.implants.placement import Screw
from spinemar.pages.orientation import BAR_MM, edge_letters

_SIZE_PX, _MARGIN_PX, _BAR_PX = 14, 6, 3
_NAME_OFF_PX = (8, 8)

Named = tuple[Screw, str]


class SliceCaptions:
    """Writes into all slice views of a layout; `update` is cheap where nothing changed.

    Parameters
    ----------
    layoutManager : qSlicerLayoutManager
    """

    def __init__(self, layoutManager: Any) -> None:
        self._layoutManager = layoutManager
        self._views: dict[str, _View] = {}

    def showNames(self, named: Sequence[Named]) -> None:
        """Write these names where the slices cut their screws, nearest to the heads."""
        for view in self._present():
            view.named = tuple(named)
            view.update()

    def change(self, screw: Screw, label: str) -> None:
        """Follow one screw that is dragged."""
        for view in self._present():
            view.named = tuple(
                (screw, label) if s.id == screw.id else (s, t) for s, t in view.named
            )
            view.update()

    def showHeaders(self, headers: Mapping[str, str]) -> None:
        """Say by the views' names what they cut, with letters and bar; others say nothing."""
        for view in self._present():
            view.header = headers.get(view.name, "")
            view.update()

    def headers(self) -> dict[str, str]:
        """Return what the views say that they cut."""
        return {view.name: view.header for view in self._present() if view.header}

    def remove(self) -> None:
        """Take all words out of the views."""
        for view in self._views.values():
            view.close()
        self._views = {}

    def _present(self) -> list[_View]:
        if self._layoutManager is None:
            return []
        for name in self._layoutManager.sliceViewNames():
            if name not in self._views:
                widget = self._layoutManager.sliceWidget(name)
                self._views[name] = _View(name, widget.sliceView(), widget.mrmlSliceNode())
        return list(self._views.values())


class _View:
    """The words of one slice view; they follow its slice node."""

    def __init__(self, name: str, view: Any, sliceNode: Any) -> None:
        self.name, self.header = name, ""
        self.named: tuple[Named, ...] = ()
        self._view, self._node = view, sliceNode
        self._renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
        self._texts: dict[str, Any] = {}
        self._bar: Any = None
        self._drawn: Any = None
        self._tag = sliceNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.update())

    def close(self) -> None:
        self._node.RemoveObserver(self._tag)
        self.named, self.header = (), ""
        self.update()

    def update(self) -> None:
        """Draw what is to be read now, where the slice is now."""
        wide, tall, _ = self._node.GetDimensions()
        words = {**self._nameWords(wide, tall), **self._headerWords(wide, tall)}
        bar = round(BAR_MM * wide / self._node.GetFieldOfView()[0]) if self.header else 0
        if self._drawn == (words, bar):
            return
        self._drawn = words, bar
        for key in set(self._texts) - set(words):
            self._renderer.RemoveViewProp(self._texts.pop(key))
        for key, (text, place, centred) in words.items():
            self._write(key, text, place, centred)
        self._drawBar(bar)
        self._view.scheduleRender()

    def _nameWords(self, wide: int, tall: int) -> dict[str, Any]:
        words = {}
        toXy = _inverse(self._node.GetXYToRAS())
        plane = _array(self._node.GetSliceToRAS())
        for screw, label in self.named:
            seen = place_in_slice(screw, plane[:3, 3], plane[:3, 2])
            if seen is None:
                continue
            x, y = (toXy @ np.append(seen, 1.0))[:2].round().astype(int)
            if 0 <= x < wide and 0 <= y < tall:
                place = (int(x) + _NAME_OFF_PX[0], int(y) + _NAME_OFF_PX[1])
                words[f"name {screw.id}"] = (label, place, False)
        return words

    def _headerWords(self, wide: int, tall: int) -> dict[str, Any]:
        if not self.header:
            return {}
        plane = _array(self._node.GetSliceToRAS())
        letters = edge_letters(plane[:3, 0], plane[:3, 1])
        half, edge = _SIZE_PX // 2, _MARGIN_PX + _SIZE_PX // 2
        return {
            "header": (self.header, (wide // 2, tall - _MARGIN_PX - half), True),
            "left": (letters["left"], (edge, tall // 2), True),
            "right": (letters["right"], (wide - edge, tall // 2), True),
            "top": (letters["top"], (wide // 2, tall - _MARGIN_PX - 3 * half - 6), True),
            "bottom": (letters["bottom"], (wide // 2, edge), True),
            "bar": (f"{BAR_MM:g} mm", (_MARGIN_PX, _MARGIN_PX + _BAR_PX + 4), False),
        }

    def _write(self, key: str, text: str, place: tuple[int, int], centred: bool) -> None:
        actor = self._texts.get(key)
        if actor is None:
            actor = self._texts[key] = vtk.vtkTextActor()
            look = actor.GetTextProperty()
            look.SetFontSize(_SIZE_PX)
            look.SetBold(True)
            look.SetShadow(True)
            look.SetColor(1.0, 1.0, 1.0)
            if centred:
                look.SetJustificationToCentered()
                look.SetVerticalJustificationToCentered()
            self._renderer.AddViewProp(actor)
        actor.SetInput(text)
        actor.SetDisplayPosition(*place)

    def _drawBar(self, length: int) -> None:
        if self._bar is not None:
            self._renderer.RemoveViewProp(self._bar)
            self._bar = None
        if length:
            source = vtk.vtkPlaneSource()
            left, bottom = _MARGIN_PX, _MARGIN_PX
            source.SetOrigin(left, bottom, 0)
            source.SetPoint1(left + length, bottom, 0)
            source.SetPoint2(left, bottom + _BAR_PX, 0)
            mapper = vtk.vtkPolyDataMapper2D()
            mapper.SetInputConnection(source.GetOutputPort())
            self._bar = vtk.vtkActor2D()
            self._bar.SetMapper(mapper)
            self._bar.GetProperty().SetColor(1.0, 1.0, 1.0)
            self._renderer.AddViewProp(self._bar)


def place_in_slice(screw: Screw, origin: np.ndarray, normal: np.ndarray) -> np.ndarray | None:
    """Return the point of a screw's axis nearest to its head that a slice cuts; None if none.

    The slice cuts the shank where the axis is less than half its diameter away.
    """
    entry, tip = np.asarray(screw.entry), np.asarray(screw.tip)
    first, last = ((point - origin) @ normal for point in (entry, tip))
    reach = screw.diameter_mm / 2
    if abs(first) <= reach:
        return entry
    nearest = np.sign(first) * reach
    share = (first - nearest) / (first - last) if first != last else -1.0
    return entry + share * (tip - entry) if 0.0 <= share <= 1.0 else None


def _array(matrix: Any) -> np.ndarray:
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def _inverse(matrix: Any) -> np.ndarray:
    return np.linalg.inv(_array(matrix))
