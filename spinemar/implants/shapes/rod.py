"""Rods: tubes along a smooth curve, with flat ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import cKDTree

from spinemar.implants.placement import Rod
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import Bounds, FloatArray, dots, unit


def rod_curve(control_points: ArrayLike, step_mm: float = 0.5) -> FloatArray:
    """Return points (n, 3) along the rod's axis, at most about `step_mm` apart.

    The curve is a cubic spline with straight ends through the control points; two
    points make a straight rod.
    """
    points = np.asarray(control_points, dtype=np.float64)
    places = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = max(2, int(np.ceil(places[-1] / step_mm)) + 1)
    if len(points) == 2:
        return np.linspace(points[0], points[1], count)
    fine = np.linspace(0.0, places[-1], 4 * count)
    spline = CubicSpline(places, points, bc_type="natural")
    dense = spline(fine)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = PchipInterpolator(lengths, fine)(np.linspace(0.0, lengths[-1], count))
    curve: FloatArray = spline(at)
    return curve


def rod_length_mm(rod: Rod) -> float:
    """Return the length to which a straight rod has to be cut."""
    curve = rod_curve(rod.control_points, 0.25)
    return float(np.linalg.norm(np.diff(curve, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Tube:
    """All points within `radius` of a polyline, cut flat at its ends."""

    curve: FloatArray
    radius: float

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.curve)

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        _, nearest = self._tree.query(points)
        last = len(self.curve) - 2
        squared = np.minimum(
            self._to_segment(points, np.minimum(nearest, last)),
            self._to_segment(points, np.maximum(nearest - 1, 0)),
        )
        side = np.sqrt(squared) - self.radius
        start, end = self.curve[0], self.curve[-1]
        before = dots(start - points, unit(self.curve[1] - start))
        beyond = dots(points - end, unit(end - self.curve[-2]))
        # The end planes cut only what belongs to the ends: a bent rod may cross them.
        before = np.where(nearest <= 1, before, -np.inf)
        beyond = np.where(nearest >= last, beyond, -np.inf)
        return np.maximum(side, np.maximum(before, beyond))

    def _to_segment(self, points: FloatArray, index: FloatArray) -> FloatArray:
        """Return squared distances to the segments from curve[index] to the next point."""
        start = self.curve[index]
        along = self.curve[index + 1] - start
        relative = points - start
        share = np.clip(
            np.einsum("ij,ij->i", relative, along) / np.einsum("ij,ij->i", along, along), 0.0, 1.0
        )
        away = relative - share[:, None] * along
        squared: FloatArray = np.einsum("ij,ij->i", away, away)
        return squared

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        return self.curve.min(axis=0) - self.radius, self.curve.max(axis=0) + self.radius

    def length_mm(self) -> float:
        """Length along the axis."""
        return float(np.linalg.norm(np.diff(self.curve, axis=0), axis=1).sum())


def rod_parts(rod: Rod) -> Iterator[Part]:
    """Yield the solid of a rod."""
    yield Part("rod", Tube(rod_curve(rod.control_points), rod.diameter_mm / 2), rod.material)
