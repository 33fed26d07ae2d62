"""Letters at the edges of a picture and its bar of 10 mm, read back from the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.pages.orientation import direction_letters, edge_letters, mark_orientation

RIGHT, FRONT, HEAD = np.eye(3)
EDGES = {
    "left": np.s_[100:141, :30], "right": np.s_[100:141, -30:],
    "top": np.s_[:30, 120:181], "bottom": np.s_[-30:, 120:181],
}  # fmt: skip


def marked(right, up, shape=(241, 301), pixel_mm=0.25):
    return mark_orientation(np.full(shape, 90, np.uint8), right, up, pixel_mm)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_six_directions_have_six_letters(axis, sign):
    assert direction_letters(sign * 3.0 * np.eye(3)[axis]) == ("RAS", "LPI")[sign < 0][axis]


def test_an_oblique_direction_names_two_axes_the_nearer_first():
    assert direction_letters((-0.8, 0.6, 0.0)) == "LA"
    assert direction_letters((-0.98, 0.2, 0.0)) == "L"


def test_the_radiological_planes():
    assert edge_letters(-RIGHT, FRONT) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert edge_letters(-RIGHT, HEAD) == {"left": "R", "right": "L", "top": "S", "bottom": "I"}
    assert edge_letters(-FRONT, HEAD) == {"left": "A", "right": "P", "top": "S", "bottom": "I"}


def test_a_turned_picture_has_the_same_letters_on_other_edges():
    """What is drawn at an edge depends on the direction there, and on nothing else."""
    upright, mirrored = marked(-RIGHT, FRONT), marked(RIGHT, FRONT)
    ink = {name: upright[place] != 90 for name, place in EDGES.items()}
    assert all(mask.any() for mask in ink.values())
    np.testing.assert_array_equal(upright[EDGES["top"]], mirrored[EDGES["top"]])
    assert (upright[EDGES["left"]] != mirrored[EDGES["left"]]).any()
    # An R stands on the left of one and on the right of the other.
    assert (ink["left"].sum()) == ((mirrored[EDGES["right"]] != 90).sum())


@pytest.mark.parametrize("pixel_mm", [0.2, 0.25, 0.8])
@pytest.mark.parametrize("shape", [(241, 301), (241, 301, 3)])
def test_the_bar_is_10_mm_long(shape, pixel_mm):
    picture = marked(-RIGHT, HEAD, shape, pixel_mm)
    row = picture[shape[0] - 7].min(axis=-1) == 255
    assert row.sum() == round(10 / pixel_mm)
    assert np.flatnonzero(row)[0] < 10
    assert (picture[: shape[0] // 3, : shape[1] // 3] == 90).all()  # and nothing on the anatomy


def test_letters_are_read_on_dark_and_on_light_pictures():
    for grey, extreme in ((20, 255), (250, 0)):
        picture = mark_orientation(np.full((241, 301), grey, np.uint8), -RIGHT, HEAD, 0.25)
        light = np.abs(picture.astype(int) - extreme) < 60
        assert all(light[place].sum() > 20 for place in EDGES.values()), grey


def test_the_picture_given_is_left_alone():
    before = np.full((120, 120, 3), 200, np.uint8)
    mark_orientation(before, -RIGHT, HEAD, 0.5)
    assert (before == 200).all()
