"""Labels against the CT: right ones pass, wrong ones of every kind are noticed by vertebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.spine.anatomy.agreement.compare import compared_with_ct, plausible_heights
from spinemar.spine.anatomy.agreement.level_evidence import (
    UNCONFIRMED_LEVELS,
    naming_lead,
    with_level_evidence,
)
from spinemar.spine.anatomy.frames import canal_of_labels, frames_from_labels
from spinemar.spine.editing import refit_vertebrae, shift_levels, with_first_level
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine import spine_phantom as phantom

MIDDLE = "L1"


@pytest.fixture(scope="module")
def patient():
    """A CT, and the spine from its true labels."""
    volume, labels = phantom.spine()
    return volume, frames_from_labels(labels, volume)


def with_labels(spine, change):
    """The middle vertebra of a spine beside spoilt labels, as the comparison sees it."""
    middle = spine.vertebra(MIDDLE)
    return replace(spine, labels=change(spine.labels), vertebrae=(middle,))


def moved(way):
    def change(labels):
        matrix = labels.ijk_to_ras.copy()
        matrix[:3, 3] += way
        return replace(labels, ijk_to_ras=matrix)

    return change


def fat(mm):
    def change(labels):
        distance, nearest = ndimage.distance_transform_edt(
            labels.labels == 0, labels.geometry.spacing_mm[::-1], return_indices=True
        )
        grown = np.where(distance <= mm, labels.labels[tuple(nearest)], 0)
        return replace(labels, labels=grown.astype(np.int16))

    return change


def thin(mm):
    def change(labels):
        depth = ndimage.distance_transform_edt(labels.labels > 0, labels.geometry.spacing_mm[::-1])
        return replace(labels, labels=np.where(depth > mm, labels.labels, 0).astype(np.int16))

    return change


def turned(labels):
    """Another patient's vertebrae: of the same place, but tilted by 25 degrees."""
    _, other = phantom.spine(phantom.rotation(25.0, 0), noise=0.0)
    return replace(labels, labels=other.labels)


def test_right_labels_agree(patient):
    _, spine = patient
    for frame in spine.vertebrae[1:-1]:
        assert frame.agreement.doubts == ()
        assert np.linalg.norm(frame.agreement.offset_mm) <= 1.0
        assert abs(frame.agreement.growth_mm) <= 0.5
        assert frame.agreement.border_share > 0.8
        assert frame.agreement.shell_hu > frame.agreement.core_hu > frame.agreement.canal_hu


