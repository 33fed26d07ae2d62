"""`spinemar correct`: what it writes, what it says, and what it refuses without a trace."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from spinemar.io import read_labels, read_mask, read_volume, write_labels, write_volume
from spinemar.mar.correct import correct_volume
from spinemar.registration import Registration, registration_to_json
from spinemar.volume import CTVolume, LabelVolume


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_writes_result_facts_and_report(spinemar, scan, tmp_path: Path) -> None:
    output = tmp_path / "corrected.nii.gz"
    report = tmp_path / "report"
    run = spinemar("correct", scan.scan, "-o", output, "--method", "nmar", "--report", report)
    assert run.code == 0, run.err
    assert "slices with metal were corrected" in run.out
    before, after = read_volume(scan.scan), read_volume(output)
    np.testing.assert_allclose(after.ijk_to_ras, before.ijk_to_ras, atol=1e-5)
    np.testing.assert_array_equal(after.hu[[0, 4]], before.hu[[0, 4]])  # no metal: untouched
    assert (after.hu[2] != before.hu[2]).any()
    facts = json.loads((tmp_path / "corrected.json").read_text())
    assert facts["provenance"]["method"] == "nmar"
    assert facts["provenance"]["software_version"]
    assert (report / "report.html").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "corrected.json",
        "corrected.nii.gz",
        "report",
    ]


def test_json_is_one_object_with_the_promised_facts(spinemar, scan, tmp_path: Path) -> None:
    run = spinemar("correct", scan.scan, "-o", tmp_path / "c.nrrd", "--method", "li", "--json")
    assert run.code == 0
    facts = run.json
    assert facts["method"] == "li"
    assert {"model", "provider", "corrected", "left_alone", "seconds"} <= set(facts)
    assert len(facts["corrected"]) + len(facts["left_alone"]) == 3
    assert all(one["reason"] for one in facts["left_alone"])
    assert facts["seconds"]["total"] > 0


def test_mask_of_another_grid_and_threshold(spinemar, scan, tmp_path: Path) -> None:
    labels = np.zeros((3, 64, 64), np.int16)
    labels[:, 30:40, 20:28] = 1
    affine = np.diag([-5.0, -5.0, 3.0, 1.0])
    affine[2, 3] = 3
    write_labels(tmp_path / "mask.nrrd", LabelVolume(labels, affine))
    output = tmp_path / "c.nrrd"
    run = spinemar(
        "correct", scan.scan, "-o", output, "--metal-mask", tmp_path / "mask.nrrd", "--json"
    )
    assert run.code == 0, run.err
    assert run.json["provenance"]["metal_source"] == "mask"
    assert run.json["metal_voxels"] == pytest.approx(labels.sum() * 4, rel=0.3)
    run = spinemar(
        "correct", scan.scan, "-o", output, "--metal-threshold", "2500", "--overwrite", "--json"
    )
    assert run.json["provenance"]["metal_threshold_hu"] == 2500


def test_the_outline_is_written_as_it_was_put_back(spinemar, scan, tmp_path: Path) -> None:
    output, outline = tmp_path / "c.nrrd", tmp_path / "outline.nii.gz"
    command = ["correct", scan.scan, "-o", output, "--method", "nmar", "--metal-mask-out", outline]
    run = spinemar(*command)
    assert run.code == 0, run.err
    before, after = read_volume(scan.scan), read_volume(output)
    found = read_mask(outline, before.geometry)
    assert found[2].any()
    np.testing.assert_array_equal(after.hu[found], before.hu[found])
    glow = ndimage.binary_dilation(found[2]) & ~found[2]
    assert (after.hu[2] != before.hu[2])[glow].all()
    kept = outline.read_bytes()
    again = spinemar(*command[:3], tmp_path / "d.nrrd", *command[4:])
    assert again.code == 2
    assert "exists already" in again.err
    assert outline.read_bytes() == kept
    assert not (tmp_path / "d.nrrd").exists()


def test_it_is_written_how_far_values_may_be_off(spinemar, scan, tmp_path: Path) -> None:
    output, unsure = tmp_path / "c.nrrd", tmp_path / "unsure.nii.gz"
    command = ["correct", scan.scan, "-o", output, "--method", "nmar", "--uncertainty-out", unsure]
    assert spinemar(*command).code == 0
    before, after, said = read_volume(scan.scan), read_volume(output), read_labels(unsure)
    np.testing.assert_allclose(said.ijk_to_ras, after.ijk_to_ras, atol=1e-5)
    expected = correct_volume(before, method="nmar", uncertainty=True)
    np.testing.assert_array_equal(said.labels, expected.uncertainty_hu)
    assert said.labels.max() > 30
    facts = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert facts["sha256"][unsure.name] == hashlib.sha256(unsure.read_bytes()).hexdigest()
    kept = unsure.read_bytes()
    assert spinemar(*command[:3], tmp_path / "d.nrrd", *command[4:]).code == 2
    assert unsure.read_bytes() == kept


@pytest.mark.parametrize("option", ["--metal-mask-out", "--uncertainty-out"])
@pytest.mark.parametrize("taken", ["input", "output", "map"])
def test_a_map_may_not_replace_the_ct_the_result_or_another_map(
    spinemar, scan, tmp_path: Path, taken, option
) -> None:
    output, other = tmp_path / "c.nrrd", tmp_path / "map.nrrd"
    path = {"input": scan.scan, "output": output, "map": other}[taken]
    second = "--agreement-out" if option == "--uncertainty-out" else "--uncertainty-out"
    more = [second, other] if taken == "map" else []
    kept = scan.scan.read_bytes()
    run = spinemar("correct", scan.scan, "-o", output, option, path, *more, "--overwrite")
    assert run.code == 2
    assert "Choose another name" in run.err
    assert scan.scan.read_bytes() == kept
    assert not output.exists()


def test_a_result_fed_back_in_is_refused_unless_asked_for(spinemar, scan, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.nrrd", tmp_path / "twice.nrrd"
    assert spinemar("correct", scan.scan, "-o", once, "--method", "nmar").code == 0
    run = spinemar("correct", once, "-o", twice, "--method", "nmar")
    assert run.code == 2
    assert "was corrected by SpineMAR before (method nmar)" in run.err
    assert not twice.exists()
    run = spinemar("correct", once, "-o", twice, "--method", "nmar", "--allow-corrected")
    assert run.code == 0, run.err
    # Whatever is asked for, the gate still leaves alone what is quiet already.
    first, second = read_volume(once).hu, read_volume(twice).hu
    assert np.abs(second - first)[2].mean() < 3.0


def test_no_metal_returns_the_input_and_says_so(spinemar, scan, tmp_path: Path) -> None:
    run = spinemar("correct", scan.truth, "-o", tmp_path / "c.nrrd", "--report", tmp_path / "r")
    assert run.code == 0, run.err
    assert "No metal was found" in run.out
    np.testing.assert_array_equal(read_volume(tmp_path / "c.nrrd").hu, read_volume(scan.truth).hu)


@pytest.mark.parametrize("slices", [1, 2])
def test_fewer_than_three_slices_work(spinemar, scan, tmp_path: Path, slices: int) -> None:
    volume = read_volume(scan.scan)
    few = CTVolume(volume.hu[2 : 2 + slices], volume.ijk_to_ras)
    write_volume(tmp_path / "few.nrrd", few)
    run = spinemar("correct", tmp_path / "few.nrrd", "-o", tmp_path / "c.nrrd")
    assert run.code == 0, run.err


def _bad_input(kind: str, scan, tmp_path: Path) -> Path:
    volume = read_volume(scan.scan)
    path = tmp_path / "input.nrrd"
    if kind == "truncated":
        path.write_bytes(scan.scan.read_bytes()[:5000])
    elif kind == "not CT":
        write_volume(path, volume.with_hu(volume.hu + 1024))
    elif kind == "NaN":
        hu = volume.hu.copy()
        hu[0, 0, 0] = np.nan
        write_volume(path, volume.with_hu(hu))
    elif kind == "constant":
        write_volume(path, volume.with_hu(np.zeros_like(volume.hu)))
    elif kind == "coronal slices":
        turn = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
        lean = np.eye(4)
        lean[1:3, 1:3] = [[np.cos(0.8), -np.sin(0.8)], [np.sin(0.8), np.cos(0.8)]]
        write_volume(path, CTVolume(volume.hu, lean @ turn @ turn.T @ volume.ijk_to_ras))
    elif kind == "metal everywhere":
        write_volume(path, volume.with_hu(np.where(volume.hu > -500, 3000, volume.hu)))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "does not exist"),
        ("truncated", "truncated"),
        ("not CT", "not in Hounsfield units"),
        ("NaN", "not numbers"),
        ("constant", "constant"),
        ("coronal slices", "off axial"),
        ("metal everywhere", "etal"),
    ],
)
def test_bad_input_is_one_sentence_code_2_and_nothing_lost(
    spinemar, scan, tmp_path: Path, kind: str, message: str
) -> None:
    source = _bad_input(kind, scan, tmp_path)
    output = tmp_path / "out.nrrd"
    output.write_text("an old result")
    before = snapshot(tmp_path)
    run = spinemar("correct", source, "-o", output, "--overwrite", "--report", tmp_path / "r")
    assert run.code == 2, run.err
    assert message in run.err
    assert run.err.startswith("Error: ")
    assert run.out == ""
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metal-threshold", "lots"], "no metal threshold"),
        (["--metal-threshold", "-5"], "no metal threshold"),
        (["--metal-threshold", "nan"], "no metal threshold"),
        (["--metal-mask", "no.nrrd"], "does not exist"),
        (["--method", "magic"], "magic"),
        (["--device", "abacus"], "abacus"),
        (["--method", "generator", "--model", "no/manifest.json"], "manifest"),
        (["--report", "{file}"], "is no folder"),
    ],
)
def test_bad_options(spinemar, scan, tmp_path: Path, options, message: str) -> None:
    (tmp_path / "file").write_text("x")
    options = [o.format(file=tmp_path / "file") for o in options]
    before = snapshot(tmp_path)
    run = spinemar("correct", scan.scan, "-o", tmp_path / "out.nrrd", *options)
    assert run.code == 2, run.err
    assert message in run.err
    assert snapshot(tmp_path) == before


def test_bad_outputs(spinemar, scan, tmp_path: Path) -> None:
    copy = tmp_path / "scan.nrrd"
    copy.write_bytes(scan.scan.read_bytes())
    for output, message in (
        (copy, "the input itself"),
        (tmp_path / "out.jpg", "does not name a format"),
        (tmp_path / "no" / "out.nrrd", "does not exist"),
    ):
        run = spinemar("correct", copy, "-o", output, "--overwrite")
        assert run.code == 2
        assert message in run.err
    (tmp_path / "old.nrrd").write_text("old")
    run = spinemar("correct", copy, "-o", tmp_path / "old.nrrd")
    assert run.code == 2
    assert "exists already" in run.err
    assert (tmp_path / "old.nrrd").read_text() == "old"


def test_foreign_model_is_refused(spinemar, scan, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "foreign"}')
    run = spinemar("correct", scan.scan, "-o", tmp_path / "o.nrrd", "--model", tmp_path)
    assert run.code == 2, run.err
    assert not (tmp_path / "o.nrrd").exists()


def test_errors_as_json(spinemar, tmp_path: Path) -> None:
    run = spinemar("correct", "no.nrrd", "-o", tmp_path / "o.nrrd", "--json")
    assert run.code == 2
    assert run.json["status"] == "error"
    assert "does not exist" in run.json["problem"]
    assert run.json["remedy"]


def test_a_fault_of_ours_is_code_1_without_traceback(
    spinemar, scan, tmp_path: Path, monkeypatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("spinemar.mar.correct.correct_volume", broken)
    run = spinemar("correct", scan.scan, "-o", tmp_path / "o.nrrd")
    assert run.code == 1
    assert "fault of SpineMAR" in run.err
    assert not list(tmp_path.iterdir())

    def greedy(*_args: object, **_kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr("spinemar.mar.correct.correct_volume", greedy)
    run = spinemar("correct", scan.scan, "-o", tmp_path / "o.nrrd")
    assert run.code == 1
    assert "not enough memory" in run.err


def test_full_disk_is_code_1_and_keeps_the_old_result(scan, tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow beyond 20 kB."""
    output = tmp_path / "out.nrrd"
    output.write_text("old")
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from spinemar.cli.main import main\n"
        f"sys.exit(main(['correct', {str(scan.scan)!r}, '-o', {str(output)!r}, '--overwrite']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "nothing was changed" in done.stderr
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_is_code_3(scan, tmp_path: Path, number: int) -> None:
    volume = read_volume(scan.scan)
    many = CTVolume(np.tile(volume.hu, (100, 1, 1)), volume.ijk_to_ras)
    write_volume(tmp_path / "many.nrrd", many)
    output = tmp_path / "out.nrrd"
    arguments = ["correct", str(tmp_path / "many.nrrd"), "-o", str(output), "--json"]
    worker = subprocess.Popen(
        [sys.executable, "-c", "import sys; from spinemar.cli.main import main; "
         "import spinemar.mar.correct as c; old = c.CorrectionPasses.all_slices\n"
         "def told(*a): print('running', file=sys.stderr, flush=True); return old(*a)\n"
         "c.CorrectionPasses.all_slices = told; sys.exit(main(sys.argv[1:]))", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert worker.stderr is not None
    assert worker.stderr.readline() == "running\n"
    time.sleep(0.3)
    worker.send_signal(number)
    # Two seconds on a machine of one's own; where others crowd it much less than the work takes.
    out, err = worker.communicate(timeout=20)
    assert worker.returncode == 3, err
    assert json.loads(out)["exit_code"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["many.nrrd"]


def test_an_earlier_ct_is_laid_over_and_reported(spinemar, scan, tmp_path: Path) -> None:
    """This phantom has no spine to segment, so it moves as one piece, and that is said."""
    output, map_out = tmp_path / "out.nrrd", tmp_path / "agreement.nrrd"
    still = tmp_path / "still.json"
    still.write_text(registration_to_json(Registration(np.eye(4))), encoding="utf-8")
    run = spinemar(
        "correct", scan.scan, "-o", output, "--earlier-ct", scan.truth, "--agreement-out", map_out,
        "--earlier-transforms", still, "--report", tmp_path / "report", "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    earlier = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["earlier_ct"]
    assert len(earlier["facts"]["sha256"]) == 64
    assert any("one piece" in said for said in earlier["registration"]["warnings"])
    assert 0 < read_labels(map_out).labels.max() <= 100
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Earlier CT, registered" in page
    assert "Agreement" in page
    assert "not to be read where it is red" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--earlier-labels", "labels.nrrd"], "no earlier CT"),
        (["--earlier-ct", "nowhere.nrrd"], "does not exist"),
        (["--method", "nmar", "--earlier-ct", "TRUTH"], "cannot use an earlier CT"),
    ],
)
def test_options_about_an_earlier_ct_that_cannot_be(
    spinemar, scan, tmp_path: Path, options, message: str
) -> None:
    given = [str(scan.truth) if one == "TRUTH" else one for one in options]
    run = spinemar("correct", scan.scan, "-o", tmp_path / "out.nrrd", *given)
    assert run.code == 2
    assert message in " ".join(run.err.split())
    assert not (tmp_path / "out.nrrd").exists()
