"""Implicit solids: functions that are negative inside and never overestimate distance.

Every solid's `distance(points)` has the sign of the solid and a magnitude of at most
the true distance to its surface. Minimum and maximum keep both, so unions, intersections
and differences are exact and need no mesh; voxelisation uses the bound to leave out
everything that is surely inside or outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Bounds = tuple[FloatArray, FloatArray]


class Solid(Protocol):
    """A closed region of space."""

    def distance(self, points: FloatArray) -> FloatArray:
        """Return values for points (n, 3): negative inside, |value| <= true distance."""
        ...

    def bounds(self) -> Bounds:
        """Return the lowest and highest corner of a box around the solid, each (3,)."""
        ...


def unit(vector: ArrayLike) -> FloatArray:
    """Return the vector, shape (..., 3), scaled to length 1."""
    array = np.asarray(vector, dtype=np.float64)
    result: FloatArray = array / np.linalg.norm(array)
    return result


def body_axes(right: ArrayLike, anterior: ArrayLike) -> FloatArray:
    """Return unit axes to the right, anterior and superior as rows (3, 3), of two vectors (3,)."""
    first, second = unit(right), unit(anterior)
    return np.stack([first, second, np.cross(first, second)])


def perpendicular(axis: FloatArray, towards: ArrayLike) -> FloatArray:
    """Return the unit vector (3,) across `axis` that is nearest to `towards`."""
    wanted = np.asarray(towards, dtype=np.float64)
    across = wanted - axis * (axis @ wanted)
    if np.linalg.norm(across) < 1e-6:
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    return unit(across)


def dots(points: FloatArray, axis: FloatArray) -> FloatArray:
    """Return points (n, 3) @ axis without BLAS, whose threads cost more than they gain here."""
    x, y, z = (float(value) for value in axis[:3])
    result: FloatArray = points[:, 0] * x + points[:, 1] * y + points[:, 2] * z
    return result


@dataclass(frozen=True)
class Cone:
    """A frustum from `start` to `end` with two radii; a cylinder if they are equal."""

    start: FloatArray
    end: FloatArray
    start_radius: float
    end_radius: float

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        axis = self.end - self.start
        length = float(np.linalg.norm(axis))
        axis = axis / length
        relative = points - self.start
        along = dots(relative, axis)
        radial = np.sqrt(np.maximum(np.einsum("ij,ij->i", relative, relative) - along**2, 0.0))
        slope = (self.end_radius - self.start_radius) / length
        side = (radial - self.start_radius - slope * along) / np.hypot(1.0, slope)
        result: FloatArray = np.maximum(side, np.maximum(-along, along - length))
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        axis = unit(self.end - self.start)
        across = np.sqrt(np.maximum(1.0 - axis**2, 0.0))
        first, last = across * self.start_radius, across * self.end_radius
        low = np.minimum(self.start - first, self.end - last)
        high = np.maximum(self.start + first, self.end + last)
        return low, high


def cylinder(start: ArrayLike, end: ArrayLike, radius: float) -> Cone:
    """Return a cylinder of some `radius` between two points (3,), all in mm."""
    return Cone(np.asarray(start, float), np.asarray(end, float), radius, radius)


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    centre: FloatArray
    radius: float

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        result: FloatArray = np.linalg.norm(points - self.centre, axis=1) - self.radius
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        return self.centre - self.radius, self.centre + self.radius


@dataclass(frozen=True)
class Slab:
    """The convex region within planes: points x with normals @ x <= offsets.

    `corners` (n, 3) are points whose box encloses it.
    """

    normals: FloatArray
    offsets: FloatArray
    corners: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`."""
        result: FloatArray = dots(points, self.normals[0]) - self.offsets[0]
        for normal, offset in zip(self.normals[1:], self.offsets[1:], strict=True):
            result = np.maximum(result, dots(points, normal) - offset)
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        return self.corners.min(axis=0), self.corners.max(axis=0)


def box(centre: ArrayLike, axes: ArrayLike, half_sizes: ArrayLike) -> Slab:
    """Return a box; the rows of `axes` (3, 3) are its unit axes."""
    middle, rows = np.asarray(centre, float), np.asarray(axes, float)
    half = np.asarray(half_sizes, float)
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    normals = np.concatenate([rows, -rows])
    offsets = normals @ middle + np.concatenate([half, half])
    return Slab(normals, offsets, middle + (signs * half) @ rows)


@dataclass(frozen=True)
class Union:
    """Everything in any of the parts."""

    parts: Sequence[Solid]

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        result = self.parts[0].distance(points)
        for part in self.parts[1:]:
            result = np.minimum(result, part.distance(points))
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        boxes = [part.bounds() for part in self.parts]
        return (
            np.min([low for low, _ in boxes], axis=0),
            np.max([high for _, high in boxes], axis=0),
        )


@dataclass(frozen=True)
class Cut:
    """What all of `kept` share, without what lies in any of `removed`."""

    kept: Sequence[Solid]
    removed: Sequence[Solid] = ()

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        result = self.kept[0].distance(points)
        for part in self.kept[1:]:
            result = np.maximum(result, part.distance(points))
        # Outside what is kept nothing can be removed, and the bound holds as it is.
        near = np.flatnonzero(result < 0.0)
        if self.removed and len(near):
            inside = points[near]
            hole = -self.removed[0].distance(inside)
            for part in self.removed[1:]:
                hole = np.maximum(hole, -part.distance(inside))
            result[near] = np.maximum(result[near], hole)
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        boxes = [part.bounds() for part in self.kept]
        return (
            np.max([low for low, _ in boxes], axis=0),
            np.min([high for _, high in boxes], axis=0),
        )
