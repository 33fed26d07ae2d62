"""The metal preview: what counts as metal, coloured over the input in every slice view.

For a threshold a second volume node shares the input's image, with a display that shows nothing
below it: moving the threshold costs nothing, whatever the volume's size. The automatic selection
is a mask of its own, cropped to where there is metal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from SpineMARLib.nodes.transient import Overlay
from SpineMARLib.nodes.volumes import ijkToRas, placeAt, setArray

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
        self._colour(inputNode, thresholdHu, _BRIGHTEST_HU)

    def showMask(self, inputNode: Any, crop: np.ndarray, origin: tuple[int, int, int]) -> None:
        """Show a mask of uint8, shape (k, j, i), whose first voxel is (k, j, i) of the input's."""
        if not crop.size:
            self.remove()
            return
        node = self._overlay.add()
        setArray(node, crop)
        placeAt(node, ijkToRas(inputNode), origin)
        self._colour(inputNode, 1.0, 255.0)

    def _colour(self, inputNode: Any, low: float, high: float) -> None:
        display = self._overlay.node.GetDisplayNode()
        modifying = display.StartModify()
        display.SetAndObserveColorNodeID(_COLOUR)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(min(2.0, low), low - 1.0)
        display.SetAutoThreshold(False)
        display.SetThreshold(low, high)
        display.SetApplyThreshold(True)
        display.SetInterpolate(False)
        display.EndModify(modifying)
        self._overlay.showOver(inputNode, _OPACITY)

    def remove(self) -> None:
        """Take the overlay away."""
        self._overlay.remove()
