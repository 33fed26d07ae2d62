"""An earlier CT is found again in a scan: body, vertebrae, soft tissue, against exact motions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.registration import VertebraMotion, registration_from_json, registration_to_json
from spinemar.registration.grids import Picture, UprightGrid, box_of
from spinemar.registration.register import lay_over
from spinemar.registration.trust import SAME_VERTEBRA, none_registered, other_patient
from spinemar.registration.vertebrae import is_cut_off, vertebrae_of
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.registration.phantom import (
    LEVELS,
    Patient,
    grid,
    moved,
    pictured,
    ras_of,
    rigid_about,
    screws,
)

EARLIER = grid((80, 110, 110), (1.6, 1.6, 2.0), (5.0, -10.0, 0.0))
BODY = rigid_about((0, 0, 0), (2.0, -1.5, 3.0), (8.0, -5.0, 60.0))


@pytest.fixture(scope="module")
def case():
    """A bent patient with screws in L1 and L2, and what is true of it."""
    patient = Patient(0)
    motions = {
        n: rigid_about(
            patient.centre(n),
            (2.5 * np.sin(3 * n + 1), 2 * np.cos(n), n - 2),
            (1.5, n - 2, (-1) ** n),
        )
        @ BODY
        for n in range(4)
    }
    earlier, labels = pictured(patient, EARLIER)
    here = grid((36, 100, 100), (1.6, 1.6, 2.5), np.linalg.inv(BODY)[:3, 3])
    scan, truth = pictured(patient, here, BODY, motions, seed=2)
    metal = screws(here, motions)
    scan = scan.with_hu(np.where(metal, np.float32(3071), scan.hu))
    return scan, metal, earlier, labels, truth, motions


@pytest.fixture(scope="module")
def laid(case):
    scan, metal, earlier, labels, *_ = case
    return lay_over(scan, metal, earlier, labels=labels)


def _errors_mm(case, motion_of):
    """Target registration error in every voxel of the vertebrae with screws."""
    *_, truth, motions = case
    found = []
    for n in (1, 2):
        ijk = np.argwhere(truth.labels == VERSE_IDS[LEVELS[n]])[:, ::-1]
        points = truth.geometry.to_ras(ijk.astype(float))
        found.append(np.linalg.norm(motion_of(n, points) - moved(motions[n], points), axis=1))
    return np.concatenate(found)


def test_vertebrae_are_found_within_a_millimetre(case, laid):
    by_level = {one.level: one for one in laid.registration.vertebrae}
    errors = _errors_mm(case, lambda n, p: moved(by_level[LEVELS[n]].scan_to_earlier, p))
    whole = _errors_mm(case, lambda n, p: moved(laid.registration.scan_to_earlier, p))
    assert errors.mean() < 0.7
    assert np.percentile(errors, 95) < 1.5
    assert errors.mean() < 0.5 * whole.mean()
    assert laid.registration.likeness > 0.9
    assert laid.registration.overlap == 1.0
    assert {one.found for one in laid.registration.vertebrae} == {"registered"}


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_two_cts_lie_the_same_every_time(case, laid, threads, monkeypatch):
    monkeypatch.setattr("spinemar.registration.vertebrae.available_threads", lambda: threads)
    scan, metal, earlier, labels, *_ = case
    again = lay_over(scan, metal, earlier, labels=labels)
    assert registration_to_json(again.registration) == registration_to_json(laid.registration)
    assert np.array_equal(again.field.shift_mm, laid.field.shift_mm)


def test_a_picture_averaged_once_is_sampled_as_one_averaged_each_time(case):
    scan, metal, *_ = case
    picture = Picture.of(scan, metal)
    low, high = box_of(scan.geometry)
    for first, last in ((low, high), (low + 30.0, high - 20.0), (low - 40.0, high - 60.0)):
        there = UprightGrid.over(first, last, 4.0)
        once, seen = picture.averaged(4.0).on(there)
        each, usable = picture.on(there)
        assert np.abs(once - each).max() < 0.01
        assert np.array_equal(seen, usable)


def test_field_is_rigid_in_bone(case, laid):
    errors = _errors_mm(case, lambda n, p: laid.field.to_earlier(p))
    assert np.percentile(errors, 95) < 1.5


def test_labels_are_carried_over(case, laid):
    truth = case[4]
    carried = laid.labels_on(truth.geometry)
    for level in ("L1", "L2"):
        a, b = (x.labels == VERSE_IDS[level] for x in (carried, truth))
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.85


def test_given_transforms_are_kept_and_survive_json(case, laid):
    scan, metal, earlier, labels, *_ = case
    given = registration_from_json(registration_to_json(laid.registration))
    again = lay_over(scan, metal, earlier, labels=labels, given=given)
    assert np.array_equal(again.registration.scan_to_earlier, laid.registration.scan_to_earlier)
    for one, other in zip(again.registration.vertebrae, laid.registration.vertebrae, strict=True):
        assert one.found == "given"
        assert np.array_equal(one.scan_to_earlier, other.scan_to_earlier)
    assert np.allclose(again.field.shift_mm, laid.field.shift_mm, atol=1e-3)


def test_stored_order_does_not_matter(case, laid):
    """The earlier CT turned over and transposed in its file is the same CT."""
    scan, metal, earlier, labels, *_ = case
    affine = earlier.ijk_to_ras.copy()
    affine[:3, 3] += (earlier.hu.shape[0] - 1) * affine[:3, 2]
    affine[:, 2] *= -1
    affine[:3, [0, 1]] = affine[:3, [1, 0]]
    turned = CTVolume(earlier.hu[::-1].transpose(0, 2, 1), affine)
    named = LabelVolume(labels.labels[::-1].transpose(0, 2, 1), affine)
    again = lay_over(scan, metal, turned, labels=named)
    assert np.allclose(
        again.registration.scan_to_earlier, laid.registration.scan_to_earlier, atol=1e-3
    )


def test_metal_of_its_own_does_not_mislead(case):
    scan, metal, earlier, labels, *_ = case
    hu = earlier.hu.copy()
    hu[30:40, 30:36, 60:66] = 3071.0  # a port, a clip
    laid = lay_over(scan, metal, earlier.with_hu(hu), labels=labels)
    by_level = {one.level: one for one in laid.registration.vertebrae}
    errors = _errors_mm(case, lambda n, p: moved(by_level[LEVELS[n]].scan_to_earlier, p))
    assert errors.mean() < 0.7
    assert not laid.earlier.usable[35, 33, 63]


def test_another_patient_is_refused(case):
    scan, metal, *_ = case
    other, labels = pictured(Patient(5, build=0.8), EARLIER)
    with pytest.raises(InputError):
        lay_over(scan, metal, other, labels=labels)


def _streaks(case):
    """What metal leaves in the slices that it lies in: bands, far stronger than tissue."""
    scan, metal, earlier, labels, *_ = case
    points = ras_of(scan.geometry)
    off = points - points[metal].mean(axis=0)
    across = np.arctan2(off[..., 1], off[..., 0])
    away = np.hypot(off[..., 0], off[..., 1])
    touched = ndimage.binary_dilation(metal.any(axis=(1, 2)), iterations=4)[:, None, None]
    strength = np.where(off[..., 2] > 0, 300.0, 560.0) * np.exp(-away / 25.0) * touched
    spoilt = scan.hu + strength * np.cos(14.0 * across)
    spoilt[metal] = 3071.0
    return scan.with_hu(spoilt.astype(np.float32)), metal, earlier, labels


def test_streaks_beside_metal_do_not_make_a_patient_another_one(case):
    """As of steel in thick slices: its own vertebrae are less alike, its body is not."""
    scan, metal, earlier, labels = _streaks(case)
    laid = lay_over(scan, metal, earlier, labels=labels)
    assert min(one.likeness for one in laid.registration.vertebrae) < SAME_VERTEBRA
    by_level = {one.level: one for one in laid.registration.vertebrae}
    errors = _errors_mm(case, lambda n, p: moved(by_level[LEVELS[n]].scan_to_earlier, p))
    assert errors.mean() < 1.5


@pytest.mark.parametrize(("seed", "build"), [(5, 0.8), (7, 0.95), (13, 1.1)])
def test_streaks_do_not_let_another_patient_through(case, seed, build):
    scan, metal, *_ = _streaks(case)
    other, labels = pictured(Patient(seed, build=build), EARLIER)
    with pytest.raises(InputError):
        lay_over(scan, metal, other, labels=labels)


def _judged(*pairs):
    return [
        VertebraMotion(f"L{n}", np.eye(4), found=how, likeness=likeness)
        for n, (how, likeness) in enumerate(pairs, 1)
    ]


_OWN = ("registered", 0.95)
_SPOILT = ("registered", 0.82)
_CUT = ("neighbours", 0.95)
_LOST = ("neighbours", 0.7)


@pytest.mark.parametrize(
    ("motions", "body", "other"),
    [
        (_judged(_OWN, _OWN), 0.8, False),
        (_judged(_OWN, _LOST), 0.8, False),
        (_judged(_OWN, _SPOILT, _SPOILT), 0.8, True),
        (_judged(_OWN, _SPOILT, _SPOILT), 0.83, True),
        (_judged(_OWN, _SPOILT, _SPOILT), 0.89, False),
        (_judged(_SPOILT, _SPOILT), 0.89, True),
        (_judged(_SPOILT, _LOST, _LOST), 0.89, True),
        (_judged(_LOST, _LOST), 0.95, True),
        # What was not laid over speaks for nobody, however alike it is where its neighbour lies.
        (_judged(("registered", 0.881), ("neighbours", 0.877), _CUT), 0.73, True),
        (_judged(_CUT, _CUT), 0.95, True),
        (_judged(_SPOILT, _SPOILT), float("nan"), True),
        (_judged(("registered", float("nan"))), 0.75, False),
        ([], 0.75, False),
    ],
)
def test_whose_vertebrae_they_are(motions, body, other):
    assert other_patient(motions, body) == other


def test_another_region_is_refused(case):
    scan, metal, earlier, labels, *_ = case
    away = slice(0, 14)  # below L3's middle
    with pytest.raises(InputError):
        lay_over(
            scan,
            metal,
            CTVolume(earlier.hu[away], earlier.ijk_to_ras),
            labels=LabelVolume(labels.labels[away], labels.ijk_to_ras),
        )


def test_an_edited_matrix_that_is_not_rigid_is_refused(laid):
    matrix = laid.registration.scan_to_earlier.copy()
    matrix[0, 0] *= 1.2
    with pytest.raises(InputError, match="rotation"):
        replace(laid.registration, scan_to_earlier=matrix)


@pytest.mark.parametrize("text", ["{}", "[]", '{"schema": "spinemar-registration/9"}', "no JSON"])
def test_other_files_are_no_transforms(text):
    with pytest.raises(InputError):
        registration_from_json(text)


@pytest.mark.parametrize(("kept", "cut"), [(1.0, False), (0.9, False), (0.4, True), (0.1, True)])
def test_a_vertebra_that_the_end_of_the_ct_cuts_off_is_not_registered_alone(case, kept, cut):
    labels = case[3]
    names = {VERSE_IDS[level]: level for level in LEVELS}
    whole = vertebrae_of(labels, names)
    top = whole[0]
    high = labels.geometry.to_ras(np.indices(labels.labels.shape)[::-1].reshape(3, -1).T)[:, 2]
    above = (high > top.low[2] + kept * top.height_mm).reshape(labels.labels.shape)
    numbers = np.where(above & (labels.labels == top.number), 0, labels.labels)
    found = vertebrae_of(LabelVolume(numbers, labels.ijk_to_ras, labels.names), names)
    assert is_cut_off(0, found) == cut
    assert not any(is_cut_off(n, found) for n in range(1, len(found)))
    assert not is_cut_off(0, found[:1])


@pytest.mark.parametrize(
    ("found", "none"),
    [
        (["neighbours", "neighbours"], True),
        (["neighbours", "registered"], False),
        (["given"], False),
        ([], False),
    ],
)
def test_vertebrae_of_which_none_can_be_laid_over_prove_nothing(found, none):
    motions = [VertebraMotion(f"L{n}", np.eye(4), found=how) for n, how in enumerate(found, 1)]
    assert none_registered(motions) == none
