"""Slice views along and across a screw or a rod, and back to the standard planes."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinemar.implants.placement import Rod, Screw
from spinemar.implants.rod import rod_curve
from spinemar.implants.screw import shank_axis
from spinemar.implants.solids import perpendicular, unit

ACROSS, ALONG, SIDE = "Red", "Yellow", "Green"
_STANDARD = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_FIELD_MM = 80.0


def _sliceNode(scene: Any, name: str) -> Any:
    return scene.GetSingletonNode(name, "vtkMRMLSliceNode")


def showScrew(
    scene: Any, screw: Screw, depthMm: float, angleDeg: float, *, zoom: bool = True
) -> None:
    """Cut across a screw at a depth from its entry, and along it in two planes.

    Parameters
    ----------
    depthMm : float
        From the entry towards the tip.
    angleDeg : float
        Turns the two planes along the screw about it; 0 has one of them upright.
    """
    axis = shank_axis(screw)
    upright = perpendicular(axis, (0.0, 0.0, 1.0))
    sideways = np.cross(axis, upright)
    angle = np.radians(angleDeg)
    first = np.cos(angle) * upright + np.sin(angle) * sideways
    second = np.cross(axis, first)
    place = np.asarray(screw.entry) + depthMm * axis
    # Normal, the view's horizontal, and a point: screws run upwards in the views along them.
    _cut(scene, ACROSS, axis, second, place, zoom)
    _cut(scene, ALONG, second, first, place, zoom)
    _cut(scene, SIDE, first, second, place, zoom)


def showRod(scene: Any, rod: Rod, share: float) -> None:
    """Cut along a rod in two planes and across it at a share of its length."""
    curve = rod_curve(rod.control_points, 1.0)
    n = int(np.clip(share * (len(curve) - 1), 1, len(curve) - 2))
    tangent = unit(curve[n + 1] - curve[n - 1])
    chord = unit(curve[-1] - curve[0])
    right = perpendicular(chord, (1.0, 0.0, 0.0))
    back = np.cross(chord, right)
    _cut(scene, ACROSS, tangent, perpendicular(tangent, (1.0, 0.0, 0.0)), curve[n], True)
    _cut(scene, ALONG, right, back, curve[n], False)
    _cut(scene, SIDE, back, right, curve[n], False)


def standard(scene: Any) -> None:
    """Go back to axial, sagittal and coronal planes."""
    for name, orientation in _STANDARD.items():
        node = _sliceNode(scene, name)
        if node is not None:
            node.SetOrientation(orientation)


def jump(scene: Any, ras: Any) -> None:
    """Move the standard planes to a point, centred on it."""
    for name in _STANDARD:
        node = _sliceNode(scene, name)
        if node is not None:
            node.JumpSliceByCentering(*(float(x) for x in ras))


def _cut(scene: Any, name: str, normal: Any, across: Any, place: Any, zoom: bool) -> None:
    node = _sliceNode(scene, name)
    if node is None:
        return
    node.SetSliceToRASByNTP(*normal, *across, *place, 0)
    if zoom:
        columns, rows, _ = node.GetDimensions()
        shorter = max(min(columns, rows), 1)
        fov = node.GetFieldOfView()
        node.SetFieldOfView(_FIELD_MM * columns / shorter, _FIELD_MM * rows / shorter, fov[2])
