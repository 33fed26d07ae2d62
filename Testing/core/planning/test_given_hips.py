"""Hips that a segmentation holds: taken as the outline, compared with the CT before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.jobs.registry import function_of
from spinemar.jobs.requests.plan import read_field
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.grades.pelvic_bone import pelvic_field
from spinemar.progress import CancelToken, ignore_progress
from spinemar.spine.anatomy.pelvis.given import given_parts
from spinemar.spine.anatomy.pelvis.hips import STEP_MM, pelvic_bone
from spinemar.spine.labels.conventions import find_naming
from spinemar.spine.labels.levels import TOTALSEGMENTATOR_IDS, VERSE_IDS
from spinemar.spine.labels.pelvic_parts import (
    LEFT_HIP,
    LOWER_SACRUM,
    PART_NAMES,
    RIGHT_HIP,
    checked_parts,
    parts_in_names,
    pelvic_parts,
)
from spinemar.spine.providers import spine_from_segmentation
from spinemar.spine.serial import spine_to_json
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


def test_parts_are_cut_out_of_the_volume(segmented, spine):
    """A large CT's parts take no room where there are none, and lie where they lay."""
    whole, parts = segmented, spine.pelvis
    assert parts.labels.size < 0.8 * whole.labels.size
    for value, part in ((LEFT, LEFT_HIP), (RIGHT, RIGHT_HIP), (SACRUM_BELOW, LOWER_SACRUM)):
        assert (parts.labels == part).sum() == (whole.labels == value).sum()
        k, j, i = np.nonzero(parts.labels == part)
        at = whole.geometry.to_ijk(parts.geometry.to_ras(np.stack([i, j, k], -1)))
        i, j, k = np.rint(at).astype(int).T
        assert (whole.labels[k, j, i] == value).all()
    assert checked_parts(replace(parts, labels=np.zeros_like(parts.labels))) is None


def test_segments_are_told_apart_by_name():
    names = {"a": "vertebrae_S1", "b": "sacrum", "c": "hip_left", "d": "Right hip bone", "e": "L5"}
    levels = {"a": "S1", "e": "L5"}
    assert parts_in_names(names, levels) == {"b": LOWER_SACRUM, "c": LEFT_HIP, "d": RIGHT_HIP}
    # Alone, the sacrum is S1 itself.
    alone = {"b": "sacrum", "c": "hip_left"}
    assert parts_in_names(alone, {"b": "S1"}) == {"c": LEFT_HIP}
    beside_s1 = parts_in_names(PART_NAMES, {0: "S1"})
    assert beside_s1 == {part: part for part in PART_NAMES}


def handed(folder, name, values, matrix):
    np.save(folder / f"{name}.npy", values)
    return {"npy": str(folder / f"{name}.npy"), "ijk_to_ras": matrix.tolist(), "name": name}


def outlined(folder, true, spine, pelvis):
    """Run the job that outlines the pelvis; return its field."""
    (folder / "frames.json").write_text(spine_to_json(spine), encoding="utf-8")
    job = {
        "schema": "spinemar-job/1",
        "kind": "outline-pelvis",
        "input": handed(folder, "ct", true.ct.hu, true.ct.ijk_to_ras),
        "labels": handed(folder, "labels", spine.labels.labels, spine.labels.ijk_to_ras),
        "frames": str(folder / "frames.json"),
        "fields_folder": str(folder),
        "pelvis": handed(folder, "pelvis", pelvis.labels, pelvis.ijk_to_ras),
    }
    run = function_of("outline-pelvis")
    return read_field(run(job, ignore_progress, CancelToken())["field"], spine.vertebra("S1"))


def test_the_job_takes_the_hips_that_it_is_given(true, spine, tmp_path):
    expected = pelvic_field(spine, true.ct)
    field = outlined(tmp_path, true, spine, spine.pelvis)
    np.testing.assert_array_equal(field.parts, expected.parts)
    wrong = moved(spine.pelvis, np.array([6.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="do not fit the CT"):
        outlined(tmp_path, true, spine, wrong)


def test_mirrored_hips_are_refused_before_anything_is_segmented(true, spine, tmp_path):
    parts = spine.pelvis.labels
    exchanged = np.select([parts == LEFT_HIP, parts == RIGHT_HIP], [RIGHT_HIP, LEFT_HIP], parts)
    job = {
        "schema": "spinemar-job/1",
        "kind": "segment-spine",
        "pelvis": handed(tmp_path, "pelvis", exchanged, spine.pelvis.ijk_to_ras),
        "pelvis_output": str(tmp_path / "parts.npy"),
        "labels_output": str(tmp_path / "l.npy"),
        "frames_output": str(tmp_path / "f.json"),
    }
    with pytest.raises(InputError, match="left hip lies on the right side"):
        function_of("segment-spine")(job, ignore_progress, CancelToken())
    assert not (tmp_path / "parts.npy").exists()
