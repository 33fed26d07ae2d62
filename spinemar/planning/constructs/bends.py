"""The bend table: how to bend a straight rod at the bench."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spinemar.implants.placement import Rod
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.solids import FloatArray, perpendicular, unit
from spinemar.planning.vectors import angle_deg

_STEP_MM = 0.25
_SMALLEST_DEG = 0.5


@dataclass(frozen=True)
class Bend:
    """One bend: where along the rod from its upper end, by how much, and in which plane.

    `plane_deg` is the direction in which the lower part is bent, seen along the rod from
    its upper end: 0 forwards, 90 to the patient's right, 180 backwards, -90 to the left.
    """

    position_mm: float
    angle_deg: float
    plane_deg: float


def bend_table(rod: Rod) -> tuple[Bend, ...]:
    """Return the bends of a rod, one per inner control point that has one.

    Each takes the rod's whole change of direction between the middles of the two pieces
    beside the control point, so that the bends add up to the contour.
    """
    curve = rod_curve(rod.control_points, _STEP_MM)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    points = np.asarray(rod.control_points, dtype=np.float64)
    places = [float(way[np.linalg.norm(curve - p, axis=1).argmin()]) for p in points]
    middles = [(a + b) / 2 for a, b in pairwise(places)]
    directions = [_direction(curve, way, middle) for middle in middles]
    bends = []
    for n in range(1, len(points) - 1):
        before, after = directions[n - 1], directions[n]
        angle = angle_deg(before, after)
        if angle >= _SMALLEST_DEG:
            bends.append(Bend(places[n], angle, _plane_deg(before, after)))
    return tuple(bends)


def _direction(curve: FloatArray, way: FloatArray, place: float) -> FloatArray:
    n = int(np.clip(np.searchsorted(way, place), 1, len(curve) - 1))
    return unit(curve[n] - curve[n - 1])


def _plane_deg(before: FloatArray, after: FloatArray) -> float:
    forwards = perpendicular(before, (0.0, 1.0, 0.0))
    sideways = perpendicular(before, (1.0, 0.0, 0.0))
    # Square to both the rod and "forwards", on the patient's right.
    right = np.cross(before, forwards)
    right = right if right @ sideways >= 0 else -right
    turn = after - before * (before @ after)
    return float(np.degrees(np.arctan2(turn @ right, turn @ forwards)))
