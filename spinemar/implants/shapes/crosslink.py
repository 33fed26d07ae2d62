"""Crosslinks: a transverse bar with a hook-like clamp on each rod."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinemar.implants.placement import Crosslink
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import (
    Cut,
    FloatArray,
    Solid,
    Union,
    box,
    cylinder,
    perpendicular,
    unit,
)

_CLAMP_WALL_MM = 2.0
_CLAMP_LENGTH_MM = 7.0


def crosslink_parts(crosslink: Crosslink) -> Iterator[Part]:
    """Yield the solid of a crosslink; the space of the rods themselves is left out."""
    start, end = np.asarray(crosslink.start, float), np.asarray(crosslink.end, float)
    across = unit(end - start)
    posterior = perpendicular(across, crosslink.posterior)
    rods = np.cross(posterior, across)
    half = crosslink.rod_diameter_mm / 2
    lift = posterior * (half + _CLAMP_WALL_MM)
    bar = cylinder(start + lift, end + lift, crosslink.diameter_mm / 2)
    clamps = [_clamp(place, across, posterior, rods, half) for place in (start, end)]
    reach = rods * 4 * _CLAMP_LENGTH_MM
    holes = [cylinder(place - reach, place + reach, half) for place in (start, end)]
    yield Part("crosslink", Cut([Union([bar, *clamps])], holes), crosslink.material)


def _clamp(
    place: FloatArray, across: FloatArray, posterior: FloatArray, rods: FloatArray, half: float
) -> Solid:
    size = half + _CLAMP_WALL_MM
    centre = place + posterior * (size / 2)
    return box(
        centre, np.stack([across, posterior, rods]), (size, size * 0.75, _CLAMP_LENGTH_MM / 2)
    )
