"""Checks of placed implants: every number finite and of a believable size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from spinemar.errors import InputError

Point = tuple[float, float, float]

MATERIALS = ("Ti-6Al-4V", "316L", "CoCrMo", "PEEK", "CF-PEEK", "PMMA-BaSO4", "Ta")

# No patient lies further from the origin of a scanner's coordinates.
_FARTHEST_MM = 5_000.0


def as_point(array: ArrayLike) -> Point:
    """Return three plain floats, as plans hold them."""
    x, y, z = (float(value) for value in np.asarray(array, dtype=np.float64))
    return x, y, z


def distance_mm(a: Point, b: Point) -> float:
    """Return the distance of two points."""
    return math.dist(a, b)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number that is not finite or not within [low, high].

    `value`, `low` and `high` are in the unit that `name` says.

    Raises
    ------
    InputError
        If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"The {name} is not a number: {value!r}.", "Correct it in the plan.")
    if not math.isfinite(value) or not low <= value <= high:
        raise InputError(
            f"The {name} is {value}; it must lie between {low:g} and {high:g}.",
            "Correct it in the plan.",
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a word that is not one of `choices`.

    Raises
    ------
    InputError
        If it is not; the message lists them.
    """
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise InputError(f"The {name} is {value!r}.", f"Use one of {known}.")


def check_material(name: str, material: str) -> None:
    """Refuse a material whose attenuation is not known."""
    check_choice(f"material of {name}", material, MATERIALS)


def check_point(name: str, point: Point) -> None:
    """Refuse a point that is not three finite coordinates near the scanner.

    Raises
    ------
    InputError
        If it is not.
    """
    if len(point) != 3:
        raise InputError(f"The {name} has {len(point)} coordinates.", "A point has three, in mm.")
    for value in point:
        check_range(f"coordinate of {name}", value, -_FARTHEST_MM, _FARTHEST_MM)


def check_axes(name: str, first: Point, second: Point) -> None:
    """Refuse two axes that are no unit vectors, or not perpendicular.

    Raises
    ------
    InputError
        If they are not.
    """
    check_unit(name, first)
    check_unit(name, second)
    if abs(sum(a * b for a, b in zip(first, second, strict=True))) > 1e-3:
        raise InputError(f"The axes of {name} are not perpendicular.", "Set its orientation again.")


def check_curve(name: str, points: Sequence[Point]) -> None:
    """Refuse control points that no smooth curve goes through.

    Raises
    ------
    InputError
        If there are fewer than two, too many, or neighbouring ones coincide.
    """
    if not 2 <= len(points) <= 10_000:
        raise InputError(
            f"The {name} has {len(points)} control points.",
            f"A {name.partition(' ')[0]} needs at least two.",
        )
    for point in points:
        check_point(f"control point of {name}", point)
    for a, b in pairwise(points):
        if distance_mm(a, b) < 1e-3:
            raise InputError(
                f"Two neighbouring control points of {name} coincide.", "Remove one of them."
            )


def check_unit(name: str, axis: Point) -> None:
    """Refuse an axis that is not a unit vector.

    Raises
    ------
    InputError
        If its length differs from 1.
    """
    check_point(name, axis)
    if abs(math.hypot(*axis) - 1.0) > 1e-3:
        raise InputError(
            f"The axis of {name} has length {math.hypot(*axis):.3f}.",
            "A direction is a unit vector.",
        )
