"""Who the patient is stays where it was, and nothing talks to the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.jobs.engine.process import JobProcess
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.plans.plan_json import write_plan
from Testing.core.reliability.conftest import ROOT, drawn_ct

SENTINELS = ("Qxsurname", "QxID7781", "19010203", "QxHospital", "QxReferrer", "QxAccession99")
SCREW = Screw("L1-left", "L1", "left", (0.0, 0.0, 4.0), (0.0, 45.0, 4.0), 6.5, 45.0)


@pytest.fixture
def series(write_series) -> Path:
    """A DICOM series with metal, and a patient who can be found again by any grep."""
    volume = drawn_ct((1, 64, 64))
    stored = (volume.hu[0] + 1024).astype("<i2").tobytes()
    return write_series(
        "series", positions=[(-160.0, -160.0, 2.5 * k) for k in range(5)], Rows=64, Columns=64,
        PixelSpacing=[5, 5], PixelData=stored, PatientName="Qxsurname^Given",
        PatientID="QxID7781", PatientBirthDate="19010203", InstitutionName="QxHospital",
        ReferringPhysicianName="QxReferrer", AccessionNumber="QxAccession99",
    )  # fmt: skip


def _found(folder: Path) -> list[str]:
    """Return every file of a folder whose name or content knows the patient."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for word in SENTINELS:
            codes = (word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"))
            if word in path.name or any(code in content for code in codes):
                found.append(f"{word} in {path}")
    return found


def test_the_search_finds_what_is_there(series: Path) -> None:
    assert len(_found(series)) >= len(SENTINELS)


def test_no_identifier_in_results_reports_and_logs(
    series: Path, tmp_path: Path, capfd, caplog
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_plan(out / "plan.json", Plan(levels=("L1",), screws=(SCREW,)))
    for arguments in (
        ["correct", series, "-o", out / "a.nrrd", "--method", "li", "--report", out / "report",
         "--json"],
        ["correct", series, "-o", out / "b.nii.gz", "--method", "li"],
        ["correct-batch", series, "-o", out / "batch", "--method", "li"],
        ["voxelize", out / "plan.json", series, "-o", out / "metal.nrrd"],
        ["evaluate", out / "a.nrrd", series],
    ):  # fmt: skip
        main([str(a) for a in arguments])
    said = capfd.readouterr()
    assert (out / "a.nrrd").exists()
    assert (out / "report" / "report.html").exists()
    assert (out / "metal.nrrd").exists()
    assert (out / "batch" / "summary.csv").exists()
    assert _found(out) == []
    for word in SENTINELS:
        assert word not in said.out + said.err + caplog.text


def test_no_identifier_in_training_pairs_sources(series: Path, tmp_path: Path) -> None:
    """What a data set keeps of a patient: a pseudonym that the user gave, and voxels."""
    from spinemar.dataset.manifest import CtEntry
    from spinemar.dataset.sampling.patients import prepare_patient

    out = tmp_path / "prepared"
    out.mkdir()
    write_plan(tmp_path / "plan.json", Plan(levels=("L1",), screws=(SCREW,)))
    entry = CtEntry(series, "case-1", plan=tmp_path / "plan.json", clean_mm=(-1e3, 1e3))
    kept = prepare_patient(entry, out)
    assert json.loads((kept / "patient.json").read_text())["patient"] == "case-1"
    assert _found(out) == []


def test_no_identifier_in_the_workers_log_or_temporary_names(series: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    process = JobProcess({"kind": "correct", "input": str(series), "settings": {"method": "li"},
                          "output": str(out / "o.nrrd")})  # fmt: skip
    names: set[str] = set()
    ending = None
    while ending is None:
        # Temporary folders come and go while this looks: os.walk does not mind.
        names |= {name for _, *found in os.walk(out) for some in found for name in some}
        events = process.poll()
        ending = next((e for e in events if e["event"] in ("done", "error")), None)
    assert ending["event"] == "done", ending
    assert _found(out) == []
    for word in SENTINELS:
        assert word not in process.log + "".join(names) + json.dumps(ending, default=str)


def test_a_broken_series_is_named_by_its_file_not_its_patient(series: Path, not_corrected) -> None:
    path = series / "003.dcm"
    path.write_bytes(path.read_bytes()[:-600])
    said = not_corrected(series)
    assert not any(word in said for word in SENTINELS)


# Loaded by every Python that is started: notes and refuses whatever would leave the machine.
_GUARD = textwrap.dedent(
    """
    import os, sys
    _EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
               "socket.sendmsg", "socket.bind", "urllib.Request", "http.client.connect",
               "ftplib.connect", "smtplib.connect"}
    def _guard(event, arguments):
        if event in _EVENTS:
            with open(os.environ["SPINEMAR_TEST_NETWORK_LOG"], "a") as log:
                log.write(f"{event} {arguments!r}\\n")
            raise PermissionError(f"no network in this test: {event}")
    sys.addaudithook(_guard)
    """
)


def _guarded(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    guard = tmp_path / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(_GUARD)
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "SPINEMAR_TEST_NETWORK_LOG": str(tmp_path / "log"),
        "PYTHONPATH": os.pathsep.join([str(guard), str(ROOT)]),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, encoding="utf-8",
        env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip


def test_nothing_talks_to_the_network(scan_file: Path, tmp_path: Path) -> None:
    """The pipeline with every socket refused, in this process and in the worker's."""
    # The guard works, in a child of a child as well.
    call = "import socket; socket.create_connection(('127.0.0.1', 9))"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {call!r}])"
    assert "no network in this test" in _guarded(tmp_path, script).stderr
    assert "127.0.0.1" in (tmp_path / "log").read_text()
    (tmp_path / "log").unlink()
    write_plan(tmp_path / "plan.json", Plan(levels=("L1",), screws=(SCREW,)))
    script = f"""
        import sys
        from spinemar.cli.main import main
        from spinemar.jobs.engine.process import run_job
        scan = {str(scan_file)!r}
        codes = [
            main(["correct", scan, "-o", "auto.nrrd", "--report", "report"]),
            main(["correct", scan, "-o", "li.nrrd", "--method", "li"]),
            main(["voxelize", "plan.json", scan, "-o", "metal.nrrd"]),
            main(["evaluate", "li.nrrd", scan]),
        ]
        settings = {{"method": "li"}}
        run_job({{"kind": "correct", "input": scan, "output": "w.nrrd", "settings": settings}})
        assert codes == [0, 0, 0, 0], codes
        """
    done = _guarded(tmp_path, script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w.nrrd").exists()
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()


def test_only_the_sample_data_know_an_address() -> None:
    """Nothing in the core but the explicit download imports what could reach the network."""
    import ast

    allowed = {"sample_data.py"}
    networks = {"socket", "urllib", "urllib.request", "http", "http.client", "requests", "ftplib"}
    for path in (ROOT / "spinemar").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            )  # fmt: skip
            used = networks & set(names)
            if path.name in ("left_over.py", "ending.py"):
                used -= {"socket"}  # the machine's name; a pair that a signal wakes, of no network
            assert not used or path.name in allowed, (path.name, used)


def test_volumes_carry_facts_of_the_scan_alone(series: Path) -> None:
    from spinemar.io import read_volume

    metadata = read_volume(series).metadata
    assert set(metadata) <= {"source_format", "manufacturer", "kvp", "kernel",
                             "slice_thickness_mm", "pixel_padding_value", "image_type",
                             "rescale_type"}  # fmt: skip
    assert np.isfinite(read_volume(series).hu).all()
