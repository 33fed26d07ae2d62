"""Colours of grades: the same in 3-D, in slices and in tables."""

from __future__ import annotations

from spinemar.implants.placement import Grade

#: Red, green and blue from 0 to 1; None is a screw that is not graded.
GRADE_COLOURS: dict[str | None, tuple[float, float, float]] = {
    "A": (0.16, 0.65, 0.36),
    "B": (0.55, 0.72, 0.15),
    "C": (0.95, 0.70, 0.10),
    "D": (0.92, 0.40, 0.10),
    "E": (0.80, 0.10, 0.15),
    None: (0.45, 0.55, 0.75),
}


def grade_colour(grade: Grade | None) -> tuple[float, float, float]:
    """Return the colour of a grade, or of no grade."""
    return GRADE_COLOURS[grade.letter if grade is not None else None]