@pytest.mark.parametrize("mm", [3.0, 5.0, 10.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_is_measured(patient, mm, axis, sign):
    volume, spine = patient
    way = sign * mm * np.eye(3)[axis]
    found = compared_with_ct(with_labels(spine, moved(way)), volume).vertebrae[0].agreement
    np.testing.assert_allclose(found.offset_mm, way, atol=1.1)
    assert f"{mm:.0f} mm off the bone" in found.doubts[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(fat(2.0), "too large", id="fat"),
        pytest.param(thin(2.0), "bone in the CT", id="thin"),
        pytest.param(turned, "edge of bone", id="another patient's"),
        pytest.param(moved([300.0, 0, 0]), "does not show", id="elsewhere"),
        pytest.param(lambda x: replace(x, labels=np.zeros_like(x.labels)), "hold", id="none"),
        pytest.param(
            lambda x: replace(x, labels=np.ascontiguousarray(x.labels[:, ::-1])),
            "bone",
            id="mirrored",
        ),
    ],
)
def test_wrong_labels_are_noticed(patient, change, words):
    volume, spine = patient
    frame = compared_with_ct(with_labels(spine, change), volume).vertebrae[0]
    assert any(words in doubt for doubt in frame.agreement.doubts), frame.agreement
    assert set(frame.agreement.doubts) <= set(frame.warnings)


def screws(volume, spine):
    """True where drawn screws run through the middle vertebra's pedicles."""
    frame = spine.vertebra(MIDDLE)
    k, j, i = np.indices(volume.hu.shape, dtype=np.float64)
    at = volume.geometry.to_ras(np.stack([i, j, k], axis=-1))
    metal = np.zeros(volume.hu.shape, bool)
    for pedicle in frame.pedicles.values():
        from_isthmus = at - pedicle.isthmus_ras
        along = from_isthmus @ pedicle.axis_ras
        across = np.linalg.norm(from_isthmus - along[..., None] * pedicle.axis_ras, axis=-1)
        metal |= (across < 4.0) & (np.abs(along) < 28.0)
    return metal


def test_metal_is_no_bone(patient):
    """Screws are dense on both sides of a border: right labels are neither too large nor off."""
    volume, spine = patient
    metal = screws(volume, spine)
    scan = volume.with_hu(np.where(metal, np.float32(9000), volume.hu))
    clean = spine.vertebra(MIDDLE).agreement
    found = compared_with_ct(spine, scan).vertebra(MIDDLE).agreement
    assert found.doubts == ()
    assert found.growth_mm == pytest.approx(clean.growth_mm, abs=0.1)
    assert found.border_share == pytest.approx(clean.border_share, abs=0.05)


def test_what_a_correction_guesses_is_no_evidence(patient):
    """Bone beside screws is smeared in a corrected CT: that says nothing of the labels."""
    volume, spine = patient
    near = ndimage.distance_transform_edt(~screws(volume, spine), volume.spacing_mm[::-1]) <= 4.0
    guess = np.where(near, ndimage.gaussian_filter(volume.hu, 4.0) - 100.0, volume.hu)
    corrected = volume.with_hu(guess.astype(np.float32))
    clean = spine.vertebra(MIDDLE).agreement
    believed = compared_with_ct(spine, corrected).vertebra(MIDDLE).agreement
    found = compared_with_ct(spine, corrected, guessed=near).vertebra(MIDDLE)
    assert found.agreement.doubts == ()
    assert found.agreement.growth_mm == pytest.approx(clean.growth_mm, abs=0.1)
    assert abs(believed.growth_mm - clean.growth_mm) > 0.1
    assert believed.border_share < found.agreement.border_share
    assert found.seen_endplates  # planes are fitted to the whole picture
    fatter = compared_with_ct(with_labels(spine, fat(2.0)), corrected, guessed=near)
    assert "too large" in fatter.vertebrae[0].agreement.doubts[0]


def test_exchanged_sides_are_noticed_where_everything_else_fits(patient):
    """A vertebra with one thick transverse process; in its labels right is left."""
    volume, spine = patient
    frame = spine.vertebra(MIDDLE)
    k, j, i = np.indices(volume.hu.shape, dtype=np.float64)
    at = volume.geometry.to_ras(np.stack([i, j, k], axis=-1)) - frame.body_centre_ras

    def thicker(side):
        low, high = np.array([10.0, -38.0, -8.0]), np.array([44.0, -18.0, 10.0])
        local = at @ frame.axes_ras.T * [side, 1.0, 1.0]
        own = np.where(((local > low) & (local < high)).all(axis=-1), VERSE_IDS[MIDDLE], 0)
        return replace(spine.labels, labels=np.where(own, own, spine.labels.labels))

    right, exchanged = thicker(1.0), thicker(-1.0)
    grown = (right.labels > 0) & (spine.labels.labels == 0)
    scan = volume.with_hu(np.where(grown, np.float32(350.0), volume.hu))
    found = frames_from_labels(right, scan).vertebra(MIDDLE).agreement
    assert not any("mirror" in doubt for doubt in found.doubts)
    found = frames_from_labels(exchanged, scan).vertebra(MIDDLE).agreement
    assert any("right and left may be exchanged" in doubt for doubt in found.doubts)


def other_spacing(factor):
    """The same voxels, said to be of another size: about the same middle."""

    def change(labels):
        matrix = labels.ijk_to_ras.copy()
        k, j, i = np.nonzero(labels.labels == VERSE_IDS[MIDDLE])
        middle = np.array([i.mean(), j.mean(), k.mean()])
        matrix[:3, :3] *= factor
        matrix[:3, 3] += (labels.ijk_to_ras[:3, :3] - matrix[:3, :3]) @ middle
        return replace(labels, ijk_to_ras=matrix)

    return change


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25, 2.0])
def test_another_spacing_is_noticed(patient, factor):
    volume, spine = patient
    frame = compared_with_ct(with_labels(spine, other_spacing(factor)), volume).vertebrae[0]
    assert frame.agreement.doubts, frame.agreement


