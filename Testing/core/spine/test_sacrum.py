"""The frame and the outline of S1 against a sacrum of known geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.anatomy.sacrum.drawn import with_drawn_sacrum
from spinemar.spine.editing import refit_vertebrae
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.model import CONFIDENT
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine.sacrum_phantom import BACK_MM, FORAMEN, PLATE, phantom
from Testing.core.spine.spine_phantom import dice

S1 = VERSE_IDS["S1"]


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    return made, frames_from_labels(made.labels, made.ct)


def check_frame(made, model):
    frame = model.vertebra("S1")
    for mine, truth in zip(frame.axes_ras, made.axes, strict=True):
        assert np.degrees(np.arccos(np.clip(mine @ truth, -1, 1))) < 3
    plate = made.local(frame.endplates["superior"].point_ras)
    assert np.abs(plate - [0, (16 + BACK_MM) / 2, 0]).max() < 1.5
    assert set(frame.endplates) == {"superior"}
    canal = made.local(frame.canal_centre_ras)
    assert np.abs(canal[:2] - [0, -23]).max() < 1.5
    for side, sign in (("right", 1.0), ("left", -1.0)):
        pedicle = frame.pedicles[side]
        across, front, up = made.local(pedicle.isthmus_ras) * [sign, 1, 1]
        # Between the canal and the ala, behind the body, above the first foramen.
        assert 16 < across < 30
        assert BACK_MM - 8 < front < BACK_MM
        assert FORAMEN[2] + 5.5 + 4 < up < -6
        inwards, forwards, upwards = made.axes @ pedicle.axis_ras * [-sign, 1, 1]
        assert 20 < np.degrees(np.arctan2(inwards, forwards)) < 33
        assert 0 < np.degrees(np.arcsin(upwards)) < 20
        assert pedicle.confidence >= CONFIDENT
    assert frame.confidence >= 0.8
    assert not frame.cut_off
    return frame


def test_s1_lies_where_the_phantom_has_it(patient):
    made, model = patient
    frame = check_frame(made, model)
    assert model.levels == ("L4", "L5", "S1")
    assert frame.agreement.doubts == ()


@pytest.mark.parametrize(("slope", "turn"), [(20.0, 0.0), (55.0, 0.0), (40.0, 8.0)])
def test_flat_steep_and_turned_sacra(slope, turn):
    made = phantom(slope, turn)
    check_frame(made, frames_from_labels(made.labels))


def test_s1_alone_says_the_same_as_the_whole_sacrum(patient):
    made, whole = patient
    k, j, i = np.indices(made.labels.labels.shape)
    up = made.local(made.labels.geometry.to_ras(np.stack([i, j, k], -1)))[..., 2]
    alone = np.where((made.labels.labels == S1) & (up < -36), 0, made.labels.labels)
    model = frames_from_labels(replace(made.labels, labels=alone), made.ct)
    frame = check_frame(made, model)
    gap = frame.body_centre_ras - whole.vertebra("S1").body_centre_ras
    assert np.linalg.norm(gap) < 1.0


def test_without_l5_the_sacrum_says_why_it_cannot_be_planned(patient):
    made, _ = patient
    labels = np.where(made.labels.labels == VERSE_IDS["L5"], 0, made.labels.labels)
    model = frames_from_labels(replace(made.labels, labels=labels), naming="verse")
    assert model.levels == ("L4",)
    with pytest.raises(InputError, match=r"S1 is labelled.*no L5 above"):
        model.vertebra("S1")
    with pytest.raises(InputError, match="was not found"):
        model.vertebra("L1")


def test_labels_that_fill_the_canal_are_not_to_be_planned_on(patient):
    made, _ = patient
    k, j, i = np.indices(made.labels.labels.shape)
    local = made.local(made.labels.geometry.to_ras(np.stack([i, j, k], -1)))
    canal = (np.hypot(local[..., 0] / 14, (local[..., 1] + 23) / 9) < 1) & (local[..., 2] < 0)
    filled = np.where(canal & (local[..., 2] > -55), S1, made.labels.labels)
    frame = frames_from_labels(replace(made.labels, labels=filled), naming="verse").vertebra("S1")
    assert frame.confidence < CONFIDENT
    assert any("canal is not seen" in text for text in frame.warnings)


def cut_below(made, below_mm):
    """First slice and affine of a field that ends so far below the plate."""
    first = int(made.labels.geometry.to_ijk(PLATE - [0.0, 0.0, below_mm])[2])
    affine = made.labels.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, 2] * first
    return first, affine


@pytest.mark.parametrize("below_mm", [12.0, 20.0])
def test_a_sacrum_that_the_field_cuts_says_so(patient, below_mm):
    made, _ = patient
    first, affine = cut_below(made, below_mm)
    model = frames_from_labels(LabelVolume(made.labels.labels[first:], affine), naming="verse")
    assert model.vertebra("S1").cut_off
    assert model.vertebra("S1").confidence < CONFIDENT


def rough(made):
    """What our own segmentation hands on: a block around the body of S1 and the canal's arch."""
    k, j, i = np.indices(made.labels.labels.shape)
    local = made.local(made.labels.geometry.to_ras(np.stack([i, j, k], -1)))
    block = (np.abs(local[..., 0]) < 24) & (np.abs(local[..., 1]) < 15.5)
    block &= (local[..., 2] < 0) & (local[..., 2] > -50)
    arch = (made.labels.labels == S1) & (local[..., 1] < -24) & (np.abs(local[..., 0]) < 32)
    others = np.where(made.labels.labels == S1, 0, made.labels.labels)
    return replace(made.labels, labels=np.where((block | arch) & (others == 0), S1, others))


