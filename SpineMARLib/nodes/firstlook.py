"""The first look at a CT: a window in which something is seen, and what matters in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from SpineMARLib.nodes.transient import sliceComposites
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas, setWindow

BONE_WINDOW = (2000.0, 500.0)
_NARROWEST_HU, _WIDEST_HU = 100.0, 3500.0
_MUSCLE_HU, _BONE_HU = 40.0, 300.0
_EVERY_MM = 2.0
_FIELD_MM = 260.0


def zoomTo(sliceNode: Any, centre: list[float], widthMm: float) -> None:
    """Centre a slice view on a place, so many mm of it across."""
    columns, rows, _depth = sliceNode.GetDimensions()
    depth = sliceNode.GetFieldOfView()[2]
    sliceNode.SetFieldOfView(widthMm, widthMm * rows / max(columns, 1), depth)
    sliceNode.JumpSliceByCentering(*centre)


def isUnusable(volumeNode: Any) -> bool:
    """Whether a volume's window shows muscle as plain black or white, or everything as one grey."""
    display = volumeNode.GetDisplayNode()
    if display is None:
        return True
    width, level = display.GetWindow(), display.GetLevel()
    seen = level - width / 2 < _MUSCLE_HU < level + width / 2
    return not (_NARROWEST_HU <= width <= _WIDEST_HU and seen)


def brightPlace(volumeNode: Any) -> list[float] | None:
    """Return the middle of the slice with most metal, in world coordinates; None without metal."""
    voxels, steps = _coarse(volumeNode)
    bright = voxels >= MASK_THRESHOLD_HU
    if not bright.any():
        return None
    k = int(np.argmax(bright.sum(axis=(1, 2))))
    return _world(volumeNode, (k, *np.argwhere(bright[k]).mean(axis=0)), steps)


def bonePlace(volumeNode: Any) -> list[float] | None:
    """Return the middle of all bone, in world coordinates; None without bone.

    In a CT of a spine that is the spine: ribs and hips lie on either side of it.
    """
    voxels, steps = _coarse(volumeNode)
    bone = np.argwhere(voxels >= _BONE_HU)
    return _world(volumeNode, np.median(bone, axis=0), steps) if len(bone) else None


def _coarse(volumeNode: Any) -> tuple[np.ndarray, list[int]]:
    """Return every other millimetre, so that even a large volume takes a blink, and the steps."""
    steps = [max(1, int(_EVERY_MM / s)) for s in volumeNode.GetSpacing()[::-1]]
    return arrayOf(volumeNode)[tuple(slice(None, None, s) for s in steps)], steps


def _world(volumeNode: Any, place: Sequence[float], steps: Sequence[int]) -> list[float]:
    ijk = [n * step for n, step in zip(place, steps, strict=True)][::-1]
    world = [0.0] * 3
    volumeNode.TransformPointToWorld((ijkToRas(volumeNode) @ [*ijk, 1.0])[:3], world)
    return world


def makeVisible(volumeNode: Any) -> bool:
    """Give a volume of unusable window the bone window, and centre its views on metal or bone.

    Returns
    -------
    bool
        Whether it was needed.
    """
    if volumeNode.GetImageData() is None or not isUnusable(volumeNode):
        return False
    setWindow(volumeNode, *BONE_WINDOW)
    place = brightPlace(volumeNode) or bonePlace(volumeNode)
    scene = volumeNode.GetScene()
    for composite in sliceComposites(scene):
        if place is not None and composite.GetBackgroundVolumeID() == volumeNode.GetID():
            view = scene.GetSingletonNode(composite.GetLayoutName(), "vtkMRMLSliceNode")
            if view is not None:
                zoomTo(view, place, _FIELD_MM)
    return True
