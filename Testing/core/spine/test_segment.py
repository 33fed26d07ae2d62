"""The automatic segmentation on a phantom CT of known labels, and what users correct in it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from spinemar.errors import CancelledError, InputError
from spinemar.progress import CancelToken
from spinemar.spine.editing import (
    changed_levels,
    correct_vertebra,
    refit_vertebrae,
    shift_levels,
)
from spinemar.spine.labels.levels import LEVELS, VERSE_IDS
from spinemar.spine.providers import spine_from_segmentation
from spinemar.spine.segmentation.level_identification import LevelGuess
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume
from Testing.core.spine import spine_phantom as phantom

WHOLE = ("T12", "L1", "L2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain():
    volume, labels = phantom.spine()
    seen = []
    model = segment_spine(volume, first_level="T11", progress=seen.append)
    return volume, labels, model, seen


def test_labels_and_levels(plain):
    volume, truth, model, _ = plain
    assert model.levels == phantom.LEVELS
    assert model.labels.geometry.same_as(volume.geometry)
    for level in WHOLE:
        assert phantom.dice(model.labels, truth, VERSE_IDS[level]) > 0.88


def test_frames(plain):
    _, _, model, _ = plain
    for n, level in enumerate(WHOLE):
        frame = model.vertebra(level)
        height = phantom.PITCH * (1 - n)
        assert np.linalg.norm(frame.body_centre_ras - [0, 22, height]) < 2
        for axis in range(3):
            assert frame.axes_ras[axis, axis] > 0.99
        for side, sign in (("right", 1), ("left", -1)):
            pedicle = frame.pedicles[side]
            assert np.linalg.norm(pedicle.isthmus_ras - [sign * 13, 1.5, height + 5]) < 2.5
            assert 5 < pedicle.width_mm < 10
            assert pedicle.confidence > 0.5


def test_canal_runs_through_the_middle(plain):
    canal = plain[2].canal_ras
    inside = np.abs(canal[:, 2]) < 60
    assert np.hypot(canal[inside, 0], canal[inside, 1] + 0.5).max() < 3
    assert (np.diff(canal[:, 2]) < 0).all()  # from head to foot


def test_progress_ends_complete(plain):
    seen = plain[3]
    assert seen[-1].done == seen[-1].total
    assert all(one.done <= two.done for one, two in pairwise(seen))


def test_cancel_stops_it(plain):
    token = CancelToken()

    def stop(progress):
        if progress.done == 3:
            token.cancel()

    with pytest.raises(CancelledError):
        segment_spine(plain[0], progress=stop, cancel=token)


def wider(volume, voxels):
    """A CT with more soft tissue to both sides: a field that shows long ribs."""
    hu = np.pad(volume.hu, ((0, 0), (0, 0), (voxels, voxels)), mode="edge")
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] -= voxels * matrix[:3, 0]
    return CTVolume(hu, matrix)


def test_ribs_and_processes_put_a_wrong_guess_right(plain, monkeypatch):
    """Whatever was guessed of lengths alone: here all names are one level too low."""
    volume, *_ = plain
    volume = wider(volume, 20)
    hu = volume.hu.copy()
    k, j, i = np.indices(hu.shape)
    ras = volume.geometry.to_ras(np.stack([i, j, k], axis=-1))
    for n, reach in enumerate((200.0, 200.0, 35.0, 39.0, 44.0)):
        up = phantom.PITCH * (2 - n) + 5
        near = (np.abs(ras[..., 2] - up) < 3.5) & (np.abs(ras[..., 1] + 12) < 4)
        hu[near & (np.abs(ras[..., 0]) > 16) & (np.abs(ras[..., 0]) < reach)] = 450.0

    def too_low(signs):
        top = LEVELS.index("L3") + 1 - len(signs.length)
        return LevelGuess(LEVELS[top + 1 : top + 1 + len(signs.length)][::-1], 0.1)

    monkeypatch.setattr("spinemar.spine.segmentation.segment.guess_levels", too_low)
    named = segment_spine(volume.with_hu(hu))
    assert named.levels == phantom.LEVELS
    for level in WHOLE:
        cut = LabelVolume(named.labels.labels[..., 20:-20], plain[1].ijk_to_ras)
        assert phantom.dice(cut, plain[1], VERSE_IDS[level]) > 0.8
    guessed = segment_spine(volume)
    assert not any(frame.level_confirmed for frame in guessed.vertebrae)


def test_turned_grid_and_seeds_give_the_same(plain):
    volume, _, model, _ = plain
    order = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    sagittal = CTVolume(volume.hu.transpose(2, 0, 1), volume.ijk_to_ras @ order)
    seeds = {"T12": [0, 22, phantom.PITCH], "L2": [1, 20, -phantom.PITCH]}
    again = segment_spine(sagittal, seeds=seeds)
    back = LabelVolume(again.labels.labels.transpose(1, 2, 0), volume.ijk_to_ras)
    for level in WHOLE:
        assert phantom.dice(model.labels, back, VERSE_IDS[level]) > 0.97


def test_scoliosis_and_kyphosis():
    turn = phantom.rotation(6, 1) @ phantom.rotation(9, 2)
    volume, truth = phantom.spine(turn=turn, bend=0.001)
    model = segment_spine(volume, seeds={"L1": turn.T @ [0, 22.0, 0]})
    for level in WHOLE:
        assert phantom.dice(model.labels, truth, VERSE_IDS[level]) > 0.85
        frame = model.vertebra(level)
        assert np.degrees(np.arccos(np.clip(frame.right @ turn[0], -1, 1))) < 6


def test_metal_is_left_out_and_told():
    volume, truth = phantom.spine(metal=True)
    model = segment_spine(volume, first_level="T11")
    assert not (model.labels.labels[volume.hu > 2500] > 0).any()
    frame = model.vertebra("L1")
    assert any("Metal" in text for text in frame.warnings)
    assert set(frame.pedicles) == {"left", "right"}
    assert phantom.dice(model.labels, truth, VERSE_IDS["L1"]) > 0.75
    assert not any("Metal" in text for text in model.vertebra("L2").warnings)


def test_shifting_all_levels(plain):
    model = plain[2]
    moved = shift_levels(model, -1)
    assert moved.levels == ("T10", "T11", "T12", "L1", "L2")
    for before, after in zip(model.levels, moved.levels, strict=True):
        np.testing.assert_array_equal(
            model.labels.labels == VERSE_IDS[before], moved.labels.labels == VERSE_IDS[after]
        )
    with pytest.raises(InputError):
        shift_levels(model, -18)


def _same_place(one, other) -> bool:
    """Whether a frame was kept; what is said of it is weighed anew with its neighbours."""
    same = np.array_equal(one.axes_ras, other.axes_ras)
    return same and np.array_equal(one.body_centre_ras, other.body_centre_ras)


def test_correcting_one_vertebra_keeps_the_others(plain):
    volume, truth, model, _ = plain
    numbers = model.labels.labels.copy()
    number = VERSE_IDS["L1"]
    k = np.nonzero((numbers == number).any(axis=(1, 2)))[0]
    numbers[k[len(k) // 2] :][numbers[k[len(k) // 2] :] == number] = 0  # a spoiled vertebra
    spoiled = type(model)(LabelVolume(numbers, volume.ijk_to_ras), model.vertebrae, model.canal_ras)
    mended = correct_vertebra(volume, spoiled, "L1", [0, 22.0, 0.0])
    assert phantom.dice(mended.labels, truth, number) > 0.88
    for level in model.levels:
        if level == "L1":
            continue
        np.testing.assert_array_equal(
            mended.labels.labels == VERSE_IDS[level], numbers == VERSE_IDS[level]
        )
        assert _same_place(mended.vertebra(level), spoiled.vertebra(level))


def test_only_edited_vertebrae_are_fitted_anew(plain):
    volume, _, model, _ = plain
    numbers = model.labels.labels.copy()
    numbers[numbers == VERSE_IDS["T12"]] = 0  # erased
    body = np.argwhere(numbers == VERSE_IDS["L1"])
    forwards = model.labels.geometry.to_ras(body[:, ::-1])[:, 1]
    numbers[tuple(body[forwards > forwards.max() - 6.0].T)] = 0  # its front is cut off
    edited = LabelVolume(numbers, volume.ijk_to_ras)
    assert changed_levels(model.labels, model.labels) == ()
    changed = changed_levels(model.labels, edited)
    assert changed == ("T12", "L1")
    again = refit_vertebrae(volume, model, edited, changed)
    assert "T12" not in again.levels
    for level in again.levels:
        assert _same_place(again.vertebra(level), model.vertebra(level)) == (level != "L1")
    before, after = (m.vertebra("L1").body_centre_ras[1] for m in (model, again))
    assert -4.0 < after - before < -0.3


def test_single_spine_segment_is_divided(plain):
    volume, truth, _, _ = plain
    mask = LabelVolume((truth.labels > 0).astype(np.int16), truth.ijk_to_ras)
    model = spine_from_segmentation(mask, volume, first_level="T11")
    for level in WHOLE:
        assert phantom.dice(model.labels, truth, VERSE_IDS[level]) > 0.93
    with pytest.raises(InputError, match="CT"):
        spine_from_segmentation(mask)


def test_wrong_seeds_are_refused(plain):
    volume = plain[0]
    with pytest.raises(InputError, match="order"):
        segment_spine(volume, seeds={"L2": [0, 22, 30], "L1": [0, 22, -30]})
    with pytest.raises(InputError, match="spine"):
        segment_spine(volume, seeds={"L1": [300, 22, 0]})
    with pytest.raises(InputError):
        segment_spine(volume, first_level="nonsense")


@pytest.mark.parametrize("named", [{"first_level": "T13"}, {"seeds": {"L6": [0, 22, 0]}}])
def test_levels_are_not_counted_from_one_that_few_have(plain, named):
    with pytest.raises(InputError, match=r"not counted from (T13|L6)") as caught:
        segment_spine(plain[0], **named)
    assert "C1 to L5" in caught.value.remedy


@pytest.mark.parametrize("kind", ["constant", "coarse", "thin"])
def test_unfit_volumes_are_refused_with_a_remedy(plain, kind):
    volume = plain[0]
    hu, affine = volume.hu, volume.ijk_to_ras
    if kind == "constant":
        hu = np.zeros((40, 60, 60), np.float32)
    elif kind == "coarse":
        hu, affine = hu[:, ::8, ::8], affine @ np.diag([8, 8, 1, 1.0])
    else:
        hu = hu[40:43]
    with pytest.raises(InputError) as caught:
        segment_spine(CTVolume(hu, affine))
    assert caught.value.remedy


def test_no_numbers_count_as_air(plain):
    volume, _, model, _ = plain
    hu = volume.hu.copy()
    hu[:, :4] = np.nan
    again = segment_spine(volume.with_hu(hu), first_level="T11")
    assert phantom.dice(again.labels, model.labels, VERSE_IDS["L1"]) > 0.98


def test_command_line(plain, tmp_path):

    from spinemar.cli.main import main
    from spinemar.io import read_labels, write_volume
    from spinemar.spine.serial import spine_from_json

    write_volume(tmp_path / "ct.nii.gz", plain[0])
    out, frames = tmp_path / "labels.nii.gz", tmp_path / "frames.json"
    arguments = ["segment", str(tmp_path / "ct.nii.gz"), "-o", str(out), "--first-level", "T11"]
    arguments += ["--frames", str(frames), "--surfaces", str(tmp_path / "surfaces")]
    arguments += ["--sheet", str(tmp_path / "sheet.png"), "--json"]
    assert main(arguments) == 0
    labels = read_labels(out)
    assert phantom.dice(labels, plain[2].labels, VERSE_IDS["L1"]) > 0.99
    model = spine_from_json(frames.read_text(), labels)
    assert model.levels == phantom.LEVELS
    assert len(list((tmp_path / "surfaces").glob("*.stl"))) == len(phantom.LEVELS)
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert main(arguments) == 2  # files exist
    assert main(["segment", str(tmp_path / "nothing.nii"), "-o", str(tmp_path / "x.nii.gz")]) == 2
    assert json.loads(frames.read_text())["version"] == 1
