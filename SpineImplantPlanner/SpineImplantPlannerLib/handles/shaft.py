"""A handle in the middle of the selected screw, to move the whole of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spinemar.implants.checks import Point
from spinemar.implants.placement import Screw
from spinemar.planning.vectors import as_point
from SpineMARLib.nodes.transient import addTransient, removeTransient

Moved = Callable[[str, tuple[Point, ...]], None]
_COLOUR = (1.0, 0.85, 0.1)


class ShaftHandle:
    """One point that follows the selected screw; dragging it shifts entry and tip alike.

    Parameters
    ----------
    scene : vtkMRMLScene
    moving, moved : callable
        As of `HandleWatcher`: the screw's id with its new entry and tip.
    """

    def __init__(self, scene: Any, moving: Moved, moved: Moved) -> None:
        self._scene, self._moving, self._moved = scene, moving, moved
        self._screw: Screw | None = None
        self._updating = self._dragged = False
        self._tags: list[int] = []
        self.node: Any = None

    def attach(self, screw: Screw | None, *, locked: bool = False) -> None:
        """Lie on a screw; None takes the handle away."""
        if screw is None:
            self.remove()
            return
        if self.node is None or not self._scene.IsNodePresent(self.node):
            self._make()
        self._screw = screw
        self._updating = True
        middle = (np.asarray(screw.entry) + np.asarray(screw.tip)) / 2
        if self.node.GetNumberOfControlPoints() == 0:
            self.node.AddControlPointWorld(*middle)
        elif not self._dragged:
            self.node.SetNthControlPointPositionWorld(0, *middle)
        self.node.SetLocked(locked or screw.locked)
        self._updating = False

    def remove(self) -> None:
        """Take the handle out of the scene."""
        if self.node is not None and self._scene.IsNodePresent(self.node):
            for tag in self._tags:
                self.node.RemoveObserver(tag)
            removeTransient(self.node)
        self.node = self._screw = None
        self._tags = []

    def _make(self) -> None:
        name = "Shaft of the selected screw"
        node = addTransient(self._scene, "vtkMRMLMarkupsFiducialNode", name)
        display = node.GetDisplayNode()
        display.SetPointLabelsVisibility(False)
        # In 3-D views a point shall follow the mouse, not jump onto the surface behind it.
        display.SetSnapMode(display.SnapModeUnconstrained)
        display.SetUseGlyphScale(True)
        display.SetGlyphScale(2.6)
        display.SetGlyphTypeFromString("Diamond2D")
        display.SetSelectedColor(*_COLOUR)
        display.SetOccludedVisibility(True)
        display.SetOccludedOpacity(0.5)
        self.node = node
        self._tags = [
            node.AddObserver(node.PointStartInteractionEvent, lambda *_: self._start()),
            node.AddObserver(node.PointModifiedEvent, lambda *_: self._modified()),
            node.AddObserver(node.PointEndInteractionEvent, lambda *_: self._end()),
        ]

    def _start(self) -> None:
        self._dragged = True

    def _modified(self) -> None:
        if self._dragged and not self._updating and self._screw is not None:
            self._moving(self._screw.id, self._ends())

    def _end(self) -> None:
        self._dragged = False
        if self._screw is not None:
            self._moved(self._screw.id, self._ends())

    def _ends(self) -> tuple[Point, ...]:
        assert self._screw is not None
        entry, tip = np.asarray(self._screw.entry), np.asarray(self._screw.tip)
        shift = np.array(self.node.GetNthControlPointPositionWorld(0)) - (entry + tip) / 2
        if np.abs(shift).max() < 1e-9:
            return self._screw.entry, self._screw.tip
        return as_point(entry + shift), as_point(tip + shift)
