"""Two clicks in any views, entry and target; the markups node they need is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from SpineImplantPlannerLib.dragging import pointsOf


class TwoClicks:
    """Waits for two points.

    Parameters
    ----------
    scene : vtkMRMLScene
    done : callable
        Takes the two points.
    stopped : callable
        Called when it is over, whichever way.
    """

    def __init__(self, scene: Any, done: Callable[..., None], stopped: Callable[[], None]) -> None:
        self._scene, self._done, self._stopped = scene, done, stopped
        self._node = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "Entry and target")
        self._node.SetSaveWithScene(False)
        self._node.CreateDefaultDisplayNodes()
        self._tags = [
            (self._node, self._node.AddObserver(self._node.PointPositionDefinedEvent, self._placed))
        ]
        selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
        selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
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
        self._node = None

    def _placed(self, *_args: Any) -> None:
        if self._node.GetNumberOfDefinedControlPoints() == 2:
            points = pointsOf(self._node)
            # The widget still works on the node: it may only go when this event is over.
            self._finish(points)

    def _modeChanged(self, *_args: Any) -> None:
        mode = self._interaction.GetCurrentInteractionMode()
        if mode != self._interaction.Place and self._node is not None:
            self._finish(None)

    def _finish(self, points: Any) -> None:
        import qt

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

        qt.QTimer.singleShot(0, end)
