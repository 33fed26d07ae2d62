"""Nothing leaves the machine, and an empty home stays empty: seen from the system's side.

Python's audit hook (`test_privacy.py`) does not see what native libraries do; here every process
of the tree is traced by its system calls.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spinemar.base.interpreter import worker_environment
from spinemar.base.privacy import SWITCHES
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.planning.plans.plan import Plan, Screw
from spinemar.planning.plans.plan_json import write_plan
from Testing.core.cli.test_plan_commands import patient  # noqa: F401 - a fixture
from Testing.core.dataset.conftest import ct_folder  # noqa: F401 - a fixture
from Testing.core.reliability.system_calls import ROOT, Calls, run_in_empty_home, why_no_trace

traced = pytest.mark.skipif(why_no_trace() is not None, reason=str(why_no_trace()))
SPINEMAR = (sys.executable, "-m", "spinemar.cli.main")
SCREW = Screw("L1-left", "L1", "left", (0.0, 0.0, 4.0), (0.0, 45.0, 4.0), 6.5, 45.0)
ONLY_OWNER = "spinemar/mar/inpainters/models/runtime.py"

# The job as Slicer's modules start it: a worker that waits, and one that is started with its job.
WORKERS = """
import sys, time
from spinemar.jobs.engine.process import JobProcess, run_job
from spinemar.jobs.engine.standby import StandbyWorker
scan = sys.argv[1]
run_job({"kind": "correct", "input": scan, "output": "a.nrrd", "settings": {"method": "generator"}})
spare = StandbyWorker("correct")
spare.prepare()
job = {"kind": "correct", "input": scan, "output": "b.nrrd", "settings": {"method": "generator"}}
process = JobProcess(job, waiting=spare.take())
while not any(event["event"] in ("done", "error") for event in process.poll()):
    time.sleep(0.05)
spare.close()
"""
IN_PROCESS = """
import sys
from spinemar.io import read_volume
from spinemar.mar.correct import correct_volume
result = correct_volume(read_volume(sys.argv[1]), method="generator")
assert result.provenance.provider, result
"""


def assert_nothing_left(done, calls: Calls) -> None:
    assert done.returncode == 0, done.stderr
    assert calls == Calls(), calls


@traced
def test_the_tracer_sees_what_it_looks_for(tmp_path: Path) -> None:
    script = (
        "import os, socket, subprocess, sys\n"
        "if len(sys.argv) > 1:\n"
        "    os.makedirs(os.path.expanduser('~/.config/reporter'))\n"
        "    open(os.path.expanduser('~/.config/reporter/id'), 'w').close()\n"
        # Addresses of documentation, to which a datagram's socket connects without a word.
        "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
        "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
        "    try: socket.getaddrinfo('spinemar.invalid', 80)\n"
        "    except OSError: pass\n"
        "else: subprocess.run([sys.executable, __file__, 'child'])\n"
    )
    (tmp_path / "script.py").write_text(script)
    done, calls = run_in_empty_home([sys.executable, str(tmp_path / "script.py")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert any("192.0.2.1" in call for call in calls.left)
    assert not any("127.0.0.1" in call for call in calls.left)
    assert calls.lookups
    assert any("reporter" in call for call in calls.made)
    assert ".config/reporter/id" in calls.home


@traced
@pytest.mark.skipif(shipped_model() is None, reason="no model ships")
@pytest.mark.parametrize("script", [IN_PROCESS, WORKERS], ids=["in-process", "workers"])
def test_correction_through_the_library_and_in_workers(
    script: str, scan_file: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", script, str(scan_file)]
    assert_nothing_left(*run_in_empty_home(command, tmp_path))


@traced
@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["correct", "{scan}", "-o", "a.nrrd", "--report", "report", "--json"],
        ["correct-batch", "{scan}", "-o", "batch", "--workers", "2"],
        ["voxelize", "{plan}", "{scan}", "-o", "metal.nrrd"],
        ["simulate", "{scan}", "--implants", "{plan}", "-o", "simulated", "--raw", "raw.npz"],
        ["evaluate", "{scan}", "{scan}"],
        ["segment", "{spine}/ct.nrrd", "--labels", "{spine}/labels.nrrd", "-o", "labels.nrrd",
         "--sheet", "sheet.png"],
        ["plan", "{spine}/ct.nrrd", "--labels", "{spine}/labels.nrrd", "--levels", "L1",
         "-o", "plan.json", "--report", "report", "--stl", "surfaces"],
        ["dataset", "make", "{cts}", "-o", "a.zarr", "--pairs", "2", "--settings", "{small}"],
        ["dataset", "make", "{cts}", "-o", "a.zarr", "--pairs", "4", "--settings", "{small}",
         "--workers", "2"],
    ],
    ids=lambda arguments: "-".join(a for a in arguments if a.isalnum() or "workers" in a),
)  # fmt: skip
def test_commands(
    arguments: list[str],
    scan_file: Path,
    ct_folder: Path,  # noqa: F811
    patient: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    write_plan(tmp_path / "plan.json", Plan(levels=("L1",), screws=(SCREW,)))
    inputs = {
        "scan": scan_file, "plan": tmp_path / "plan.json", "spine": patient,
        "cts": ct_folder / "cts.json", "small": ct_folder / "small.json",
    }  # fmt: skip
    command = [*SPINEMAR, *(argument.format(**inputs) for argument in arguments)]
    assert_nothing_left(*run_in_empty_home(command, tmp_path))


def test_workers_are_told_to_be_silent_whatever_was_set() -> None:
    asked = worker_environment({"ORT_DISABLE_TELEMETRY": "0"})
    assert {name: asked[name] for name in SWITCHES} == dict(SWITCHES)


def test_the_runtime_is_silenced_before_and_after_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before: by the environment. After, for Windows and for one that others loaded: by call."""
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    seen = []
    runtime = SimpleNamespace(
        InferenceSession=object,
        disable_telemetry_events=lambda: seen.append(os.environ["ORT_DISABLE_TELEMETRY"]),
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    assert onnx_runtime() is runtime
    assert seen == ["1"]


def test_one_place_loads_the_runtime() -> None:
    """Any other import of it would be one that nobody silenced."""
    folders = ("spinemar", "Training", "Testing", "scripts", "MetalArtifactReduction",
               "MetalArtifactReductionCLI", "SpineImplantPlanner")  # fmt: skip
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            )  # fmt: skip
            if any(name.split(".")[0] == "onnxruntime" for name in names):
                found.add(str(path.relative_to(ROOT)))
            if isinstance(node, ast.Call) and any(
                isinstance(a, ast.Constant) and a.value == "onnxruntime" for a in node.args
            ):
                called = ast.unparse(node.func)
                assert not called.endswith(("importorskip", "import_module")), (path, called)
    assert found == {ONLY_OWNER}


def test_pages_that_show_code_load_it_through_its_owner() -> None:
    for path in [ROOT / "README.md", *(ROOT / "Docs").rglob("*.md")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.lstrip().startswith(("import onnxruntime", "from onnxruntime")), path
