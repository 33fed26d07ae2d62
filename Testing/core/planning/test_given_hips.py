"""Hips that a segmentation holds: taken as the outline, compared with the CT before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.spine.anatomy.pelvis.given import given_parts
from spinemar.spine.anatomy.pelvis.hips import STEP_MM, pelvic_bone
from spinemar.spine.labels.conventions import find_naming
from spinemar.spine.labels.levels import TOTALSEGMENTATOR_IDS, VERSE_IDS
from spinemar.spine.labels.pelvic_parts import (
    LEFT_HIP,
    LOWER_SACRUM,
    RIGHT_HIP,
    pelvic_parts,
)
from spinemar.spine.providers import spine_from_segmentation
from spinemar.volume import LabelVolume
from Testing.core.spine.pelvis_phantom import PLATE, SPACING, inside_hip, phantom

#: TotalSegmentator's numbers and names.
LEFT, RIGHT, SACRUM_BELOW = 77, 78, 25
NAMES = {LEFT: "hip_left", RIGHT: "hip_right", SACRUM_BELOW: "sacrum"}


@pytest.fixture(scope="module")
def true():
    return phantom()


@pytest.fixture(scope="module")
def segmented(true):
    """Vertebrae, S1, the sacrum below it and hips, numbered and named as TotalSegmentator does."""
    old = true.labels.labels
    k, j, i = np.indices(old.shape)
    at = true.labels.geometry.to_ras(np.stack([i, j, k], -1)) - PLATE
    numbers = np.zeros(old.shape, np.int16)
    for level in ("L4", "L5"):
        numbers[old == VERSE_IDS[level]] = TOTALSEGMENTATOR_IDS[level]
    sacrum = old == VERSE_IDS["S1"]
    first = (at @ true.axes.T)[..., 2] > -32.0
    numbers[sacrum & first], numbers[sacrum & ~first] = TOTALSEGMENTATOR_IDS["S1"], SACRUM_BELOW
    joint = ndimage.distance_transform_edt(~sacrum, sampling=SPACING[::-1]) < 2.5
    hip = inside_hip(at) & ~joint & ~ndimage.binary_dilation(old > 0)
    numbers[hip & (at[..., 0] < 0)], numbers[hip & (at[..., 0] > 0)] = LEFT, RIGHT
    levels = {n: f"vertebrae_{level}" for level, n in TOTALSEGMENTATOR_IDS.items()}
    return LabelVolume(numbers, true.labels.ijk_to_ras, {**levels, **NAMES})


@pytest.fixture(scope="module")
def spine(true, segmented):
    return spine_from_segmentation(segmented, true.ct)


def parts_of(labels, naming="auto"):
    found = pelvic_parts(labels, find_naming(labels, naming))
    return set() if found is None else set(np.unique(found.labels)) - {0}


def test_names_and_numbers_are_understood(segmented):
    every = {LEFT_HIP, RIGHT_HIP, LOWER_SACRUM}
    assert parts_of(segmented) == every
    unnamed = replace(segmented, names={})
    assert parts_of(unnamed, "totalsegmentator") == every
    for names in (
        {LEFT: "Left hip bone", RIGHT: "Right hip bone"},
        {LEFT: "SCT^29836001^Hip~SCT^7771000^Left", RIGHT: "os coxae right"},
    ):
        assert parts_of(replace(segmented, names={**segmented.names, **names})) == every
    other = {LEFT: "hip joint left", RIGHT: "gluteus", SACRUM_BELOW: "x"}
    assert parts_of(replace(segmented, names={**segmented.names, **other})) == set()


def test_the_hips_are_those_of_the_labels(true, spine):
    found = pelvic_bone(spine, true.ct)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        hip = found.hips[side]
        index = np.stack(np.indices(hip.shape), -1)
        at = index * STEP_MM + found.first_ras - PLATE
        truth = inside_hip(at) & (sign * at[..., 0] > 0)
        # The joints are no part of it, and the phantom's mask leaves them out.
        assert (hip & ~truth).sum() < 0.03 * truth.sum()
        assert np.linalg.norm((found.notches_ras[side] - true.notch(sign))[1:]) < 9.0
    assert found.bone.sum() > found.hips["left"].sum() + found.hips["right"].sum()


@pytest.mark.parametrize("course", ["S2AI", "iliac"])
def test_screws_are_planned_in_them(true, spine, course):
    settings = PlanSettings(pelvic=course, with_rods=False)
    plan = plan_with_alternatives(spine, true.ct, "S1", load_catalogue(), settings).plan
    for side in ("left", "right"):
        assert plan.screw(f"{course}-{side}").grade.letter == "A"


def moved(labels, way):
    matrix = labels.ijk_to_ras.copy()
    matrix[:3, 3] += way
    return replace(labels, ijk_to_ras=matrix)


@pytest.mark.parametrize("mm", [3.0, 5.0, 10.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_hips_that_lie_beside_the_bone_are_refused(true, spine, mm, axis):
    wrong = replace(spine, pelvis=moved(spine.pelvis, mm * np.eye(3)[axis]))
    with pytest.raises(InputError, match="do not fit the CT") as refused:
        given_parts(wrong, true.ct, np.zeros((1, 3)))
    assert "leave the hips out" in refused.value.remedy


def test_a_mirrored_pelvis_is_refused(segmented):
    names = {**segmented.names, LEFT: "hip_right", RIGHT: "hip_left"}
    with pytest.raises(InputError, match="left hip lies on the right side"):
        parts_of(replace(segmented, names=names))


def test_one_hip_alone_leaves_the_other_to_the_ct(true, spine):
    only = np.where(spine.pelvis.labels == RIGHT_HIP, 0, spine.pelvis.labels)
    half = replace(spine, pelvis=replace(spine.pelvis, labels=only))
    found = pelvic_bone(half, true.ct)
    assert set(found.hips) == {"left", "right"}
