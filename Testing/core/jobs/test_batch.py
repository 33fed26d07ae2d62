"""Batches: what they find, that they go on where they stopped, and that one failure is one row."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import CancelledError, InputError
from spinemar.io import read_volume, write_volume
from spinemar.jobs.batches.batch import correct_batch
from spinemar.jobs.batches.items import plan_batch
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress
from spinemar.volume import CTVolume
from Testing.core.io.dicom_companions import write_companion

LI = CorrectionSettings(method="li")
AFFINE = np.diag([-2.0, -2.0, 2.0, 1.0])


def body(metal: bool) -> CTVolume:
    y, x = np.mgrid[:96, :96] - 48.0
    hu = np.full((4, 96, 96), -1000.0, np.float32)
    hu[:, (x / 40) ** 2 + (y / 30) ** 2 < 1] = 40
    if metal:
        hu[1:3, np.hypot(x - 12, y) < 4] = 3071
    return CTVolume(hu + np.random.default_rng(1).normal(0, 5, hu.shape).round(), AFFINE)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "b").mkdir(parents=True)
    write_volume(folder / "a.nrrd", body(metal=True))
    write_volume(folder / "b" / "a.nii.gz", body(metal=False))
    (folder / "broken.nrrd").write_text("NRRD0004\nthis is none")
    return folder


def statuses(rows: object) -> dict[str, str]:
    return {Path(r.source).name: r.status for r in rows}  # type: ignore[attr-defined]


def test_one_failure_is_one_row(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = correct_batch([study], out, LI)
    assert statuses(rows) == {"a.nrrd": "done", "a.nii.gz": "no metal", "broken.nrrd": "failed"}
    assert {p.name for p in out.glob("*.nrrd")} == {"a_corrected.nrrd", "a_2_corrected.nrrd"}
    with (out / "summary.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["status"] for row in table] == [row.status for row in rows]
    # There is no streak in this drawn body, so its slices with metal are left alone.
    assert int(table[0]["slices_left_alone"]) == rows[0].slices_left_alone == 2
    facts = json.loads((out / "a_corrected.json").read_text())
    assert facts["provenance"]["method"] == "li"


def test_goes_on_where_it_stopped(study: Path, tmp_path: Path) -> None:
    out, token = tmp_path / "out", CancelToken()

    def stop_after_one(progress: Progress) -> None:
        if progress.done:
            token.cancel()

    with pytest.raises(CancelledError):
        correct_batch([study], out, LI, progress=stop_after_one, cancel=token)
    made = (out / "a_corrected.nrrd").stat().st_mtime_ns
    assert not (out / "a_2_corrected.nrrd").exists()
    rows = correct_batch([study], out, LI)
    assert statuses(rows)["a.nrrd"] == "skipped"
    assert rows[0].slices_left_alone == 2  # the summary is whole again
    assert (out / "a_corrected.nrrd").stat().st_mtime_ns == made


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cancelled_rerun_keeps_what_was_done_before(
    study: Path, tmp_path: Path, workers: int
) -> None:
    out, token = tmp_path / "out", CancelToken()
    correct_batch([study], out, LI)
    (out / "a_corrected.nrrd").unlink()  # to be made again; what comes after it is not reached

    with pytest.raises(CancelledError):
        correct_batch([study], out, LI, progress=lambda _: token.cancel(), cancel=token,
                      workers=workers)  # fmt: skip
    with (out / "summary.csv").open() as stream:
        table = [(Path(row["source"]).name, row["status"]) for row in csv.DictReader(stream)]
    assert table == [("a.nii.gz", "skipped")]
    assert statuses(correct_batch([study], out, LI))["a.nrrd"] == "done"


def test_changed_source_or_settings_are_done_again(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    correct_batch([study / "a.nrrd"], out, LI)
    assert correct_batch([study / "a.nrrd"], out, LI)[0].status == "skipped"
    assert (
        correct_batch([study / "a.nrrd"], out, CorrectionSettings(method="nmar"))[0].status
        == "done"
    )
    write_volume(study / "a.nrrd", body(metal=False))
    again = correct_batch([study / "a.nrrd"], out, CorrectionSettings(method="nmar"))[0]
    assert again.status == "no metal"


def test_results_inside_the_source_folder_are_not_corrected_again(study: Path) -> None:
    out = study / "corrected"
    correct_batch([study], out, LI)
    sources = [item.source.name for item in plan_batch([study], out)]
    assert sorted(sources) == ["a.nii.gz", "a.nrrd", "broken.nrrd"]


def test_nothing_found_and_missing_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        plan_batch([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(InputError, match="No volume"):
        plan_batch([tmp_path], tmp_path / "out")


def test_every_series_of_a_folder_is_one_volume(write_series, tmp_path: Path) -> None:
    """Flat folders, folders of one series, discs with a DICOMDIR; companions are no volumes."""
    for n in (4, 7):
        write_series("study/flat", series=f"1.{n}", SeriesNumber=n, prefix=f"s{n}-")
    write_series("study/DICOM/SE1", series="1.9", SeriesNumber=9)
    split = write_series("study/DICOM/SE2/part1", series="1.10", SeriesNumber=10)
    (split.parent / "part2").mkdir()
    for path in sorted(split.iterdir())[:2]:
        path.rename(split.parent / "part2" / path.name)
    for what in ("DICOMDIR", "presentation-state", "dose-sheet", "localizer", "mr"):
        write_companion(tmp_path / "study", what)
        write_companion(tmp_path / "study" / "flat", what)
    write_volume(tmp_path / "study" / "flat" / "beside.nrrd", body(metal=False))
    items = plan_batch([tmp_path / "study"], tmp_path / "out")
    assert {(i.source.name, i.series, i.output.name) for i in items} == {
        ("beside.nrrd", "", "beside_corrected.nrrd"),
        ("flat", "4", "flat_series4_corrected.nrrd"),
        ("flat", "7", "flat_series7_corrected.nrrd"),
        ("SE1", "", "SE1_corrected.nrrd"),
        ("SE2", "", "SE2_corrected.nrrd"),
    }
    for item in items:
        assert read_volume(item.source, series=item.series or None).hu.shape[0] >= 4
    rows = correct_batch([tmp_path / "study"], tmp_path / "out", LI)
    assert [row.status for row in rows] == ["no metal"] * 5
    assert sorted(row.series for row in rows) == ["", "", "", "4", "7"]
    again = correct_batch([tmp_path / "study" / "DICOMDIR"], tmp_path / "out", LI)
    assert [row.status for row in again] == ["skipped"] * 5


def test_all_files_of_a_series_are_one_volume(write_series, tmp_path: Path) -> None:
    folder = write_series()
    items = plan_batch(sorted(folder.iterdir()), tmp_path / "out")
    assert [i.source.name for i in items] == ["001.dcm"]


def test_series_that_cannot_be_corrected_are_rows(write_series, tmp_path: Path) -> None:
    write_series("study/a", series="1.1", ImageType=["DERIVED", "SECONDARY", "MPR"])
    broken = write_series("study/b", series="1.2") / "003.dcm"
    broken.write_bytes(broken.read_bytes()[:-60])
    rows = correct_batch([tmp_path / "study"], tmp_path / "out", LI)
    assert [row.status for row in rows] == ["failed", "failed"]
    assert "image type is DERIVED" in rows[0].message
    assert "003.dcm cannot be read" in rows[1].message
    allowed = CorrectionSettings(method="li", allow_reformatted=True)
    rows = correct_batch([tmp_path / "study" / "a"], tmp_path / "out", allowed)
    assert rows[0].status == "no metal"


def test_a_folder_of_companions_alone_holds_no_volume(tmp_path: Path) -> None:
    write_companion(tmp_path, "mr")
    with pytest.raises(InputError, match="No volume"):
        plan_batch([tmp_path], tmp_path / "out")


@pytest.mark.slow
def test_several_processes(study: Path, tmp_path: Path) -> None:
    rows = correct_batch([study], tmp_path / "out", LI, workers=2)
    assert statuses(rows) == {"a.nrrd": "done", "a.nii.gz": "no metal", "broken.nrrd": "failed"}


@pytest.mark.slow
def test_on_a_dask_scheduler(study: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        rows = correct_batch([study], tmp_path / "out", LI, scheduler=cluster.scheduler_address)
    assert statuses(rows) == {"a.nrrd": "done", "a.nii.gz": "no metal", "broken.nrrd": "failed"}


def test_no_scheduler_there(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed")
    with pytest.raises(InputError, match="no Dask scheduler"):
        correct_batch([study], tmp_path / "out", LI, scheduler="nonsense://nowhere")


def test_command_line(study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spinemar.cli.main", "correct-batch", str(study), "-o",
               str(tmp_path / "out"), "--method", "li", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1  # one of them failed
    said = json.loads(done.stdout)  # one object, whatever failed
    assert said["status"] == "failed"
    assert "broken.nrrd" in said["rows"][-1]["source"]
    assert (tmp_path / "out" / "summary.csv").exists()
    assert "1 of 3 volumes" in done.stderr
