"""Watches the handles of implants and says what the user does to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SpineImplantPlannerLib.nodes.implants import ImplantNodes
from spinemar.implants.checks import Point

Moved = Callable[[str, tuple[Point, ...]], None]


class HandleWatcher:
    """Calls back while a handle is dragged, and once when it is let go.

    Parameters
    ----------
    nodes : ImplantNodes
        Whose own changes are not the user's.
    moving, moved : callable
        Take the implant's id and the handle's points; `moving` during a drag, `moved` at its end
        or after any other change by the user.
    chosen : callable
        Takes the id of an implant whose handle was grasped.
    """

    def __init__(
        self, nodes: ImplantNodes, moving: Moved, moved: Moved, chosen: Callable[[str], None]
    ) -> None:
        self._nodes, self._moving, self._moved, self._chosen = nodes, moving, moved, chosen
        self._observed: dict[str, tuple[Any, list[int]]] = {}
        self._dragged: set[str] = set()

    def follow(self) -> None:
        """Watch the handles that there are now, and no others."""
        handles = self._nodes.handles()
        for name in list(self._observed):
            if self._observed[name][0] is not handles.get(name):
                self._forget(name)
        for name, node in handles.items():
            if name not in self._observed:
                self._observed[name] = (node, self._observe(name, node))

    def release(self) -> None:
        """Watch nothing any more."""
        for name in list(self._observed):
            self._forget(name)

    def _observe(self, name: str, node: Any) -> list[int]:
        events = {
            node.PointStartInteractionEvent: lambda *_: self._start(name),
            node.PointModifiedEvent: lambda *_: self._modified(name, node),
            node.PointEndInteractionEvent: lambda *_: self._end(name, node),
            # Slicer's own menu of a point can delete it, and a curve can be given more.
            node.PointRemovedEvent: lambda *_: self._modified(name, node),
            node.PointAddedEvent: lambda *_: self._modified(name, node),
        }
        return [node.AddObserver(event, slot) for event, slot in events.items()]

    def _forget(self, name: str) -> None:
        node, tags = self._observed.pop(name)
        for tag in tags:
            node.RemoveObserver(tag)
        self._dragged.discard(name)

    def _start(self, name: str) -> None:
        self._dragged.add(name)
        self._chosen(name)

    def _modified(self, name: str, node: Any) -> None:
        if self._nodes.updating:
            return
        (self._moving if name in self._dragged else self._moved)(name, pointsOf(node))

    def _end(self, name: str, node: Any) -> None:
        if name in self._dragged:
            self._dragged.discard(name)
            self._moved(name, pointsOf(node))


def pointsOf(node: Any) -> tuple[Point, ...]:
    """Return the positions of a markups node's points, RAS mm."""
    points = []
    for n in range(node.GetNumberOfControlPoints()):
        x, y, z = node.GetNthControlPointPositionWorld(n)
        points.append((float(x), float(y), float(z)))
    return tuple(points)
