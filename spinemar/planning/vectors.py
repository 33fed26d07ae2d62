"""Small vector geometry of planning."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spinemar.implants.checks import as_point
from spinemar.implants.shapes.solids import FloatArray, unit

__all__ = ["angle_deg", "as_point", "from_axis_mm", "within_cone"]


def angle_deg(a: ArrayLike, b: ArrayLike) -> float:
    """Return the angle between two directions in degrees."""
    first, second = unit(a), unit(b)
    # From the half-chords: exact for tiny angles, where the cosine is not.
    chord = float(np.linalg.norm(first - second))
    return float(np.degrees(2.0 * np.arctan2(chord, np.linalg.norm(first + second))))


def from_axis_mm(points: FloatArray, middle: FloatArray, axis: FloatArray) -> FloatArray:
    """Return how far points (n, 3) lie from a line.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
    middle : ndarray, shape (3,)
        On the line.
    axis : ndarray, shape (3,)
        Its direction, a unit vector.

    Returns
    -------
    ndarray, shape (n,)
    """
    relative = points - middle
    along = relative @ axis
    square = np.einsum("ij,ij->i", relative, relative) - along**2
    result: FloatArray = np.sqrt(np.maximum(square, 0.0))
    return result


def within_cone(direction: ArrayLike, axis: ArrayLike, cone_deg: float) -> FloatArray:
    """Return the unit vector (3,) nearest to `direction` within `cone_deg` of `axis`."""
    wanted, middle = unit(direction), unit(axis)
    if angle_deg(wanted, middle) <= cone_deg:
        return wanted
    across = wanted - middle * (middle @ wanted)
    if np.linalg.norm(across) < 1e-9:
        return middle
    angle = np.radians(cone_deg)
    return unit(np.cos(angle) * middle + np.sin(angle) * unit(across))
