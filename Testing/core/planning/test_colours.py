"""Colours of grades, as a deuteranope sees them, and what is written on them.

Deuteranopia is simulated after Machado, Oliveira and Fernandes, IEEE TVCG 2009 (severity 1, on
linear RGB); differences are those of CIE 1976 L*a*b*.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from spinemar.planning.report.colours import (
    GRADE_COLOURS,
    NEUTRAL,
    THICK,
    contrast,
    grade_colour,
    ink_on,
)

DEUTERANOPE = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
     [-0.011820, 0.042940, 0.968881]]
)  # fmt: skip
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
# A difference of 2.3 is just seen side by side; lines apart from each other need far more.
APART = 20.0


def seen(colour, *, deuteranope):
    """Return L*, a*, b* of a colour as it is seen."""
    rgb = np.asarray(colour, float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if deuteranope:
        linear = np.clip(DEUTERANOPE @ linear, 0.0, 1.0)
    x, y, z = TO_XYZ @ linear / (0.95047, 1.0, 1.08883)
    x, y, z = (np.cbrt(t) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("deuteranope", [False, True])
def test_grades_are_told_apart(deuteranope):
    names = {**GRADE_COLOURS, "bone": NEUTRAL}
    for a, b in combinations(names, 2):
        one, other = (seen(names[n], deuteranope=deuteranope) for n in (a, b))
        assert np.linalg.norm(one - other) > APART, (a, b)


def test_the_simulation_sees_what_it_should():
    """A red and a green that deuteranopes confuse come close; blue and yellow stay apart."""

    def apart(a, b):
        return np.linalg.norm(seen(a, deuteranope=True) - seen(b, deuteranope=True))

    assert apart((0.92, 0.40, 0.10), (0.55, 0.72, 0.15)) < 10  # D and B, as they were
    assert apart((0.1, 0.2, 0.9), (0.9, 0.8, 0.1)) > 100


@pytest.mark.parametrize("letter", GRADE_COLOURS)
def test_chips_are_read(letter):
    assert contrast(ink_on(GRADE_COLOURS[letter]), GRADE_COLOURS[letter]) >= 4.5


def test_contrast_of_known_pairs():
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21.0)
    grey = 118 / 255  # 4.54 to 1 on white, by the definition's own tables
    assert contrast((grey,) * 3, (1, 1, 1)) == pytest.approx(4.54, abs=0.01)


def test_what_is_no_grade_is_neutral_and_the_worst_are_thick(column, screw_in):
    assert np.ptp(NEUTRAL) == 0.0
    assert THICK == ("D", "E")
    assert grade_colour(screw_in(column.vertebra("L1"))) == GRADE_COLOURS[None]
