"""One or two clicks in any views; the markups node they need is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.handles.dragging import pointsOf

_CLASSES = {1: "vtkMRMLMarkupsFiducialNode", 2: "vtkMRMLMarkupsLineNode"}


class Clicks:
    """Waits for one point, or for two.

    Parameters
    ----------
    scene : vtkMRMLScene
    count : int
        1 or 2.
    name : str
        What is clicked, such as "Entry and target".
    done : callable
        Takes the points.
    stopped : callable
        Called when it is over, whichever way.
    later : callable
        Calls a function when the present event is over.
    """

    def __init__(
        self,
        scene: Any,
        count: int,
        name: str,
        done: Callable[..., None],
        stopped: Callable[[], None],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._scene, self._count, self._later = scene, count, later
        self._done, self._stopped = done, stopped
        className = _CLASSES[count]
        self._node = scene.AddNewNodeByClass(className, name)
        self._node.SetSaveWithScene(False)
        self._node.CreateDefaultDisplayNodes()
        defined = self._node.PointPositionDefinedEvent
        self._tags = [(self._node, self._node.AddObserver(defined, self._placed))]
        selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName(className)
        selection.SetActivePlaceNodeID(self._node.GetID())
        self._interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        self._interaction.SwitchToSinglePlaceMode()
        tag = self._interaction.AddObserver(
            self._interaction.InteractionModeChangedEvent, self._modeChanged
        )
        self._tags.append((self._interaction, tag))

    def stop(self) -> None:
        """Give up waiting."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []
        if self._interaction.GetCurrentInteractionMode() == self._interaction.Place:
            self._interaction.SwitchToViewTransformMode()
        if self._node is not None and self._scene.IsNodePresent(self._node):
            self._scene.RemoveNode(self._node)
            probe.renew(self._scene)
        self._node = None

    def _placed(self, *_args: Any) -> None:
        if self._node.GetNumberOfDefinedControlPoints() == self._count:
            points = pointsOf(self._node)[: self._count]
            # The widget still works on the node: it may only go when this event is over.
            self._finish(points)

    def _modeChanged(self, *_args: Any) -> None:
        mode = self._interaction.GetCurrentInteractionMode()
        if mode != self._interaction.Place and self._node is not None:
            self._finish(None)

    def _finish(self, points: Any) -> None:
        if not self._tags:
            return
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags = []

        def end() -> None:
            self.stop()
            self._stopped()
            if points is not None:
                self._done(*points)

        self._later(end)
