"""The names of screws at their heads in 3-D views: "L1 R · A"."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.report.wording import head_label
from SpineMARLib.nodes.transient import addTransient, removeTransient

_INK = (0.08, 0.08, 0.12)
# So far behind the entry the tulip ends, and the name stands clear of it.
_BEHIND_MM = 18.0


class ScrewNames:
    """One markups node with a label a screw; nobody grasps it, nothing of it is saved.

    In slices the panel writes the names itself: a label of a point is seen there only in the
    one slice that the point lies in.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._node: Any = None
        self._shown: tuple[tuple[str, Any], ...] = ()
        self._order: dict[str, int] = {}

    def show(self, screws: Iterable[Screw], colliding: Collection[str] = ()) -> None:
        """Write the names of these screws, and no others."""
        wanted = tuple(screws)
        shown = tuple((head_label(s, touches=s.id in colliding), _place(s)) for s in wanted)
        if self._node is not None and not self._scene.IsNodePresent(self._node):
            self._node, self._shown = None, ()
        if shown == self._shown:
            return
        if not wanted:
            self.remove()
            return
        node = self._node or self._make()
        modifying = node.StartModify()
        if node.GetNumberOfControlPoints() != len(wanted):
            node.RemoveAllControlPoints()
            for _ in wanted:
                node.AddControlPointWorld(0.0, 0.0, 0.0)
        for n, (label, place) in enumerate(shown):
            node.SetNthControlPointPositionWorld(n, *place)
            node.SetNthControlPointLabel(n, label)
        node.EndModify(modifying)
        self._shown, self._order = shown, {screw.id: n for n, screw in enumerate(wanted)}

    def change(self, screw: Screw) -> None:
        """Follow one screw that is dragged."""
        n = self._order.get(screw.id)
        if n is not None and self._node is not None:
            self._node.SetNthControlPointPositionWorld(n, *_place(screw))
            self._node.SetNthControlPointLabel(n, head_label(screw))
            self._shown = ()

    def remove(self) -> None:
        """Take the names out of the scene."""
        if self._node is not None and self._scene.IsNodePresent(self._node):
            removeTransient(self._node)
        self._node, self._shown, self._order = None, (), {}

    def _make(self) -> Any:
        node = addWords(self._scene, "Names of screws", _INK)
        node.GetDisplayNode().SetVisibility2D(False)
        self._node = node
        return node


def addWords(scene: Any, name: str, ink: tuple[float, float, float]) -> Any:
    """Add a transient node whose points are words alone, seen through bone and metal too."""
    node = addTransient(scene, "vtkMRMLMarkupsFiducialNode", name)
    node.SetLocked(True)
    display = node.GetDisplayNode()
    display.SetPointLabelsVisibility(True)
    display.SetPropertiesLabelVisibility(False)
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(0.01)
    display.SetTextScale(3.2)
    display.SetSelectedColor(*ink)
    display.SetColor(*ink)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)
    return node


def _place(screw: Screw) -> tuple[float, float, float]:
    r, a, s = np.asarray(screw.entry) - _BEHIND_MM * shank_axis(screw)
    return float(r), float(a), float(s)
