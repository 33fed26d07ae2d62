"""The outline of the canal in one plane, seen from its middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.anatomy.shape import VertebraShape

_FARTHEST_MM = 20.0
_LEAST_CLOSED = 0.6


def canal_contour(
    shape: VertebraShape, centre: NDArray[np.float64], axes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the closed contour (n, 3) of the canal around a point, RAS mm; empty if it is open.

    It lies in the plane of the first two rows (right, anterior) of `axes`.
    """
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    right, anterior, _ = axes
    rays = np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * anterior
    t = np.arange(0.0, _FARTHEST_MM, 0.25)
    inside = shape.distance(centre + t[:, None] * rays[:, None, :]) < 0
    hit = inside.any(axis=1)
    if hit.mean() < _LEAST_CLOSED or inside[:, 0].any():
        return np.zeros((0, 3))
    radius = t[inside.argmax(axis=1)]
    # Gaps (foramina, between laminae) take the radius of their neighbours.
    whole = np.interp(angles, angles[hit], radius[hit], period=2 * np.pi)
    return np.asarray(centre + whole[:, None] * rays, dtype=np.float64)
