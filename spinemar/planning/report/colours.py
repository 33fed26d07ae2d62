"""Colours of grades: the same in 3-D, in slices and in tables, told apart by the colour-blind."""

from __future__ import annotations

from spinemar.implants.placement import Screw
from spinemar.planning.report.wording import canal_mm

Colour = tuple[float, float, float]

#: Red, green and blue from 0 to 1; None is a screw that is not graded. Chosen to differ in
#: lightness and between yellow and blue, so that a deuteranope tells them apart too.
GRADE_COLOURS: dict[str | None, Colour] = {
    "A": (0.00, 0.62, 0.50),
    "B": (0.62, 0.88, 0.36),
    "C": (1.00, 0.84, 0.25),
    "D": (0.92, 0.42, 0.02),
    "E": (0.85, 0.00, 0.20),
    None: (0.35, 0.45, 0.80),
}
#: Grades whose outline is drawn thick: more than a colour tells them.
THICK = ("D", "E")
_GOOD = ("A", "B")
#: Outlines of vertebrae: no colour at all, so that none of them is taken for a grade's.
NEUTRAL: Colour = (0.80, 0.80, 0.80)
_BLACK, _WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def grade_colour(screw: Screw) -> Colour:
    """Return the colour of a screw's grade, or of no grade; E's where that lies in the canal.

    A and B of a vertebra whose name nothing confirms have the colour of no grade.
    """
    return GRADE_COLOURS[_letter(screw)]


def is_thick(screw: Screw) -> bool:
    """Whether the outline of a screw is drawn thick."""
    return _letter(screw) in THICK


def _letter(screw: Screw) -> str | None:
    """Return the letter whose look a screw has."""
    grade = screw.grade
    if grade is None:
        return "E" if canal_mm(screw) else None
    # Green says that all is well: of a screw that may lie in the wrong vertebra nobody knows.
    if grade.letter in _GOOD and not grade.level_confirmed:
        return None
    return grade.letter


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever is read better on a colour: 4.5 to 1 at the least."""
    return max((_BLACK, _WHITE), key=lambda ink: contrast(ink, colour))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.2 defines it for sRGB."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def css(colour: Colour) -> str:
    """Return a colour as HTML writes it."""
    red, green, blue = (round(255 * part) for part in colour)
    return f"rgb({red},{green},{blue})"
