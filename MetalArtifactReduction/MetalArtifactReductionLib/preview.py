"""The metal preview: the input's own voxels above a threshold, coloured, in every slice view.

A second volume node shares the input's image, with a display that shows nothing below the
threshold. Moving the threshold costs nothing, whatever the volume's size.
"""

from __future__ import annotations

from typing import Any

_ROLE = "SpineMAR.Preview"
_COLOUR = "vtkMRMLColorTableNodeRed"
_NAME = "Metal preview"
_BRIGHTEST_HU = 32767.0


class MetalPreview:
    """Shows metal over the input; `remove` leaves the scene as it was."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._node: Any = None

    @property
    def node(self) -> Any:
        """The overlay's volume node, None while nothing is shown."""
        return self._node

    def show(self, inputNode: Any, thresholdHu: float) -> None:
        """Show what of a volume lies at or above a threshold."""
        if self._node is None:
            self._node = self._scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
            self._node.UnRegister(None)
            self._node.SetName(_NAME)
            self._node.SetHideFromEditors(True)
            self._node.SetSaveWithScene(False)
            self._scene.AddNode(self._node)
            self._node.CreateDefaultDisplayNodes()
            self._node.GetDisplayNode().SetSaveWithScene(False)
        if self._node.GetImageData() is not inputNode.GetImageData():
            self._node.SetAndObserveImageData(inputNode.GetImageData())
        self._node.CopyOrientation(inputNode)
        self._node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())
        display = self._node.GetDisplayNode()
        modifying = display.StartModify()
        display.SetAndObserveColorNodeID(_COLOUR)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(2.0, thresholdHu - 1.0)
        display.SetAutoThreshold(False)
        display.SetThreshold(thresholdHu, _BRIGHTEST_HU)
        display.SetApplyThreshold(True)
        display.SetInterpolate(False)
        display.EndModify(modifying)
        for composite in self._composites():
            if composite.GetBackgroundVolumeID() == inputNode.GetID():
                composite.SetForegroundVolumeID(self._node.GetID())
                composite.SetForegroundOpacity(0.75)

    def remove(self) -> None:
        """Take the overlay away."""
        if self._node is None:
            return
        for composite in self._composites():
            if composite.GetForegroundVolumeID() == self._node.GetID():
                composite.SetForegroundVolumeID(None)
        if self._scene.IsNodePresent(self._node):
            display = self._node.GetDisplayNode()
            self._scene.RemoveNode(self._node)
            if display is not None and self._scene.IsNodePresent(display):
                self._scene.RemoveNode(display)
        self._node = None

    def _composites(self) -> list[Any]:
        count = self._scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
        return [self._scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode") for n in range(count)]
