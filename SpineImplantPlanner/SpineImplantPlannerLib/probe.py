"""Slice views along and across a screw or a rod, back to the standard planes, and up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from spinemar.implants.placement import Rod, Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import perpendicular, unit
from SpineMARLib.nodes.lookup import nodesOfClass

ACROSS, ALONG, SIDE = "Red", "Yellow", "Green"
_STANDARD = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
_FIELD_MM = 80.0


def _sliceNode(scene: Any, name: str) -> Any:
    return scene.GetSingletonNode(name, "vtkMRMLSliceNode")


@contextmanager
def together(scene: Any) -> Iterator[None]:
    """Let the views cut once after several turns, shifts and zooms, not after each."""
    nodes = [node for name in _STANDARD if (node := _sliceNode(scene, name)) is not None]
    before = [node.StartModify() for node in nodes]
    try:
        yield
    finally:
        for node, modifying in zip(nodes, before, strict=True):
            node.EndModify(modifying)


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
    leftwards = perpendicular(axis, (-1.0, 0.0, 0.0))
    leftwards = unit(leftwards - upright * (leftwards @ upright))
    angle = np.radians(angleDeg)
    up = np.cos(angle) * upright + np.sin(angle) * leftwards
    left = np.cos(angle) * leftwards - np.sin(angle) * upright
    place = np.asarray(screw.entry) + depthMm * axis
    # As radiologists look: the patient's right on the left, front or head on top.
    with together(scene):
        _cut(scene, ACROSS, left, up, place, zoom)
        _cut(scene, ALONG, -axis, up, place, zoom)
        _cut(scene, SIDE, left, axis, place, zoom)


def showRod(scene: Any, rod: Rod, share: float) -> None:
    """Cut along a rod in two planes and across it at a share of its length."""
    curve = rod_curve(rod.control_points, 1.0)
    n = int(np.clip(share * (len(curve) - 1), 1, len(curve) - 2))
    tangent = unit(curve[n + 1] - curve[n - 1])
    up = unit(curve[0] - curve[-1])
    left = perpendicular(up, (-1.0, 0.0, 0.0))
    front = perpendicular(tangent, (0.0, 1.0, 0.0))
    _cut(scene, ACROSS, perpendicular(tangent, (-1.0, 0.0, 0.0)), front, curve[n], True)
    _cut(scene, ALONG, perpendicular(up, (0.0, -1.0, 0.0)), up, curve[n], False)
    _cut(scene, SIDE, left, up, curve[n], False)


def standard(scene: Any) -> None:
    """Go back to axial, sagittal and coronal planes."""
    for name, orientation in _STANDARD.items():
        node = _sliceNode(scene, name)
        if node is not None:
            node.SetOrientation(orientation)


def renew(scene: Any) -> None:
    """Have all slice views draw what came and leave out what went.

    Their managers notice nodes that were added in a batch, and markups that were removed, only
    when their slice changes.
    """
    for node in nodesOfClass(scene, "vtkMRMLSliceNode"):
        node.Modified()


def fields(scene: Any) -> dict[str, tuple[float, float]]:
    """Return the fields of view, across and upwards in mm, by the views' names."""
    found = {}
    for name in _STANDARD:
        node = _sliceNode(scene, name)
        if node is not None:
            wide, high, _ = node.GetFieldOfView()
            found[name] = (wide, high)
    return found


def setFields(scene: Any, wanted: Mapping[str, tuple[float, float]]) -> None:
    """Zoom the views as `fields` found them."""
    for name, (wide, high) in wanted.items():
        node = _sliceNode(scene, name)
        if node is not None:
            node.SetFieldOfView(wide, high, node.GetFieldOfView()[2])


def jump(scene: Any, ras: Any, fieldMm: float | None = None) -> None:
    """Move the standard planes to a point, centred on it.

    Parameters
    ----------
    fieldMm : float, optional
        Shorter side of the views, mm; without it they stay zoomed as they are.
    """
    with together(scene):
        for name in _STANDARD:
            node = _sliceNode(scene, name)
            if node is not None:
                if fieldMm is not None:
                    _zoom(node, fieldMm)
                node.JumpSliceByCentering(*(float(x) for x in ras))


def _zoom(node: Any, fieldMm: float) -> None:
    columns, rows, _ = node.GetDimensions()
    shorter = max(min(columns, rows), 1)
    depth = node.GetFieldOfView()[2]
    node.SetFieldOfView(fieldMm * columns / shorter, fieldMm * rows / shorter, depth)


def _cut(scene: Any, name: str, across: Any, upwards: Any, place: Any, zoom: bool) -> None:
    """Turn a view so that `across` points to its right and `upwards` to its top."""
    node = _sliceNode(scene, name)
    if node is None:
        return
    right = unit(across)
    normal = unit(np.cross(right, upwards))
    node.SetSliceToRASByNTP(*normal, *right, *place, 0)
    if zoom:
        _zoom(node, _FIELD_MM)
