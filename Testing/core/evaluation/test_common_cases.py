"""The benchmark for everybody: a perfect result scores nothing, the scan its own error."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from spinemar.dataset.judge import mark_as_judge
from spinemar.errors import InputError
from spinemar.io import read_volume, write_volume
from spinemar.volume import CTVolume
from Testing.benchmarks.common_cases.cases import (
    filled_bodies,
    linear_guess,
    read_common_cases,
    write_case,
)
from Testing.benchmarks.common_cases.page import table
from Testing.benchmarks.common_cases.score import INPUT, score_folder

SIDE = 96
AFFINE = np.diag([-2.0, -2.0, 2.0, 1.0])
ERRORS_HU = {"one": 30.0, "two": 60.0, "three": 90.0}


def pictures(error_hu):
    """A trunk with a rod, and a scan that is wrong by the same amount everywhere in it."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    truth = np.where(np.hypot(x, y) < 40, 40.0, -1000.0).astype(np.float32)
    metal = (np.hypot(x - 5, y) < 3).astype(np.float32)
    scan = truth + np.float32(error_hu) * (truth > -500)
    scan[metal > 0.5] = 3071.0
    return (np.repeat(one[None], 3, axis=0) for one in (scan, truth, metal))


@pytest.fixture
def cases(tmp_path):
    folder = tmp_path / "cases"
    folder.mkdir()
    mark_as_judge(folder)
    for name, error_hu in ERRORS_HU.items():
        scan, truth, metal = pictures(error_hu)
        facts = {"scanner": "own", "patient": "P" if name != "three" else "Q", "set": "validation",
                 "metals": ["316L"]}  # fmt: skip
        volumes = [CTVolume(hu, AFFINE) for hu in (scan, scan, truth)]
        write_case(folder / name, volumes, CTVolume(metal, AFFINE), filled_bodies(truth), facts)
    return folder


@pytest.fixture
def perfect(cases, tmp_path):
    folder = tmp_path / "perfect"
    folder.mkdir()
    for name in ERRORS_HU:
        shutil.copy(cases / name / "truth.nii.gz", folder / f"{name}.nii.gz")
    return folder


def test_scores_are_the_errors_that_were_put_in(cases, perfect, tmp_path):
    rows = score_folder(cases, tmp_path / "rows.json", [INPUT], {"theirs": perfect}, lambda _: None)
    found = {(row["case"], row["method"]): row for row in rows}
    assert len(found) == 6
    for name, error_hu in ERRORS_HU.items():
        for figure in ("rmse_hu", "rmse_near_hu", "rmse_faint_out_hu"):
            assert found[name, INPUT][figure] == pytest.approx(error_hu, abs=0.01)
            assert found[name, "theirs"][figure] == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == rows


def test_what_is_scored_is_not_scored_again(cases, perfect, tmp_path):
    said = []
    score_folder(cases, tmp_path / "rows.json", [INPUT], {}, said.append)
    score_folder(cases, tmp_path / "rows.json", [INPUT], {"theirs": perfect}, said.append)
    assert [line.split()[1] for line in said] == [INPUT] * 3 + ["theirs"] * 3


def test_a_method_is_scored_on_all_cases_or_on_none(cases, perfect, tmp_path):
    (perfect / "two.nii.gz").unlink()
    with pytest.raises(InputError, match=r"two\.nii\.gz"):
        score_folder(cases, tmp_path / "rows.json", [], {"theirs": perfect}, lambda _: None)
    rows = json.loads((tmp_path / "rows.json").read_text())
    scans = score_folder(cases, tmp_path / "more.json", [INPUT], {}, lambda _: None)
    with pytest.raises(InputError, match="not scored on all"):
        table([*scans, *rows])


def test_results_on_another_grid_are_refused(cases, perfect, tmp_path):
    hu = read_volume(perfect / "one.nii.gz").hu[:, ::2, ::2]
    write_volume(perfect / "one.nii.gz", CTVolume(hu.copy(), AFFINE))
    with pytest.raises(InputError):
        score_folder(cases, tmp_path / "rows.json", [], {"theirs": perfect}, lambda _: None)


def test_intervals_are_of_one_patient_each(cases, perfect, tmp_path):
    rows = score_folder(cases, tmp_path / "rows.json", [INPUT], {"theirs": perfect}, lambda _: None)
    head, _, scan, theirs = table(rows).splitlines()
    assert "own, P (validation), 2 cases" in head
    assert "own, Q (validation), 1 cases" in head
    assert "45 (30 to 60) / 45 (30 to 60)" in scan
    assert "90 (90 to 90)" in scan  # one case has no spread
    assert theirs.count("0 (0 to 0)") == 4


def test_the_committed_table_is_that_of_the_committed_rows():
    from Testing.benchmarks.common_cases.page import PAGE, RESULTS

    if not RESULTS.exists():
        pytest.fail("Docs/results/common-cases.json is missing")
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert table(rows) in PAGE.read_text(encoding="utf-8")
    assert {row["set"] for row in rows} <= {"validation", "test"}


def test_a_folder_without_cases_says_how_to_make_them(tmp_path):
    with pytest.raises(InputError, match="common_cases make"):
        next(read_common_cases(tmp_path))


def test_the_first_guess_fills_the_metal_and_leaves_the_rest():
    """Linear interpolation: no metal is put back, and far from it little changes."""
    scan, truth, metal = pictures(0.0)
    guess = linear_guess(CTVolume(scan, AFFINE))
    inside = metal[1] > 0.5
    assert guess[1][inside].max() < 800
    away = ~inside & (truth[1] > -500)
    assert np.median(np.abs(guess - truth)[1][away]) < 60
