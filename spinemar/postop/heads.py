"""Heads of screws whose middle is lost: they tell where a shank comes from.

Between two heads rays are lost, and of a thin shank only the front is left in the metal's outline:
a short piece, whose own direction is known too roughly to meet its head again, 20 mm behind. The
line through both is the screw's.
"""

from __future__ import annotations

import numpy as np

from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.vectors import angle_deg, from_axis_mm
from spinemar.postop.metal_share import HALF, MetalShare

# A head lies so far behind the piece that is seen, and so far beside its line: the direction of a
# piece of 10 mm is known to some 15 degrees.
_NEAREST_MM, _FARTHEST_MM = 6.0, 28.0
_BESIDE_MM, _BESIDE_SHARE = 3.0, 0.3
_TURNED_DEG = 20.0
# Its front is so thick, whichever way a tulip leans; of a shank alone it would be half of this.
_FRONT_MM, _LEAST_MM3 = 6.0, 200.0
_WIDE_MM = 8.0


def direction_from_head(
    middle: FloatArray, axis: FloatArray, metal: MetalShare, begins_mm: float
) -> FloatArray | None:
    """Return the direction to a piece of a shank from the head behind it.

    Parameters
    ----------
    middle : ndarray, shape (3,)
        Of the piece that is seen, RAS mm.
    axis : ndarray, shape (3,)
        Its own direction, a unit vector forwards.
    metal : MetalShare
    begins_mm : float
        Where the piece begins, along its axis from its middle.

    Returns
    -------
    ndarray, shape (3,), or None
        Unit vector forwards; None where no head lies behind it.
    """
    sure = metal.weights >= HALF
    points, weights = metal.points[sure], metal.weights[sure]
    depth = (points - middle) @ axis
    away = from_axis_mm(points, middle, axis)
    behind = begins_mm - depth
    near = (behind >= _NEAREST_MM) & (behind <= _FARTHEST_MM)
    near &= away <= _BESIDE_MM + _BESIDE_SHARE * behind
    if not near.any():
        return None
    front = near & (depth >= np.percentile(depth[near], 98.0) - _FRONT_MM)
    centre = np.average(points[front], axis=0, weights=weights[front])
    front &= np.linalg.norm(points - centre, axis=1) <= _WIDE_MM
    if weights[front].sum() * metal.voxel_mm3 < _LEAST_MM3:
        return None
    found = unit(middle - np.average(points[front], axis=0, weights=weights[front]))
    return found if angle_deg(found, axis) <= _TURNED_DEG else None
