"""Mirror screws to the other side, across the mid-sagittal plane of the vertebra."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from spinemar.implants.checks import Point
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.vectors import as_point

# So many are within 0.3 degrees and 0.15 mm of what twenty times as many find.
_SAMPLES = 1000
# Of the field's box a third lies near the surface.
_DRAWN = 10 * _SAMPLES
# Within this of the surface the two halves are compared.
_SHELL_MM = 6.0


@dataclass(frozen=True)
class Plane:
    """A plane through `point` across the unit vector `normal`, RAS mm."""

    point: FloatArray
    normal: FloatArray

    def mirror(self, ras: Point | FloatArray) -> FloatArray:
        """Return points (..., 3) on the other side."""
        points = np.asarray(ras, dtype=np.float64)
        distance = (points - self.point) @ self.normal
        result: FloatArray = points - 2.0 * distance[..., None] * self.normal
        return result

    def mirror_direction(self, direction: Point | FloatArray) -> FloatArray:
        """Return a mirrored direction, shape (3,)."""
        vector = np.asarray(direction, dtype=np.float64)
        return unit(vector - 2.0 * (vector @ self.normal) * self.normal)


def midsagittal_plane(field: BoneField) -> Plane:
    """Fit the plane across which a vertebra is most like itself.

    Starts at the plane of the vertebra's frame and turns and shifts it until the bone's
    distance fields on both sides agree best. Deterministic.
    """
    frame = field.frame
    rng = np.random.default_rng(0)
    size = np.array(field.values.shape) - 1
    local = field.first_local + rng.uniform(size=(_DRAWN, 3)) * size * field.step_mm
    here = field.distance_local_mm(local)
    near = np.flatnonzero(np.abs(here) < _SHELL_MM)[:_SAMPLES]
    local, here = local[near], here[near]

    def mismatch(parameters: FloatArray) -> float:
        normal = unit([1.0, parameters[1], parameters[2]])
        distance = local @ normal - parameters[0]
        there = field.distance_local_mm(local - 2.0 * distance[:, None] * normal)
        return float(np.abs(np.clip(there, -_SHELL_MM, _SHELL_MM) - here).mean())

    start = np.array([float(frame.to_local(frame.canal_centre_ras)[0]) / 2, 0.0, 0.0])
    simplex = start + np.array([[0, 0, 0], [2.0, 0, 0], [0, 0.06, 0], [0, 0, 0.06]])
    found = minimize(
        mismatch,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-4, "maxiter": 120},
    ).x
    normal = unit([1.0, found[1], found[2]])
    return Plane(frame.to_ras(normal * found[0]), unit(normal @ frame.axes_ras))


def mirror_screw(screw: Screw, plane: Plane) -> Screw:
    """Return the screw on the other side, of the same size, not graded and not locked."""
    side = "left" if screw.side == "right" else "right"
    entry = plane.mirror(screw.entry)
    axis = unit(plane.mirror(screw.tip) - entry)
    return replace(
        screw.without_grade(),
        id=f"{screw.level}-{side}" if screw.level else f"{screw.id}-mirrored",
        side=side,
        entry=as_point(entry),
        tip=as_point(entry + screw.length_mm * axis),
        head_axis=None
        if screw.head_axis is None
        else as_point(plane.mirror_direction(screw.head_axis)),
        slot_axis=None
        if screw.slot_axis is None
        else as_point(plane.mirror_direction(screw.slot_axis)),
        locked=False,
    )
