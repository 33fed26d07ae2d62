"""Interbody cages: a body with a bone window and X-ray markers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinemar.implants.placement import Cage
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import (
    Cut,
    FloatArray,
    Slab,
    Solid,
    Union,
    body_axes,
    box,
    cylinder,
)

_WALL_MM = 2.5
_MARKER_RADIUS_MM = 0.5
# The curved shape is bent around a point this many widths behind its centre.
_CURVE_SHARE = 0.6
# Share of the curved wall that its window takes.
_WINDOW_SHARE = 0.4


def cage_parts(cage: Cage) -> Iterator[Part]:
    """Yield the body and, where it has any, the markers of a cage."""
    axes, centre = body_axes(cage.right, cage.anterior), np.asarray(cage.centre, float)
    half = np.array([cage.width_mm, cage.depth_mm, cage.height_mm]) / 2
    body = (
        _curved(cage, centre, axes, half)
        if cage.shape == "curved"
        else _block(cage, centre, axes, half)
    )
    if cage.marker_material is None:
        yield Part("cage", body, cage.material)
        return
    markers = _markers(cage, centre, axes, half)
    yield Part("cage", Cut([body], [markers]), cage.material)
    yield Part("markers", markers, cage.marker_material)


def _plates(cage: Cage, centre: FloatArray, axes: FloatArray, half: FloatArray) -> Solid:
    """Return the wedge between both endplates, open sideways to the cage's box."""
    angle = np.radians(cage.lordosis_deg) / 2
    top = np.cos(angle) * axes[2] - np.sin(angle) * axes[1]
    bottom = -np.cos(angle) * axes[2] - np.sin(angle) * axes[1]
    normals = np.stack([axes[0], -axes[0], axes[1], -axes[1], top, bottom])
    reach = half[2] * np.cos(angle)
    offsets = normals @ centre + np.array([half[0], half[0], half[1], half[1], reach, reach])
    tall = half[2] + abs(np.tan(angle)) * half[1]
    corners = box(centre, axes, (half[0], half[1], tall)).corners
    return Slab(normals, offsets, corners)


def _block(cage: Cage, centre: FloatArray, axes: FloatArray, half: FloatArray) -> Solid:
    outer = _plates(cage, centre, axes, half)
    inner = np.maximum(half[:2] - _WALL_MM, 0.0)
    if (inner < 1.0).any():
        return outer
    window = box(centre, axes, (inner[0], inner[1], 4 * half[2]))
    return Cut([outer], [window])


def _curved(cage: Cage, centre: FloatArray, axes: FloatArray, half: FloatArray) -> Solid:
    """Return a banana: the ring between two cylinders, within the cage's box."""
    radius = _CURVE_SHARE * cage.width_mm
    sag = radius - np.sqrt(max(radius**2 - half[0] ** 2, 0.0))
    around = centre + axes[1] * (half[1] - radius)
    reach = axes[2] * 4 * half[2]
    thick = max(cage.depth_mm - sag, 0.6 * cage.depth_mm)
    ring = Cut(
        [cylinder(around - reach, around + reach, radius)],
        [cylinder(around - reach, around + reach, max(radius - thick, 1.0))],
    )
    outer = Cut([_plates(cage, centre, axes, half), ring])
    window = _WINDOW_SHARE * thick / 2
    slot = Cut(
        [cylinder(around - reach, around + reach, radius - thick / 2 + window)],
        [cylinder(around - reach, around + reach, max(radius - thick / 2 - window, 0.5))],
    )
    middle = box(centre, axes, (half[0] / 2, 4 * half[1], 4 * half[2]))
    return Cut([outer], [Cut([slot, middle])])


def _markers(cage: Cage, centre: FloatArray, axes: FloatArray, half: FloatArray) -> Solid:
    """Return two pins of metal, upright in the cage's walls."""
    height = 0.7 * half[2] * axes[2]
    if cage.shape == "curved":
        radius = _CURVE_SHARE * cage.width_mm
        sag = radius - np.sqrt(max(radius**2 - half[0] ** 2, 0.0))
        thick = max(cage.depth_mm - sag, 0.6 * cage.depth_mm)
        middle = radius - thick / 2
        angle = 0.75 * np.arcsin(min(half[0] / radius, 1.0))
        around = centre + axes[1] * (half[1] - radius)
        places = [
            around + middle * (np.sin(a) * axes[0] + np.cos(a) * axes[1]) for a in (-angle, angle)
        ]
    else:
        wall = min(_WALL_MM, half[1]) / 2
        places = [centre + sign * axes[1] * (half[1] - wall) for sign in (-1.0, 1.0)]
    return Union([cylinder(p - height, p + height, _MARKER_RADIUS_MM) for p in places])
