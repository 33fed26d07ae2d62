"""Sides in the pictures of a plan's report: marks in the CT against the letters in the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.pages.orientation import mark_orientation
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.report.reformats import screw_pictures
from spinemar.planning.report.scene import render_views
from spinemar.volume import CTVolume

pytest.importorskip("PIL")

DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1),
              "I": (0, 0, -1)}  # fmt: skip


def letter_at(picture, edge):
    """Read the letter at an edge: which of the six, drawn there by itself, is the likest."""
    rows, columns = picture.shape[:2]
    place = {
        "left": np.s_[rows // 2 - 12 : rows // 2 + 12, :24],
        "right": np.s_[rows // 2 - 12 : rows // 2 + 12, -24:],
        "top": np.s_[:24, columns // 2 - 12 : columns // 2 + 12],
        "bottom": np.s_[-24:, columns // 2 - 12 : columns // 2 + 12],
    }[edge]
    light = (picture[place].min(axis=-1) > 225).astype(float)

    def drawn(letter):
        vector = np.array(DIRECTIONS[letter], float)
        other = np.roll(vector, 1)
        right, up = {"left": (-vector, other), "right": (vector, other),
                     "top": (other, vector), "bottom": (other, -vector)}[edge]  # fmt: skip
        alone = mark_orientation(np.zeros((rows, columns), np.uint8), right, up, 0.2)
        return (alone[place].min(axis=-1) > 225).astype(float)

    return min(DIRECTIONS, key=lambda letter: np.abs(drawn(letter) - light).sum())


@pytest.fixture(scope="module")
def graded(phantom, screw_in):
    spine = phantom((0.7, 0.7, 0.7), None, "L1")
    return spine, spine.vertebrae[0], bone_field(spine.labels, spine.vertebrae[0]), screw_in


@pytest.mark.parametrize(("letter", "side"), [*((x, "right") for x in DIRECTIONS), ("R", "left")])
def test_what_lies_on_a_side_is_drawn_at_that_letter(graded, letter, side):
    """The CT is bright on one side of the screw: so is each picture, where that letter stands."""
    _, frame, field, screw_in = graded
    screw = screw_in(frame, side)
    r, a, s = (80 - 2.0 * np.indices((80, 80, 80))[::-1]) * -1.0  # mm from the screw's middle
    bright = np.tensordot(DIRECTIONS[letter], (r, a, s), axes=1) > 0
    place = np.diag([2.0, 2.0, 2.0, 1.0])
    place[:3, 3] = (np.asarray(screw.entry) + screw.tip) / 2 - 80.0
    ct = CTVolume(np.where(bright, 150.0, -250.0).astype(np.float32), place)
    seen = 0
    for one in screw_pictures(screw, ct, field):
        picture = one.pixels
        found = {letter_at(picture, edge): edge for edge in OPPOSITE}
        if letter in found:  # else it lies along the viewer's way
            edge, seen = found[letter], seen + 1
            assert strip(picture, edge) > strip(picture, OPPOSITE[edge]) + 40, one.caption
    assert seen == 2


OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def strip(picture, edge):
    """Return the mean grey beside an edge, apart from letters, bar and screw."""
    rows, columns = picture.shape[:2]
    place = {
        "left": np.s_[rows // 5 : rows // 3, 30:60],
        "right": np.s_[rows // 5 : rows // 3, -60:-30],
        "top": np.s_[30:60, columns * 2 // 3 : columns * 4 // 5],
        "bottom": np.s_[-60:-30, columns * 2 // 3 : columns * 4 // 5],
    }[edge]
    return float(np.median(picture[place]))


def test_all_pictures_of_a_screw_are_radiological(graded):
    spine, frame, field, screw_in = graded
    ct = CTVolume(np.zeros(spine.labels.labels.shape, np.float32), spine.labels.ijk_to_ras)
    axial, sagittal, across = screw_pictures(screw_in(frame, "right"), ct, field)
    assert [letter_at(axial.pixels, e) for e in ("left", "top")] == ["R", "A"]
    assert [letter_at(sagittal.pixels, e) for e in ("left", "top")] == ["A", "S"]
    assert [letter_at(across.pixels, e) for e in ("left", "top")] == ["R", "S"]


def test_the_header_of_the_cut_across_says_how_deep(graded):
    spine, frame, field, screw_in = graded
    ct = CTVolume(np.zeros(spine.labels.labels.shape, np.float32), spine.labels.ijk_to_ras)
    caption = screw_pictures(screw_in(frame, "left"), ct, field)[2].caption
    assert caption == "across, at the isthmus, 20 mm from entry"


@pytest.mark.slow  # renders in software
def test_views_of_the_construct_are_lettered(graded):
    from spinemar.implants.catalogue import load_catalogue
    from spinemar.planning.plans.plan import Plan

    spine, frame, _, screw_in = graded
    views = [
        render_views(spine, Plan(("L1",), screws), load_catalogue(), ("behind",), size=(300, 400))
        for screws in ((screw_in(frame, "right"),), ())
    ]
    with_right, without = (view["behind"].astype(int) for view in views)
    # White on white but for its rim: the darkest pixels tell the letters.
    assert without[180:220, :20].min() < 60
    changed = np.abs(with_right - without).max(axis=-1) > 30
    # From behind: the right screw is where the R stands.
    assert changed[:, 150:].sum() > 200
    assert changed[:, :150].sum() == 0
