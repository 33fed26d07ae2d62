"""The metal preview: the input's own voxels above a threshold, coloured, in every slice view.

A second volume node shares the input's image, with a display that shows nothing below the
threshold. Moving the threshold costs nothing, whatever the volume's size.
"""

from __future__ import annotations

from typing import Any

from SpineMARLib.nodes.transient import Overlay

_COLOUR = "vtkMRMLColorTableNodeRed"
_BRIGHTEST_HU = 32767.0
_OPACITY = 0.75


class MetalPreview:
    """Shows metal over the input; `remove` leaves the scene as it was."""

    def __init__(self, scene: Any) -> None:
        self._overlay = Overlay(scene, "Metal preview")

    @property
    def node(self) -> Any:
        """The overlay's volume node, None while nothing is shown."""
        return self._overlay.node

    def show(self, inputNode: Any, thresholdHu: float) -> None:
        """Show what of a volume lies at or above a threshold."""
        node = self._overlay.add()
        if node.GetImageData() is not inputNode.GetImageData():
            node.SetAndObserveImageData(inputNode.GetImageData())
        node.CopyOrientation(inputNode)
        display = node.GetDisplayNode()
        modifying = display.StartModify()
        display.SetAndObserveColorNodeID(_COLOUR)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(2.0, thresholdHu - 1.0)
        display.SetAutoThreshold(False)
        display.SetThreshold(thresholdHu, _BRIGHTEST_HU)
        display.SetApplyThreshold(True)
        display.SetInterpolate(False)
        display.EndModify(modifying)
        self._overlay.showOver(inputNode, _OPACITY)

    def remove(self) -> None:
        """Take the overlay away."""
        self._overlay.remove()