def test_a_canal_that_is_filled_is_noticed(patient):
    volume, spine = patient
    middle = spine.vertebra(MIDDLE)

    def filled(labels):
        k, j, i = np.indices(labels.labels.shape)
        ras = labels.geometry.to_ras(np.stack([i, j, k], axis=-1))
        local = (ras - middle.canal_centre_ras) @ middle.axes_ras.T
        inside = (np.hypot(local[..., 0], local[..., 1]) < 11) & (np.abs(local[..., 2]) < 14)
        inside &= labels.labels == 0
        return replace(labels, labels=np.where(inside, VERSE_IDS[MIDDLE], labels.labels))

    frame = compared_with_ct(with_labels(spine, filled), volume).vertebrae[0]
    assert frame.agreement.doubts, frame.agreement


@pytest.mark.parametrize("way", [[0, 0, 36.0], [12.0, 0, 0], [0, -25.0, 0], [400.0, 0, 0]])
def test_a_frame_of_other_labels_is_noticed(patient, way):
    volume, spine = patient
    middle = spine.vertebra(MIDDLE)
    pedicles = {s: replace(p, isthmus_ras=p.isthmus_ras + way) for s, p in middle.pedicles.items()}
    plates = {
        n: replace(p, point_ras=p.point_ras + np.array(way)) for n, p in middle.endplates.items()
    }
    foreign = replace(
        middle,
        body_centre_ras=middle.body_centre_ras + way,
        canal_centre_ras=middle.canal_centre_ras + way,
        endplates=plates,
        pedicles=pedicles,
    )
    found = compared_with_ct(replace(spine, vertebrae=(foreign,)), volume).vertebrae[0]
    assert any("belongs to other ones" in doubt for doubt in found.agreement.doubts)


def test_comparing_again_forgets_what_was_said_before(patient):
    volume, spine = patient
    wrong = compared_with_ct(with_labels(spine, moved([5.0, 0, 0])), volume)
    mended = compared_with_ct(replace(wrong, labels=spine.labels), volume).vertebrae[0]
    assert mended.agreement.doubts == ()
    assert mended.warnings == spine.vertebra(MIDDLE).warnings


def test_a_body_cut_in_half_is_noticed_by_its_neighbours(patient):
    _, spine = patient
    frames = list(spine.vertebrae)
    plate = frames[2].endplates["inferior"]
    half = replace(plate, point_ras=frames[2].body_centre_ras)
    frames[2] = replace(frames[2], endplates={**frames[2].endplates, "inferior": half})
    said = plausible_heights(frames)
    assert "cut off" in said[2].agreement.doubts[-1]
    assert [f.agreement.doubts for f in said[1:2]] == [()]
    assert plausible_heights(spine.vertebrae) == spine.vertebrae
    # Without a comparison nothing is said of labels, and one vertebra alone has no measure.
    assert plausible_heights([replace(frames[2], agreement=None)])[0].agreement is None
    assert plausible_heights(frames[2:3])[0].agreement.doubts == ()


def test_the_comparison_survives_the_file(patient):
    volume, spine = patient
    wrong = compared_with_ct(with_labels(spine, moved([0, 4.0, 0])), volume)
    again = spine_from_json(spine_to_json(wrong), wrong.labels)
    assert spine_to_json(again) == spine_to_json(wrong)
    assert again.vertebrae[0].agreement.doubts == wrong.vertebrae[0].agreement.doubts


def test_frames_of_earlier_versions_are_read(patient):
    import json

    _, spine = patient
    raw = json.loads(spine_to_json(spine))
    for item in raw["vertebrae"]:
        for name in ("agreement", "cut_off", "level_doubt"):
            del item[name]
    old = spine_from_json(json.dumps(raw), spine.labels)
    assert all(f.agreement is None and not f.cut_off for f in old.vertebrae)


def test_the_canal_ends_where_bone_does_not_enclose_it(patient):
    """The lowest vertebra has no arch below its pedicles: its frame must not follow a stray end."""
    _, spine = patient
    body = np.abs(phantom.PITCH)
    line = canal_of_labels(spine.labels)
    assert np.abs(line[:, 0]).max() < 2.0
    assert np.abs(line[:, 1]).max() < 4.0
    assert line[0, 2] - line[-1, 2] > 4 * body - 10


#: How far bone reaches from the middle: a long rib, and transverse processes as people have them.
REACH_MM = {"T11": 200.0, "T12": 24.0, "L1": 35.0, "L2": 39.0, "L3": 44.0}


