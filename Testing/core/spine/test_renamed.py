"""Renaming all vertebrae, and telling that two spines differ in names alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.spine.editing import (
    refit_vertebrae,
    renamed_by,
    shift_levels,
    with_first_level,
)
from spinemar.spine.labels.boxes import label_boxes
from spinemar.spine.labels.levels import VERSE_IDS, level_range
from spinemar.spine.model import SpineModel
from spinemar.volume import LabelVolume
from Testing.core.planning.conftest import build


@pytest.fixture(scope="module")
def spine():
    return build((1.2, 1.2, 2.0), None, "T11-L2")


@pytest.mark.parametrize("steps", [-3, -1, 0, 1, 2])
def test_what_was_renamed_is_told_and_the_way_back(spine, steps):
    moved = shift_levels(spine, steps)
    assert renamed_by(spine, moved) == steps
    assert renamed_by(moved, spine) == -steps
    for before, after in zip(spine.levels, moved.levels, strict=True):
        np.testing.assert_array_equal(
            spine.labels.labels == VERSE_IDS[before], moved.labels.labels == VERSE_IDS[after]
        )


NAMED = [
    ("L3-L5", {-2: "L1-L3", -1: "L2-L4", 0: "L3-L5", 1: None, 2: None}),
    ("L2-L4", {-1: "L1-L3", 0: "L2-L4", 1: "L3-L5", 2: None}),
    ("L4-S1", {-2: None, -1: None, 0: "L4-S1", 1: None, 2: None}),
    ("L4, L5, L6", {-1: "L3-L5", 0: "L4, L5, L6", 1: None}),
    ("T12, T13, L1", {-1: None, 0: "T12, T13, L1", 1: None}),
    ("C3-C5", {-3: None, -2: "C1-C3", 0: "C3-C5"}),
]


@pytest.mark.parametrize(
    ("levels", "steps", "wanted"), [(a, n, b) for a, named in NAMED for n, b in named.items()]
)
@pytest.mark.parametrize("framed", [True, False], ids=["all framed", "the last one labelled alone"])
def test_a_sacrum_stays_one_and_no_two_vertebrae_share_a_name(levels, steps, wanted, framed):
    whole = build((3.0, 3.0, 3.0), None, levels)
    spine = whole if framed else replace(whole, vertebrae=whole.vertebrae[:-1])
    if wanted is None:
        with pytest.raises(InputError) as caught:
            shift_levels(spine, steps)
        assert caught.value.remedy
        return
    moved = shift_levels(spine, steps)
    names = level_range(wanted)
    assert moved.levels == names[: len(spine.levels)]
    assert renamed_by(spine, moved) == steps
    for before, after in zip(whole.levels, names, strict=True):
        np.testing.assert_array_equal(
            whole.labels.labels == VERSE_IDS[before], moved.labels.labels == VERSE_IDS[after]
        )


@pytest.mark.parametrize(
    ("levels", "first", "named"),
    [
        ("L4-S1", "L4", "L4-S1"),
        ("L4-S1", "L3", None),
        ("L4-S1", "L5", None),
        ("L3-L5", "L2", "L2-L4"),
        ("L3-L5", "L4", None),
        ("L6", "L5", "L5"),
        ("T13", "T12", "T12"),
        ("T13", "L1", "L1"),
        ("T13", "T13", "T13"),
        ("T12", "T13", None),
        ("L5", "L6", None),
    ],
)
def test_the_first_level_gets_the_name_that_is_stated_or_none(levels, first, named):
    spine = build((3.0, 3.0, 3.0), None, levels)
    if named is None:
        with pytest.raises(InputError):
            with_first_level(spine, first)
    else:
        assert with_first_level(spine, first).levels == level_range(named)


def test_what_differs_in_more_is_not_taken_for_a_renaming(spine):
    labels = spine.labels.labels.copy()
    labels[:, :, : labels.shape[2] // 2][labels[:, :, : labels.shape[2] // 2] == 20] = 0
    edited = refit_vertebrae(None, spine, LabelVolume(labels, spine.labels.ijk_to_ras), ["L1"])
    fewer = replace(spine, vertebrae=spine.vertebrae[1:])
    copied = SpineModel(
        LabelVolume(spine.labels.labels.copy(), spine.labels.ijk_to_ras),
        spine.vertebrae,
        spine.canal_ras,
    )
    swapped = replace(
        spine,
        vertebrae=tuple(
            replace(f, body_centre_ras=np.add(f.body_centre_ras, (0, 0, 0.5)))
            for f in spine.vertebrae
        ),
    )
    others = (edited, shift_levels(edited, 1), fewer, shift_levels(fewer, 1), copied,
              shift_levels(swapped, 1))  # fmt: skip
    for other in others:
        assert renamed_by(spine, other) is None
        assert renamed_by(other, spine) is None


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_those_of_a_plain_search(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((9, 11, 13), np.int16)
    for number in (3, 7, 8, 20):
        low = rng.integers(0, (7, 9, 11))
        high = low + rng.integers(1, 4, 3)
        labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = number
    wanted = {n + 1: box for n, box in enumerate(ndimage.find_objects(labels)) if box}
    assert {n: tuple((s.start, s.stop) for s in box) for n, box in label_boxes(labels).items()} == {
        n: tuple((s.start, s.stop) for s in box) for n, box in wanted.items()
    }


@pytest.mark.parametrize("corner", list(product((0, -1), repeat=3)))
def test_a_single_voxel_in_a_corner_has_a_box(corner):
    labels = np.zeros((4, 5, 6), np.int16)
    labels[corner] = 9
    place = np.argwhere(labels)[0]
    assert label_boxes(labels) == {9: tuple(slice(int(n), int(n) + 1, None) for n in place)}
