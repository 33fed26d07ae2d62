"""`spinemar plan`, `grade` and `voxelize` on a simple labelled spine."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from spinemar.io import read_labels, write_labels, write_volume
from spinemar.planning.plans.plan_json import read_plan
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume

SPACING = (1.0, 1.0, 1.5)
LEVELS = ("T12", "L1", "L2")


def _spine() -> tuple[np.ndarray, np.ndarray]:
    """Labels of three vertebrae of boxes, and their matrix: enough for frames to be fitted."""
    shape = (100, 120, 100)
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = (-50.0, -80.0, -75.0)
    k, j, i = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    x, y, z = i - 50.0, j - 80.0, k * 1.5 - 75.0
    labels = np.zeros(shape, dtype=np.int16)
    for n, level in enumerate(LEVELS):
        up = z - 35.0 + 35.0 * n
        body = ((x / 20) ** 2 + ((y - 3) / 15) ** 2 < 1) & (np.abs(up) < 13)
        pedicle = (np.abs(np.abs(x) - 12) < 4.5) & (y > -32) & (y < -5) & (up > -2) & (up < 12)
        arch = (np.abs(x) < 17) & (y > -38) & (y < -30) & (up > -10) & (up < 12)
        spinous = (np.abs(x) < 3) & (y > -62) & (y < -35) & (up > -14) & (up < 2)
        labels[body | pedicle | arch | spinous] = VERSE_IDS[level]
    return labels, matrix


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    labels, matrix = _spine()
    rng = np.random.default_rng(0)
    hu = np.where(labels > 0, 300.0, 40.0) + rng.normal(0, 20, labels.shape)
    hu[:, :8], hu[:, 8:14] = -1000.0, -100.0
    write_volume(folder / "ct.nrrd", CTVolume(np.rint(hu).astype(np.float32), matrix))
    write_labels(folder / "labels.nrrd", LabelVolume(labels, matrix))
    return folder


@pytest.fixture(scope="module")
def planned(patient):
    from spinemar.cli.main import main

    path = patient / "plan.json"
    code = main(["plan", str(patient / "ct.nrrd"), "--labels", str(patient / "labels.nrrd"),
                 "--levels", "T12-L2", "--crosslink", "-o", str(path), "--json"])  # fmt: skip
    assert code == 0
    return path


def test_plan_writes_a_graded_plan(patient, planned):
    plan = read_plan(planned)
    assert plan.levels == LEVELS
    assert len(plan.screws) == 6
    assert {s.grade.letter for s in plan.screws} <= {"A", "B"}
    assert all((s.entry[0] < 0) == (s.side == "left") for s in plan.screws)
    assert len(plan.rods) == 2
    assert len(plan.crosslinks) == 1


def test_plan_prints_what_it_did(spinemar, patient, planned):
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "labels.nrrd", "--levels",
                   "L1", "--no-rods", "-o", patient / "one.json", "--overwrite")  # fmt: skip
    assert run.code == 0
    assert "L1-left" in run.out
    assert "one.json" in run.out


@pytest.mark.slow  # renders in software
def test_report_and_stl(spinemar, patient):
    pytest.importorskip("vtkmodules")
    pytest.importorskip("PIL")
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "labels.nrrd", "--levels",
                   "T12-L1", "-o", patient / "p.json", "--overwrite", "--report",
                   patient / "report", "--stl", patient / "stl", "--json")  # fmt: skip
    assert run.code == 0
    assert run.json["status"] == "done"
    page = (patient / "report" / "plan.html").read_text(encoding="utf-8")
    assert "http" not in page.split("<style>")[0]
    for word in ("T12-left", "From behind", "axial, along the screw", "Bend, degrees", "Grade"):
        assert word in page
    assert page.count("data:image/png") == 2 + 3 * 4
    assert page.count('<section class="page screw"') == 4  # a page each, when printed
    assert "break-after: page" in page
    assert page.count("<polyline") == 4
    assert (patient / "report" / "screws.csv").read_text().count("\n") == 5
    assert len(list((patient / "stl").glob("*.stl"))) == 6


def test_grade_finds_a_moved_screw(spinemar, patient, planned):
    raw = json.loads(planned.read_text())
    moved = raw["screws"][2]
    for point in ("entry", "tip"):
        moved[point][0] += 5.0 if moved["side"] == "left" else -5.0
    (patient / "moved.json").write_text(json.dumps(raw))
    run = spinemar("grade", patient / "moved.json", patient / "ct.nrrd", "--labels",
                   patient / "labels.nrrd", "-o", patient / "graded.json", "--overwrite",
                   "--json")  # fmt: skip
    assert run.code == 0
    found = {s["id"]: s for s in run.json["screws"]}
    assert found[moved["id"]]["direction"] == "medial"
    assert found[moved["id"]]["grade"] in "CD"
    assert found[moved["id"]]["hu"]["mean"] > 100
    assert read_plan(patient / "graded.json").screw(moved["id"]).grade.letter in "CD"


def test_a_screw_elsewhere_is_not_graded(spinemar, patient, planned):
    raw = json.loads(planned.read_text())
    raw["screws"][0]["level"] = "C4"
    (patient / "elsewhere.json").write_text(json.dumps(raw))
    run = spinemar("grade", patient / "elsewhere.json", patient / "ct.nrrd", "--labels",
                   patient / "labels.nrrd")  # fmt: skip
    assert run.code == 0
    assert "not graded" in run.out


def test_voxelize_into_a_folder_and_into_a_mask(spinemar, patient, planned):
    run = spinemar("voxelize", planned, patient / "ct.nrrd", "-o", patient / "shares",
                   "--overwrite", "--json")  # fmt: skip
    assert run.code == 0
    share = sitk.GetArrayFromImage(sitk.ReadImage(str(patient / "shares" / "Ti-6Al-4V.nrrd")))
    assert share.min() >= 0.0
    assert share.max() == pytest.approx(1.0)
    volume = float(share.sum()) * 1.5
    assert run.json["volume_mm3"]["Ti-6Al-4V"] == pytest.approx(volume, rel=1e-4)
    assert spinemar("voxelize", planned, patient / "ct.nrrd", "-o", patient / "mask.nii.gz",
                    "--overwrite").code == 0  # fmt: skip
    mask = read_labels(patient / "mask.nii.gz").labels
    assert mask.sum() * 1.5 == pytest.approx(volume, rel=0.1)


def test_locked_screws_are_kept(spinemar, patient, planned):
    raw = json.loads(planned.read_text())
    raw["screws"][0]["locked"] = True
    for point in ("entry", "tip"):
        raw["screws"][0][point][2] += 2.0
    (patient / "locked.json").write_text(json.dumps(raw))
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "labels.nrrd", "--levels",
                   "T12-L2", "--keep", patient / "locked.json", "-o", patient / "told.json",
                   "--overwrite")  # fmt: skip
    assert run.code == 0
    kept = read_plan(patient / "told.json").screw(raw["screws"][0]["id"])
    assert list(kept.entry) == raw["screws"][0]["entry"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--levels", "T12-L2", "--material", "PEEK"], "material"),
        (["--levels", "T12-L2", "--screw-model", "none"], "no screw"),
        (["--levels", "T12-L2", "--rod-diameter", "50"], "not made with 50 mm"),
        (["--levels", "C3"], "C3"),
        (["--levels", "banana"], "banana"),
        (["--levels", "L1", "--cage", "L1=none"], "no cage"),
        (["--levels", "T12-L2", "--keep", "missing.json"], "cannot be read"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(spinemar, patient, tmp_path, arguments, words):
    out = tmp_path / "plan.json"
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "labels.nrrd", "-o", out,
                   *arguments)  # fmt: skip
    assert run.code == 2
    assert words in run.err
    assert not out.exists()


def test_an_existing_plan_is_not_replaced(spinemar, patient, planned):
    before = planned.read_text()
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "labels.nrrd", "--levels",
                   "L1", "-o", planned)  # fmt: skip
    assert run.code == 2
    assert "exists already" in run.err
    assert planned.read_text() == before


def test_a_broken_plan_is_refused(spinemar, patient, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "spinemar-plan", "version": 99}')
    for command in ("grade", "voxelize"):
        extra = ["-o", tmp_path / "out"] if command == "voxelize" else []
        run = spinemar(command, bad, patient / "ct.nrrd", *extra)
        assert run.code == 2
        assert "version" in run.err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def frames(patient):
    """Frames of the true labels, as `segment` writes them."""
    from spinemar.cli.main import main

    path = patient / "frames.json"
    code = main(["segment", str(patient / "ct.nrrd"), "--labels", str(patient / "labels.nrrd"),
                 "--naming", "verse", "-o", str(patient / "verse.nrrd"), "--frames", str(path),
                 "--json"])  # fmt: skip
    assert code == 0
    return path


def test_labels_are_compared_with_the_ct_and_it_is_told(spinemar, patient, planned):
    run = spinemar("grade", planned, patient / "ct.nrrd", "--labels", patient / "labels.nrrd",
                   "--json")  # fmt: skip
    for told in run.json["labels"]:
        assert told["agreement"]["doubts"] == []
        assert told["agreement"]["border_share"] > 0.9
        assert abs(told["agreement"]["growth_mm"]) <= 0.5
    assert run.json["summary"].startswith("6 screws (")
    names = {"lordosis", "kyphosis", "cobb", "sacral_slope_deg", "discs"}
    names |= {"pelvic_tilt_deg", "pelvic_incidence_deg"}
    assert run.json["femoral_heads"] == []
    assert set(run.json["alignment"]) == names


def test_shifted_labels_give_no_grade_but_words(spinemar, patient, planned):
    right = read_labels(patient / "labels.nrrd")
    matrix = right.ijk_to_ras.copy()
    matrix[0, 3] += 3.0
    write_labels(patient / "shifted.nrrd", LabelVolume(right.labels, matrix))
    run = spinemar("grade", planned, patient / "ct.nrrd", "--labels", patient / "shifted.nrrd",
                   "--naming", "verse", "--json")  # fmt: skip
    assert run.code == 0
    assert [screw["grade"] for screw in run.json["screws"]] == [None] * 6
    assert all("3 mm off the bone" in screw["not_graded"] for screw in run.json["screws"])
    assert any("T12-left, T12-right: not graded" in text for text in run.json["warnings"])
    told = spinemar("grade", planned, patient / "ct.nrrd", "--labels", patient / "shifted.nrrd",
                    "--naming", "verse")  # fmt: skip
    assert "6 not graded" in told.out
    assert "mostly to the right" in told.out.replace("\n", " ")


def test_frames_that_segment_wrote_are_taken_as_they_are(spinemar, patient, planned, frames):
    run = spinemar("grade", planned, patient / "ct.nrrd", "--labels", patient / "verse.nrrd",
                   "--frames", frames, "--json")  # fmt: skip
    assert run.code == 0
    assert {screw["grade"] for screw in run.json["screws"]} <= {"A", "B"}
    raw = json.loads(frames.read_text())
    raw["vertebrae"][1]["cut_off"] = True
    (patient / "cut.json").write_text(json.dumps(raw))
    run = spinemar("grade", planned, patient / "ct.nrrd", "--labels", patient / "verse.nrrd",
                   "--frames", patient / "cut.json", "--json")  # fmt: skip
    assert [s["id"] for s in run.json["screws"] if s["grade"] is None] == ["L1-left", "L1-right"]


def test_the_first_level_settles_the_names(spinemar, patient, frames):
    out = patient / "renamed.json"
    run = spinemar("plan", patient / "ct.nrrd", "--labels", patient / "verse.nrrd", "--frames",
                   frames, "--first-level", "L1", "--levels", "L1", "--no-rods", "-o", out,
                   "--json")  # fmt: skip
    assert run.code == 0
    assert [screw["id"] for screw in run.json["screws"]] == ["L1-left", "L1-right"]
    # What was called T12, the uppermost one.
    assert read_plan(out).screw("L1-left").entry[2] > 25.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frames", "frames.json"], "need the labels"),
        (["--labels", "labels.nrrd", "--frames", "ct.nrrd"], "frames"),
        (["--labels", "labels.nrrd", "--first-level", "banana"], "banana"),
    ],
)
def test_frames_and_first_levels_that_cannot_be_are_refused(
    spinemar, patient, frames, tmp_path, arguments, words
):
    given = [patient / a if a.endswith((".json", ".nrrd")) else a for a in arguments]
    run = spinemar("plan", patient / "ct.nrrd", "--levels", "L1", "-o", tmp_path / "p.json", *given)
    assert run.code == 2
    assert words in run.err
    assert not (tmp_path / "p.json").exists()


def test_levels_that_nothing_confirms_stand_beside_every_letter(
    spinemar, patient, frames, tmp_path
):
    """Three vertebrae without a rib: their names may be right, and nobody knows."""
    asked = ["plan", patient / "ct.nrrd", "--labels", patient / "verse.nrrd", "--levels", "L1"]
    out = tmp_path / "plan.json"
    run = spinemar(*asked, "--no-rods", "-o", out, "--report", tmp_path / "report", "--json")
    assert run.code == 0
    assert [screw["level_confirmed"] for screw in run.json["screws"]] == [False, False]
    assert "of unconfirmed level" in run.json["summary"]
    assert sum(run.json["grades"].values()) == 2
    assert all(name.endswith("of unconfirmed level") for name in run.json["grades"])
    assert not read_plan(out).screws[0].grade.level_confirmed
    page = (tmp_path / "report" / "plan.html").read_text()
    letters = [screw["grade"] for screw in run.json["screws"]]
    for letter in letters:
        assert f"{letter}, level?" in page
        assert f"{letter} (level not confirmed)" in page
    run = spinemar(*asked, "--no-rods", "-o", tmp_path / "told.json")
    assert run.code == 0
    told = run.out
    assert all(f"{letter}, level?" in told for letter in letters)
    assert "neither confirm nor refute" in told.replace("\n", " ")
    stated = spinemar(*asked, "--no-rods", "-o", tmp_path / "stated.json", "--first-level", "T12")
    assert stated.code == 0
    assert "level?" not in stated.out
    assert "not confirmed" not in stated.out


def test_cement_hooks_and_wires_are_placed_without_screws_too(spinemar, patient, frames, tmp_path):
    asked = ["plan", patient / "ct.nrrd", "--labels", patient / "verse.nrrd", "--frames", frames,
             "--levels", "T12-L1", "--no-screws"]  # fmt: skip
    out = tmp_path / "plan.json"
    run = spinemar(*asked, "--cement", "L1=2", "--hook", "T12-left-down", "--wire", "T12-right",
                   "--report", tmp_path / "report", "--stl", tmp_path / "stl", "-o", out,
                   "--json")  # fmt: skip
    assert run.code == 0, run.err
    plan = read_plan(out)
    assert plan.screws == ()
    assert [item.id for item in plan.items()] == ["cement-L1", "T12-hook-left-down",
                                                  "T12-wire-right"]  # fmt: skip
    assert run.json["cements"] == ["cement-L1"]
    assert any("cement-L1: not graded" in text for text in run.json["warnings"])
    assert len(list((tmp_path / "stl").glob("*.stl"))) == 3
    assert "lies in the spinal canal" in (tmp_path / "report" / "plan.html").read_text()
    grid = spinemar("voxelize", out, patient / "ct.nrrd", "-o", tmp_path / "fractions", "--json")
    assert grid.code == 0
    assert {path.name.split(".")[0] for path in (tmp_path / "fractions").iterdir()} >= {
        "PMMA-BaSO4", "316L"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--cement", "banana", "banana"),
        ("--cement", "L1=much", "LEVEL=ML"),
        ("--cement", "L1=90", "not usual"),
        ("--hook", "T12-left", "LEVEL-SIDE-WAY"),
        ("--hook", "T12-left-sideways", "LEVEL-SIDE-WAY"),
        ("--wire", "T12-middle", "LEVEL-SIDE"),
        ("--lateral-mass", "C5", "LEVEL-SIDE"),
        ("--lateral-mass", "C5-left=Somebody", "LEVEL-SIDE=WAY"),
    ],
)
def test_what_is_to_be_placed_is_read_before_the_ct(spinemar, tmp_path, option, text, words):
    run = spinemar("plan", tmp_path / "none.nrrd", "--levels", "L1", option, text, "-o",
                   tmp_path / "p.json")  # fmt: skip
    assert run.code == 2
    assert words in run.err