def columns(spine, ribs):
    """A CT of soft tissue, and bone beside the vertebrae that are named, so far from the middle."""
    ribs = ribs if isinstance(ribs, dict) else dict.fromkeys(ribs, 200.0)
    labels = spine.labels
    hu = np.full(labels.labels.shape, 40.0, np.float32)
    k, j, i = np.indices(labels.labels.shape)
    ras = labels.geometry.to_ras(np.stack([i, j, k], axis=-1))
    for level, reach in ribs.items():
        frame = spine.vertebra(level)
        up = np.mean([p.isthmus_ras[2] for p in frame.pedicles.values()])
        near = (np.abs(ras[..., 2] - up) < 4) & (np.abs(ras[..., 1] + 12) < 4)
        hu[near & (np.abs(ras[..., 0]) > 14) & (np.abs(ras[..., 0]) < reach)] = 400.0
    return CTVolume(hu, labels.ijk_to_ras)


def test_levels_against_ribs(patient):
    _, spine = patient
    ct = columns(spine, ("T11", "T12"))
    step, lead = naming_lead(shift_levels(spine, 2).vertebrae, ct)
    assert step == -2
    assert lead > 5.0
    said = with_level_evidence(shift_levels(spine, 2), ct)
    assert all("2 levels upwards" in f.level_doubt for f in said.vertebrae)
    assert all(f.level_doubt in f.warnings for f in said.vertebrae)
    settled = with_first_level(said, spine.levels[0])
    assert settled.levels == spine.levels
    assert not any(f.level_doubt for f in settled.vertebrae)
    assert [f.warnings for f in settled.vertebrae] == [f.warnings for f in spine.vertebrae]
    right = with_level_evidence(spine, ct)
    assert not any(f.level_doubt for f in right.vertebrae)
    # The other way it may be a T12 without ribs, which does occur: nothing is settled.
    higher = with_level_evidence(shift_levels(spine, -1), ct)
    assert all(UNCONFIRMED_LEVELS in f.warnings for f in higher.vertebrae)


@pytest.mark.parametrize("step", [-1, 1])
def test_transverse_processes_settle_a_last_rib_that_is_missing(patient, step):
    """T12 has no rib here, and is told from L1 by its short processes."""
    _, spine = patient
    ct = columns(spine, REACH_MM)
    assert not with_level_evidence(spine, ct).vertebrae[1].warnings
    said = with_level_evidence(shift_levels(spine, step), ct)
    way = "upwards" if step > 0 else "downwards"
    assert all(f"one level {way}" in f.level_doubt for f in said.vertebrae)


def test_processes_that_nobody_sees_settle_nothing(patient):
    """Where there is soft tissue alone beside the vertebrae."""
    _, spine = patient
    for step in (-1, 0, 1):
        said = with_level_evidence(shift_levels(spine, step), columns(spine, {}))
        assert all(UNCONFIRMED_LEVELS in f.warnings for f in said.vertebrae)
        assert not any(f.level_doubt for f in said.vertebrae)


def test_whoever_states_the_names_is_believed(patient):
    _, spine = patient
    ct = columns(spine, ("T11", "T12"))
    said = with_level_evidence(shift_levels(spine, 2), ct)
    edited = refit_vertebrae(None, said, said.labels, [said.levels[2]]).vertebrae[2]
    assert edited.level_doubt == said.vertebrae[2].level_doubt
    assert edited.level_doubt in edited.warnings
    for steps in (0, -2):
        stated = shift_levels(said, steps)
        assert not any(f.level_doubt or f.warnings for f in stated.vertebrae[1:-1])


def test_levels_that_nothing_confirms_say_so(patient):
    _, spine = patient
    said = with_level_evidence(spine, columns(spine, spine.levels))
    assert all(f.level_doubt or UNCONFIRMED_LEVELS in f.warnings for f in said.vertebrae)
    assert naming_lead(spine.vertebrae[:2], columns(spine, ())) == (0, 0.0)


def test_only_a_level_can_be_first(patient):
    _, spine = patient
    with pytest.raises(InputError):
        with_first_level(spine, "banana")
    with pytest.raises(InputError):
        with_first_level(replace(spine, vertebrae=()), "L1")
    assert with_first_level(spine, "T10").levels[0] == "T10"
    assert VERSE_IDS["T10"] in np.unique(with_first_level(spine, "T10").labels.labels)


def test_labels_without_a_ct_are_not_compared():
    _, labels = phantom.spine(noise=0.0)
    one = LabelVolume(np.where(labels.labels == VERSE_IDS[MIDDLE], labels.labels, 0),
                      labels.ijk_to_ras, labels.names)  # fmt: skip
    assert frames_from_labels(one, naming="verse").vertebrae[0].agreement is None
