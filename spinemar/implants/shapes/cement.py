"""Bone cement: an ellipsoid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spinemar.implants.placement import Cement
from spinemar.implants.shapes.screw import Part
from spinemar.implants.shapes.solids import Bounds, FloatArray, body_axes, dots


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; the rows of `axes` (3, 3) are its unit axes, `radii` (3,) its half axes."""

    centre: FloatArray
    axes: FloatArray
    radii: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (n, 3) in mm give values (n,): how far outside of the unit ball they would lie,
        scaled by the smallest half axis, which never overestimates the distance.
        """
        relative = points - self.centre
        scaled = [dots(relative, a / r) for a, r in zip(self.axes, self.radii, strict=True)]
        norm = np.sqrt(sum(one**2 for one in scaled))
        result: FloatArray = (norm - 1.0) * float(self.radii.min())
        return result

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        reach = np.sqrt(((self.axes * self.radii[:, None]) ** 2).sum(axis=0))
        return self.centre - reach, self.centre + reach


def cement_parts(cement: Cement) -> Iterator[Part]:
    """Yield the solid of cement."""
    centre, radii = np.asarray(cement.centre, float), np.asarray(cement.radii_mm, float)
    axes = body_axes(cement.right, cement.anterior)
    yield Part("cement", Ellipsoid(centre, axes, radii), cement.material)
