"""`spinemar find-implants-batch`: one table of a cohort, that goes on where it stopped."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import CancelledError
from spinemar.io import read_volume, write_volume
from spinemar.jobs.batches.implants import find_implants_batch
from spinemar.mar.settings import CorrectionSettings
from spinemar.planning.plans.plan_json import read_plan
from spinemar.postop.study import StudySettings
from spinemar.progress import CancelToken
from spinemar.volume import CTVolume
from Testing.core.postop import patient
from Testing.core.postop.scan_files import write_operated

LI = StudySettings(CorrectionSettings(method="li"))
IDS = {screw.id for screw in patient.operated().screws}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operated")
    write_operated(folder)
    return folder


@pytest.fixture
def cohort(operated: Path, tmp_path: Path) -> Path:
    """`cts` with a CT of screws, one without metal and one that is none; `labels` of both."""
    for name in ("cts", "labels"):
        (tmp_path / name).mkdir()
    shutil.copy(operated / "scan.nrrd", tmp_path / "cts" / "anna.nrrd")
    clean = read_volume(operated / "corrected.nrrd")
    hu = np.minimum(clean.hu, 400.0)
    write_volume(tmp_path / "cts" / "bert.nii.gz", CTVolume(hu, clean.ijk_to_ras))
    (tmp_path / "cts" / "carl.nrrd").write_text("NRRD0004\nthis is none")
    for name in ("anna", "bert"):
        shutil.copy(operated / "labels.nrrd", tmp_path / "labels" / f"{name}.nrrd")
    return tmp_path


def _arguments(cohort: Path) -> list[object]:
    return ["find-implants-batch", cohort / "cts", "-o", cohort / "out", "--labels",
            cohort / "labels", "--naming", "verse", "--method", "li"]  # fmt: skip


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_cohort_is_one_table_and_a_plan_each(spinemar, cohort: Path) -> None:
    run = spinemar(*_arguments(cohort), "--json")
    assert run.code == 1  # one of them is no CT
    assert "1 of 3 CTs" in run.err
    out = cohort / "out"
    summary = {Path(row["source"]).name: row for row in _table(out / "summary.csv")}
    assert [summary[name]["status"] for name in ("anna.nrrd", "bert.nii.gz", "carl.nrrd")] == [
        "done", "no metal", "failed"]  # fmt: skip
    assert (summary["anna.nrrd"]["screws"], summary["anna.nrrd"]["rods"]) == ("6", "2")
    assert summary["anna.nrrd"]["levels"] == "T12 L1 L2"
    assert summary["anna.nrrd"]["bone"] == "labels"
    plan = read_plan(out / "anna_implants.json")
    assert {screw.id for screw in plan.screws} == IDS
    assert read_plan(out / "bert_implants.json").screws == ()
    assert not (out / "carl_implants.json").exists()
    screws = _table(out / "implants.csv")
    assert {row["source"] for row in screws} == {str(cohort / "cts" / "anna.nrrd")}
    by_id = {screw.id: screw for screw in plan.screws}
    for row in screws:
        there = by_id[row["id"]]
        assert float(row["entry_r"]) == pytest.approx(there.entry[0], abs=0.006)
        assert float(row["diameter_mm"]) == there.diameter_mm
        assert there.grade is not None
        assert row["grade"] == there.grade.letter
    assert [row["status"] for row in run.json["rows"]] == ["done", "no metal", "failed"]


def test_what_is_done_is_kept_and_what_changed_is_done_again(spinemar, cohort: Path) -> None:
    (cohort / "cts" / "carl.nrrd").unlink()
    assert spinemar(*_arguments(cohort)).code == 0
    before = (cohort / "out" / "implants.csv").read_bytes()
    again = spinemar(*_arguments(cohort), "--json")
    assert [row["status"] for row in again.json["rows"]] == ["skipped", "skipped"]
    assert again.json["rows"][0]["screws"] == 6
    assert (cohort / "out" / "implants.csv").read_bytes() == before
    other = spinemar(*_arguments(cohort), "--material", "CoCrMo", "--json")
    assert [row["status"] for row in other.json["rows"]] == ["done", "no metal"]
    assert read_plan(cohort / "out" / "anna_implants.json").screws[0].material == "CoCrMo"
    (cohort / "out" / "anna_implants.json").write_text("{}")
    mended = spinemar(*_arguments(cohort), "--material", "CoCrMo", "--json")
    assert [row["status"] for row in mended.json["rows"]] == ["done", "skipped"]


def test_it_goes_on_where_it_was_cancelled(cohort: Path) -> None:
    (cohort / "cts" / "carl.nrrd").unlink()
    token = CancelToken()

    def stop_after_one(progress) -> None:
        if progress.stage == "Volumes" and progress.done:
            token.cancel()

    def run(**others):
        return find_implants_batch([cohort / "cts"], cohort / "out", LI, naming="verse",
                                   labels=cohort / "labels", **others)  # fmt: skip

    with pytest.raises(CancelledError):
        run(progress=stop_after_one, cancel=token)
    assert len(_table(cohort / "out" / "implants.csv")) == 6
    assert not (cohort / "out" / "bert_implants.json").exists()
    assert [row.status for row in run()] == ["skipped", "no metal"]


@pytest.mark.parametrize("gone", ["", "out/anna_implants.json"])
def test_a_cancelled_rerun_keeps_what_still_holds(cohort: Path, gone: str) -> None:
    (cohort / "cts" / "carl.nrrd").unlink()
    run = {"naming": "verse", "labels": cohort / "labels"}
    find_implants_batch([cohort / "cts"], cohort / "out", LI, **run)
    if gone:  # to be made again: what comes after it is not reached
        (cohort / gone).unlink()
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        find_implants_batch([cohort / "cts"], cohort / "out", LI, cancel=token, **run)
    kept = ["bert.nii.gz"] if gone else ["anna.nrrd", "bert.nii.gz"]
    assert [Path(row["source"]).name for row in _table(cohort / "out" / "summary.csv")] == kept
    assert len(_table(cohort / "out" / "implants.csv")) == (0 if gone else 6)


def test_both_tables_say_nothing_where_it_was_cancelled_before_the_first(cohort: Path) -> None:
    run = {"naming": "verse", "labels": cohort / "labels"}
    (cohort / "cts" / "carl.nrrd").unlink()
    find_implants_batch([cohort / "cts"], cohort / "out", LI, **run)
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        find_implants_batch(
            [cohort / "cts"], cohort / "out", replace(LI, material="CoCrMo"), cancel=token, **run
        )
    assert _table(cohort / "out" / "summary.csv") == []
    assert _table(cohort / "out" / "implants.csv") == []


@pytest.mark.parametrize("twice", ["cts/other/anna.nii.gz", "labels/anna.seg.nrrd"])
def test_labels_of_a_name_that_several_have_are_refused(spinemar, cohort: Path, twice) -> None:
    (cohort / twice).parent.mkdir(exist_ok=True)
    shutil.copy(cohort / "cts" / "bert.nii.gz", cohort / twice)
    run = spinemar(*_arguments(cohort))
    assert run.code == 2
    assert "are called anna" in " ".join(run.err.split())
    assert not list(cohort.glob("out/*"))


def test_labels_among_the_cts_are_no_cts(spinemar, cohort: Path) -> None:
    study = cohort / "cts"
    for name in ("bert.nii.gz", "carl.nrrd"):
        (study / name).unlink()
    (study / "labels").mkdir()
    shutil.copy(cohort / "labels" / "anna.nrrd", study / "labels" / "anna.nrrd")
    run = spinemar("find-implants-batch", study, "-o", study / "out", "--labels", study / "labels",
                   "--naming", "verse", "--method", "li", "--json")  # fmt: skip
    assert [(Path(row["source"]).name, row["bone"]) for row in run.json["rows"]] == [
        ("anna.nrrd", "labels")
    ]


@pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
def test_ctrl_c_leaves_a_summary_and_nothing_half(cohort: Path) -> None:
    command = [sys.executable, "-m", "spinemar.cli.main", *map(str, _arguments(cohort)), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        out = cohort / "out"
        summary, facts = out / "summary.csv", out / "anna_implants_facts.json"
        while run.poll() is None and not (out / ".summary.csv.lock").exists():
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        said = json.loads(run.communicate(timeout=60)[0] or b"{}")
    if run.returncode == 3:  # it may have come after the last line of ours
        assert said["error"] == "CancelledError"
        # A library that computes for seconds on a busy machine is ended without a last word.
        assert summary.exists() or "did not stop by itself" in said["problem"]
    assert (cohort / "out" / "anna_implants.json").exists() == facts.exists()
    assert not list((cohort / "out").glob(".*part"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--labels", "{}/cts/none"], "There is no folder"),
        (["--labels", "{}/cts"], "no labels with the name of a CT"),
        (["--screw-model", "none"], "no screw 'none'"),
        (["--material", "wood"], "not made of wood"),
        (["--earlier-cts", "{}/none"], "does not exist"),
        (["--earlier-cts", "{}/cts"], "No earlier CT says whose it is"),
    ],
)
def test_bad_input_is_refused_before_the_work(spinemar, cohort: Path, change, words) -> None:
    run = spinemar(*_arguments(cohort), *(text.format(cohort) for text in change))
    assert run.code == 2
    assert words in " ".join(run.err.split())
    assert not list(cohort.glob("out/*"))


@pytest.mark.parametrize(
    "name", ["summary.csv", "implants.csv", "anna_implants.json", "anna_implants_facts.json"]
)
def test_only_what_is_its_own_is_replaced(spinemar, cohort: Path, name: str) -> None:
    (cohort / "out").mkdir()
    (cohort / "out" / name).write_text("precious")
    run = spinemar(*_arguments(cohort), "--json")
    assert run.code in (1, 2)
    assert "exists already" in run.out + run.err
    assert (cohort / "out" / name).read_text() == "precious"