@pytest.fixture(scope="module")
def drawn(patient):
    made, model = patient
    start = frames_from_labels(rough(made), made.ct)
    down = PLATE + np.array([[0.0, -23.0, -z] for z in np.arange(0.0, 50.0)]) @ made.axes
    start = replace(start, canal_ras=np.concatenate([model.canal_ras, down]))
    return with_drawn_sacrum(start, made.ct)


def test_the_drawn_sacrum_has_its_alae_and_keeps_what_is_open_open(patient, drawn):
    made, _ = patient
    assert dice(drawn.labels, made.labels, S1) > 0.88
    check_frame(made, drawn)

    def labelled(points):
        ijk = np.rint(made.labels.geometry.to_ijk(np.array(points) @ made.axes + PLATE)).astype(int)
        return drawn.labels.labels[ijk[:, 2], ijk[:, 1], ijk[:, 0]] == S1

    both = np.array([[-1.0, 1, 1], [1.0, 1, 1]])
    assert labelled(both * [40.0, -4.0, -18.0]).all()  # marrow, as dark as fat
    assert not labelled(both * [FORAMEN[0], 0.0, FORAMEN[2]]).any()
    assert not labelled([[0.0, -23.0, -15.0], [9.0, -23.0, -15.0], [-9.0, -23.0, -15.0]]).any()
    assert not labelled(both * [60.0, 0.0, -20.0]).any()  # hips
    assert np.array_equal(
        drawn.labels.labels == VERSE_IDS["L5"], made.labels.labels == VERSE_IDS["L5"]
    )


def test_a_sacrum_that_the_ct_does_not_show_stays_as_it_is(patient):
    made, model = patient
    empty = replace(made.ct, hu=np.full_like(made.ct.hu, -1000.0))
    assert with_drawn_sacrum(model, empty) is model


@pytest.mark.parametrize("below_mm", [34.0, 42.0])
def test_the_marrow_of_a_sacrum_cut_below_s1_stays_within(patient, below_mm):
    made, model = patient
    first, affine = cut_below(made, below_mm)
    labels, ct = rough(made), CTVolume(made.ct.hu[first:], affine)
    start = frames_from_labels(LabelVolume(labels.labels[first:], affine), ct, naming="verse")
    down = PLATE + np.array([[0.0, -23.0, -z] for z in np.arange(0.0, 50.0)]) @ made.axes
    start = replace(start, canal_ras=np.concatenate([model.canal_ras, down]))
    drawn = with_drawn_sacrum(start, ct).labels
    true = LabelVolume(made.labels.labels[first:], affine)
    assert dice(drawn, true, S1) > 0.88
    # The open end too: nothing is hollow there, and nothing is drawn beside it.
    assert dice(*(replace(one, labels=one.labels[:8]) for one in (drawn, true)), S1) > 0.85
    k, j, i = np.indices(true.labels.shape)
    local = made.local(true.geometry.to_ras(np.stack([i, j, k], -1)))
    marrow = (true.labels == S1) & (np.abs(local[..., 0]) > 30) & (np.abs(local[..., 0]) < 40)
    marrow &= (np.abs(local[..., 1] + 4) < 8) & (local[..., 2] < -8)
    assert (drawn.labels[marrow] == S1).mean() > 0.95


def test_a_sacrum_drawn_up_to_the_edge_is_cut_off(patient):
    made, model = patient
    first = int(made.labels.geometry.to_ijk(PLATE - [0.0, 0.0, 20.0])[2])
    affine = made.labels.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, 2] * first
    numbers = made.labels.labels[first:].copy()
    numbers[:3][numbers[:3] == S1] = 0  # a rough one that ends before the edge
    labels, ct = LabelVolume(numbers, affine), CTVolume(made.ct.hu[first:], affine)
    start = replace(model, labels=labels)
    assert not start.vertebra("S1").cut_off
    sacrum = with_drawn_sacrum(start, ct).vertebra("S1")
    assert sacrum.cut_off
    assert sacrum.confidence < CONFIDENT


def test_a_spine_without_a_sacrum_stays_as_it_is(patient):
    made, model = patient
    none = replace(model, vertebrae=model.vertebrae[:2])
    assert with_drawn_sacrum(none, made.ct) is none


def test_frames_of_s1_survive_the_file_and_an_edit(patient):
    _, model = patient
    again = spine_from_json(spine_to_json(model), model.labels)
    assert np.array_equal(again.vertebra("S1").axes_ras, model.vertebra("S1").axes_ras)
    assert set(again.vertebra("S1").endplates) == {"superior"}
    refitted = refit_vertebrae(None, model, model.labels, ["S1"])
    assert refitted.levels == model.levels
    assert np.allclose(refitted.vertebra("S1").axes_ras, model.vertebra("S1").axes_ras)
