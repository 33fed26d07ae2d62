"""Input lists and the patients made of them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from spinemar.dataset.manifest import read_inputs
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.patients import clean_range, load_patient, prepare_patient
from spinemar.dataset.storage.layout import InputFact
from spinemar.dataset.storage.split import assign_patients
from spinemar.errors import InputError
from spinemar.io import write_labels, write_volume
from spinemar.volume import CTVolume, LabelVolume


def test_json_and_csv_lists_say_the_same(ct_folder, inputs):
    lines = ["ct,patient,landmarks"]
    lines += [f"{e.ct.name},{e.patient},{e.landmarks.name}" for e in inputs]
    (ct_folder / "cts.csv").write_text("\n".join(lines) + "\n")
    assert read_inputs([ct_folder / "cts.csv"]) == inputs
    assert [entry.split for entry in inputs] == ["training", "validation", "training"]
    assert {entry.source for entry in inputs} == {"a phantom"}


def test_bare_cts_find_their_landmarks_by_name(ct_folder, tmp_path):
    shutil.copy(ct_folder / "bert.marks.json", tmp_path / "bert.json")
    (entry,) = read_inputs([ct_folder / "bert.nii.gz"], tmp_path)
    assert entry.landmarks == tmp_path / "bert.json"
    assert (entry.patient, entry.split) == ("bert", "validation")


def test_chosen_splits_are_kept_alone(ct_folder):
    chosen = read_inputs([ct_folder / "cts.json"], only=["validation"])
    assert [entry.name for entry in chosen] == ["bert"]
    with pytest.raises(InputError):
        read_inputs([ct_folder / "cts.json"], only=["test"])


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([{"ct": "missing.nii.gz"}], "missing.nii.gz"),
        ([{"patient": "x"}], "names no CT"),
        ([{"ct": "anna.nii.gz", "splt": "test"}], "splt"),
        ([{"ct": "anna.nii.gz", "split": "train"}], "train"),
        ([{"ct": "anna.nii.gz", "clean_low_mm": 9, "clean_high_mm": 3}], "clean range"),
        ([{"ct": "anna.nii.gz"}, {"ct": "anna.nii.gz"}], "Two CTs"),
        (
            [
                {"ct": "anna.nii.gz", "patient": "p", "split": "training"},
                {"ct": "bert.nii.gz", "patient": "p", "split": "test"},
            ],
            "two splits",
        ),
        ([], "empty"),
    ],
)
def test_bad_lists_are_refused_in_one_sentence(ct_folder, rows, word):
    path = ct_folder / "bad.json"
    path.write_text(json.dumps({"schema": "spinemar-cts/1", "cts": rows}))
    with pytest.raises(InputError, match=word):
        read_inputs([path])


@pytest.mark.parametrize(("wrong", "right"), [("ctss", "cts"), ("shema", "schema")])
def test_an_unknown_entry_of_a_list_is_named_beside_the_nearest(ct_folder, wrong, right):
    rows = [{"ct": "anna.nii.gz"}]
    path = ct_folder / "bad.json"
    path.write_text(json.dumps({"schema": "spinemar-cts/1", "cts": rows, wrong: []}))
    with pytest.raises(InputError, match=f"'{wrong}'.*Did you mean '{right}'"):
        read_inputs([path])
    path.write_text(json.dumps({"schema": "spinemar-cts/1", "cts": [rows[0] | {"lables": "x"}]}))
    with pytest.raises(InputError, match="Did you mean 'labels'"):
        read_inputs([path])


def test_files_that_are_no_lists_are_refused(tmp_path):
    for text in ("[]", "{}", "not json", '{"schema": "other", "cts": []}'):
        (tmp_path / "list.json").write_text(text)
        with pytest.raises(InputError):
            read_inputs([tmp_path / "list.json"])
    with pytest.raises(InputError, match="does not exist"):
        read_inputs([tmp_path / "nothing.nii.gz"])


def test_the_patients_own_metal_is_left_out():
    hu = np.full((60, 32, 32), 20.0, np.float32)
    hu[10:13, 4, 5] = 3000.0
    affine = np.diag([-2.0, -2.0, 1.5, 1.0])
    low, high = clean_range(CTVolume(hu, affine), None)
    assert low == pytest.approx(12 * 1.5 + 4)
    assert high == pytest.approx(59 * 1.5)
    assert clean_range(CTVolume(hu, affine), (30.0, 50.0)) == (30.0, 50.0)
    hu[:, 4, 5] = 3000.0
    with pytest.raises(InputError, match="own"):
        clean_range(CTVolume(hu, affine), None)


def test_labels_serve_in_place_of_landmarks(ct_folder, inputs, patients, tmp_path):
    """Boxes and arches of the phantom, labelled: pedicles where the landmarks say."""
    from spinemar.dataset.manifest import CtEntry
    from spinemar.spine.labels.levels import VERSE_IDS

    patient = patients[0]
    ras = patient.geometry.to_ras(
        np.argwhere(np.ones(patient.hu.shape, bool))[:, ::-1].astype(float)
    ).reshape(*patient.hu.shape, 3)
    labels = np.zeros(patient.hu.shape, np.int16)
    for level, centre in {site.level: site.body_centre for site in patient.sites}.items():
        at = ras - centre
        body = ((at[..., 0] / 22) ** 2 + (at[..., 1] / 16) ** 2 < 1) & (np.abs(at[..., 2]) < 13)
        arch = (np.abs(at[..., 0]) < 22) & (np.abs(at[..., 1] + 30) < 14)
        arch &= (np.abs(at[..., 2]) < 7) & ((at[..., 0]) ** 2 + (at[..., 1] + 28) ** 2 > 81)
        labels[body | arch] = VERSE_IDS[level]
    write_labels(tmp_path / "labels.nii.gz", LabelVolume(labels, patient.geometry.ijk_to_ras))
    entry = CtEntry(inputs[0].ct, "p1", labels=tmp_path / "labels.nii.gz")
    found = load_patient(prepare_patient(entry, tmp_path)).sites
    assert len(found) >= 4
    marked = {(s.level, s.side): s for s in patient.sites}
    for site in found:
        other = marked[site.level, site.side]
        assert abs(site.isthmus[0] - other.isthmus[0]) < 8.0
        assert site.axis @ other.axis > 0.9


def test_a_prepared_patient_is_not_prepared_again(inputs, tmp_path):
    path = prepare_patient(inputs[0], tmp_path)
    before = (path / "hu.npy").stat().st_mtime_ns
    assert prepare_patient(inputs[0], tmp_path) == path
    assert (path / "hu.npy").stat().st_mtime_ns == before


def test_what_is_no_ct_is_refused(tmp_path):
    from spinemar.dataset.manifest import CtEntry

    write_volume(
        tmp_path / "air.nii.gz",
        CTVolume(np.full((4, 16, 16), -1000.0, np.float32), np.diag([2.0, 2.0, 2.0, 1.0])),
    )
    with pytest.raises(InputError):
        prepare_patient(CtEntry(tmp_path / "air.nii.gz", "air"), tmp_path)


def fact(name: str, patient: str, split: str | None = None) -> InputFact:
    return InputFact(name, patient, split, "", "")


def test_splits_go_by_person():
    cts = [fact(f"ct{n}", f"p{n // 2}") for n in range(40)] + [fact("x", "p99", "test")]
    patients = assign_patients(cts, (0.6, 0.2, 0.2), seed=1)
    assert len(patients) == 21
    assert patients["p99"] == "test"
    drawn = [split for name, split in patients.items() if name != "p99"]
    assert [drawn.count(n) for n in ("training", "validation", "test")] == [12, 4, 4]
    assert assign_patients(cts, (0.6, 0.2, 0.2), seed=1) == patients
    assert assign_patients(cts[::-1], (0.6, 0.2, 0.2), seed=1) == patients
    assert assign_patients(cts, (0.6, 0.2, 0.2), seed=2) != patients
    for wrong in ((0.5, 0.5), (0.9, 0.2, 0.2), (1.2, -0.1, -0.1)):
        with pytest.raises(InputError):
            assign_patients(cts, wrong)


def test_settings_are_checked_and_round_trip():
    settings = PairSettings(matrix=256, zoom=(0.9, 1.1))
    assert PairSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    for wrong in (
        {"matrx": 3}, {"matrix": 3}, {"matrix": True}, {"zoom": (1.1, 0.9)}, {"raw_share": 2},
        {"photons": 5}, {"slice_mm": (0.1,)}, {"warp_mm": float("nan")}, {"matrix": "512"},
    ):  # fmt: skip
        with pytest.raises(InputError):
            PairSettings.from_json(wrong)
