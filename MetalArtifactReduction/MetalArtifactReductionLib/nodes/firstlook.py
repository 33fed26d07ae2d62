"""The first look at a CT: a window in which something is seen, and the metal in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np

from MetalArtifactReductionLib.nodes.compare import zoomTo
from spinemar.mar.segmentation.metal import MASK_THRESHOLD_HU
from SpineMARLib.nodes.transient import sliceComposites
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas, setWindow

BONE_WINDOW = (2000.0, 500.0)
_NARROWEST_HU, _WIDEST_HU = 100.0, 3500.0
_MUSCLE_HU = 40.0
_EVERY_MM = 2.0
_FIELD_MM = 260.0


def isUnusable(volumeNode: Any) -> bool:
    """Whether a volume's window shows muscle as plain black or white, or everything as one grey."""
    display = volumeNode.GetDisplayNode()
    if display is None:
        return True
    width, level = display.GetWindow(), display.GetLevel()
    seen = level - width / 2 < _MUSCLE_HU < level + width / 2
    return not (_NARROWEST_HU <= width <= _WIDEST_HU and seen)


def brightPlace(volumeNode: Any) -> list[float] | None:
    """Return the middle of the slice with most metal, in world coordinates; None without metal.

    Only every other millimetre is looked at, so that even a large volume takes a blink.
    """
    voxels = arrayOf(volumeNode)
    steps = [max(1, int(_EVERY_MM / s)) for s in volumeNode.GetSpacing()[::-1]]
    bright = voxels[tuple(slice(None, None, s) for s in steps)] >= MASK_THRESHOLD_HU
    if not bright.any():
        return None
    k = int(np.argmax(bright.sum(axis=(1, 2))))
    j, i = np.argwhere(bright[k]).mean(axis=0)
    ijk = np.array([i * steps[2], j * steps[1], k * steps[0], 1.0])
    world = [0.0] * 3
    volumeNode.TransformPointToWorld((ijkToRas(volumeNode) @ ijk)[:3], world)
    return world


def makeVisible(volumeNode: Any) -> bool:
    """Give a volume of unusable window the bone window and centre its views on metal.

    Returns
    -------
    bool
        Whether it was needed.
    """
    if volumeNode.GetImageData() is None or not isUnusable(volumeNode):
        return False
    setWindow(volumeNode, *BONE_WINDOW)
    place = brightPlace(volumeNode)
    scene = volumeNode.GetScene()
    for composite in sliceComposites(scene):
        if place is not None and composite.GetBackgroundVolumeID() == volumeNode.GetID():
            view = scene.GetSingletonNode(composite.GetLayoutName(), "vtkMRMLSliceNode")
            if view is not None:
                zoomTo(view, place, _FIELD_MM)
    return True
