"""Nodes that belong to a session: neither listed nor saved, gone without a trace."""

from __future__ import annotations

from typing import Any

import slicer

from SpineMARLib.nodes.lookup import nodesOfClass


def addTransient(scene: Any, className: str, name: str) -> Any:
    """Add a node that is neither listed nor saved, with a display node where its kind has one."""
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    scene.AddNode(node)
    if isinstance(node, slicer.vtkMRMLDisplayableNode):
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
    return node


def removeTransient(node: Any) -> None:
    """Take a node out of its scene, and its display node with it."""
    scene = None if node is None else node.GetScene()
    if scene is None:
        return
    shown = isinstance(node, slicer.vtkMRMLDisplayableNode)
    display = node.GetDisplayNode() if shown else None
    if display is not None:
        display.SetVisibility(False)  # slice views miss that points are removed
    scene.RemoveNode(node)
    if display is not None and scene.IsNodePresent(display):
        scene.RemoveNode(display)


class Overlay:
    """A transient volume in the foreground of every slice view that shows another one.

    Parameters
    ----------
    scene : vtkMRMLScene
    name : str
    """

    def __init__(self, scene: Any, name: str) -> None:
        self._scene, self._name = scene, name
        self.node: Any = None

    def add(self) -> Any:
        """Return the volume node, added to the scene if it is not there."""
        if self.node is None or not self._scene.IsNodePresent(self.node):
            self.node = addTransient(self._scene, "vtkMRMLScalarVolumeNode", self._name)
        return self.node

    def showOver(self, volumeNode: Any, opacity: float) -> None:
        """Put it over a volume, wherever that is in the background."""
        self.node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        for composite in sliceComposites(self._scene):
            if composite.GetBackgroundVolumeID() == volumeNode.GetID():
                composite.SetForegroundVolumeID(self.node.GetID())
                composite.SetForegroundOpacity(opacity)

    def remove(self) -> None:
        """Take it away; the views and the scene are as before."""
        if self.node is None:
            return
        for composite in sliceComposites(self._scene):
            if composite.GetForegroundVolumeID() == self.node.GetID():
                composite.SetForegroundVolumeID(None)
        removeTransient(self.node)
        self.node = None


def sliceComposites(scene: Any) -> list[Any]:
    """Return the composite node of every slice view."""
    return nodesOfClass(scene, "vtkMRMLSliceCompositeNode")
