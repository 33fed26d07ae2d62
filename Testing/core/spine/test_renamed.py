"""Renaming all vertebrae, and telling that two spines differ in names alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from spinemar.spine.editing import refit_vertebrae, renamed_by, shift_levels
from spinemar.spine.labels.boxes import label_boxes
from spinemar.spine.labels.levels import VERSE_IDS
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
