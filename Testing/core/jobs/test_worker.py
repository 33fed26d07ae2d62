"""The worker process: results, progress, every way to end, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from spinemar.base.interpreter import worker_environment
from spinemar.errors import CancelledError, FaultError, InputError, ModelError
from spinemar.io import read_volume, write_volume
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.arrays import save_array
from spinemar.jobs.engine.process import JobProcess, run_job
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import MU_WATER_PER_MM
from spinemar.volume import CTVolume

AFFINE = np.diag([-1.6, -1.6, 2.0, 1.0])
#: Two seconds on a machine of one's own; where others crowd it still much less than the work takes.
_SOON_S = 20.0


def screwed_body(slices: int = 6, size: int = 128) -> CTVolume:
    """Return a torso with two screws and what hardened beams do about them, int16 steps of HU."""
    y, x = np.mgrid[:size, :size] - size / 2.0
    hu = np.full((slices, size, size), -1000.0, np.float32)
    hu[:, (x / 55) ** 2 + (y / 40) ** 2 < 1] = 40
    metal = (np.hypot(x - 14, y - 10) < 4) | (np.hypot(x + 14, y - 10) < 4)
    radon = RadonTransform((size, size), (abs(AFFINE[1, 1]), abs(AFFINE[0, 0])))
    thickness_cm = radon.forward(metal[None].astype(np.float32)) / 10
    hu[1:-1] += radon.fbp(-0.35 * thickness_cm**2)[0] / MU_WATER_PER_MM * 1000
    hu[1:-1, metal] = 3071
    noise = np.random.default_rng(3).normal(0, 8, hu.shape)
    return CTVolume(np.clip(np.rint(hu + noise), -1024, 3071).astype(np.float32), AFFINE)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, object]:
    volume = screwed_body()
    save_array(tmp_path / "in.npy", volume.hu.astype(np.int16))
    return {
        "kind": "correct",
        "input": {"npy": str(tmp_path / "in.npy"), "ijk_to_ras": AFFINE.tolist()},
        "output": str(tmp_path / "out.npy"),
        "metal_output": str(tmp_path / "metal.npy"),
        "uncertainty_output": str(tmp_path / "unsure.npy"),
        "stored_as": "int16",
        "settings": {"method": "li"},
    }


def test_arrays_in_arrays_out(job: dict[str, object], tmp_path: Path) -> None:
    process = JobProcess(job)
    events = []
    while process.running:
        events += process.poll()
        time.sleep(0.01)
    assert next(e["event"] for e in events) == "start"
    stages = {e["stage"] for e in events if e["event"] == "progress"}
    assert {"Reading", "Correcting", "Writing"} <= stages
    result = events[-1]["result"]
    before, after = np.load(tmp_path / "in.npy"), np.load(tmp_path / "out.npy")
    metal = np.load(tmp_path / "metal.npy")
    assert after.dtype == np.int16
    assert result["corrected"]
    assert metal.sum() == result["metal_voxels"] > 0
    changed = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert set(changed) <= set(result["corrected"])
    np.testing.assert_array_equal(after[metal > 0], before[metal > 0])
    unsure = np.load(tmp_path / "unsure.npy")
    assert set(np.flatnonzero(unsure.any(axis=(1, 2)))) == set(result["corrected"])
    assert not unsure[metal > 0].any()


def test_files_in_files_out(tmp_path: Path) -> None:
    write_volume(tmp_path / "in.nrrd", screwed_body())
    result = run_job(
        {"kind": "correct", "input": str(tmp_path / "in.nrrd"), "settings": {"method": "li"},
         "output": str(tmp_path / "out.nrrd")}
    )  # fmt: skip
    assert result["provenance"]["method"] == "li"
    assert read_volume(tmp_path / "out.nrrd").hu.shape == (6, 128, 128)


def test_same_as_in_this_process(job: dict[str, object], tmp_path: Path) -> None:
    from spinemar.mar.correct import correct_volume

    run_job(job)
    here = correct_volume(screwed_body(), method="li").volume.hu
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), here, atol=0.51)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"input": "/nowhere.nrrd"}, InputError, "nowhere"),
        ({"input": None}, InputError, "names no input"),
        ({"output": ""}, InputError, "job.output"),
        ({"kind": "dance"}, InputError, "no job called"),
        ({"settings": {"method": "magic"}}, InputError, "magic"),
        ({"settings": {"methd": "li"}}, InputError, "methd"),
        ({"method": "li"}, InputError, "unknown entry 'method'"),
        ({"settings": {"model": "/nowhere", "method": "generator"}}, ModelError, "manifest"),
        ({"settings": {"metal_threshold_hu": -900.0}}, InputError, "threshold"),
    ],
)
def test_errors_arrive_as_themselves(
    job: dict[str, object], change: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run_job({**job, **change})
    assert not Path(str(job["output"])).exists()


def test_constant_and_truncated_arrays_are_refused(job: dict[str, object], tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros((3, 8, 8), np.int16))
    with pytest.raises(InputError, match="constant"):
        run_job(job)
    data = (tmp_path / "in.npy").read_bytes()
    (tmp_path / "in.npy").write_bytes(data[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        run_job(job)


def _long(job: dict[str, object], tmp_path: Path) -> dict[str, object]:
    volume = screwed_body(slices=240, size=256)
    save_array(tmp_path / "in.npy", volume.hu.astype(np.int16))
    return {**job, "settings": {"method": "nmar"}}


def _first_progress(process: JobProcess, stage: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if any(e.get("stage") == stage for e in process.poll()):
            return
        time.sleep(0.005)
    raise TimeoutError(process.log)


def test_cancel_leaves_nothing(job: dict[str, object], tmp_path: Path) -> None:
    process = JobProcess(_long(job, tmp_path))
    _first_progress(process, "Correcting")
    process.cancel()
    ending = process.wait(_SOON_S)
    assert ending["event"] == "cancelled"
    assert isinstance(protocol.error_of(ending), CancelledError)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy"]


def test_a_worker_that_does_not_listen_is_ended_with_its_children(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("signals that can be ignored are a POSIX matter")
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        'print(\'{"event": "progress", "stage": "%d", "done": 0, "total": 1}\' '
        "% child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = JobProcess({"kind": "correct"}, [sys.executable, "-c", script])
    events: list[object] = []
    while not events:
        events += process.poll()
        time.sleep(0.01)
    child = int(events[0]["stage"])  # type: ignore[index]
    process.cancel()
    assert process.wait(_SOON_S)["event"] == "cancelled"
    for _ in range(1000):
        if not _alive(child):
            return
        time.sleep(0.02)
    raise AssertionError("the child still runs")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_killed_worker_says_so_and_leaves_no_result(
    job: dict[str, object], tmp_path: Path
) -> None:
    process = JobProcess(_long(job, tmp_path))
    _first_progress(process, "Correcting")
    os.kill(process.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    ending = process.wait(_SOON_S)
    assert ending["event"] == "error"
    assert "ended unexpectedly" in ending["problem"]
    assert isinstance(protocol.error_of(ending), FaultError)
    assert not (tmp_path / "out.npy").exists()


def test_a_crash_at_import_is_explained() -> None:
    command = [sys.executable, "-c", "import no_such_library"]
    ending = JobProcess({"kind": "correct"}, command).wait(20)
    assert "no_such_library" in ending["remedy"]


def test_a_worker_that_ends_while_its_readers_are_started_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine it may be gone before the second reader runs."""
    start = threading.Thread.start

    def slowly(thread: threading.Thread) -> None:
        start(thread)
        time.sleep(0.7)

    monkeypatch.setattr(threading.Thread, "start", slowly)
    ending = JobProcess({"kind": "correct"}, [sys.executable, "-c", "import no_such_library"])
    assert "no_such_library" in ending.wait(20)["remedy"]


def test_a_missing_interpreter_is_one_sentence() -> None:
    with pytest.raises(FaultError, match="could not be started"):
        JobProcess({"kind": "correct"}, ["/nowhere/python"])


def test_the_end_of_the_parent_ends_the_job(job: dict[str, object], tmp_path: Path) -> None:
    body = json.dumps({"schema": protocol.SCHEMA, **_long(job, tmp_path)})
    worker = subprocess.Popen(
        [sys.executable, "-m", "spinemar.jobs.worker", "-", "--attended"], env=worker_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(body + "\n")
    worker.stdin.flush()
    for line in worker.stdout:
        if "Correcting" in line:
            break
    worker.stdin.close()  # what the system does when the parent dies
    assert worker.wait(10) == CancelledError.exit_code


def test_command_line_with_a_job_file(job: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"schema": protocol.SCHEMA, **job}))
    done = subprocess.run(
        [sys.executable, "-m", "spinemar.jobs.worker", str(path)], capture_output=True, text=True,
        env=worker_environment(), stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert lines[-1]["event"] == "done"
    path.write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "spinemar.jobs.worker", str(path)], capture_output=True, text=True,
        env=worker_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["event"] == "error"


def test_events_are_valid_json_whatever_the_numbers() -> None:
    line = protocol.encode("done", result=protocol.finite({"a": float("nan"), "b": np.float32(2)}))
    assert protocol.decode(line) == {"event": "done", "result": {"a": None, "b": 2.0}}
    assert protocol.decode("a library's remark") is None
    assert protocol.decode('{"no": "event"}') is None


def test_a_spare_worker_does_one_job_and_ends_with_its_owner(tmp_path: Path) -> None:
    from spinemar.jobs.engine.standby import StandbyWorker

    spare = StandbyWorker("scan")
    assert spare.take() is None
    spare.prepare()
    first = spare.pid
    spare.prepare()
    assert spare.pid == first  # one waits, no more
    job = {"kind": "voxelize", "plan": "nonsense", "folder": str(tmp_path)}
    process = JobProcess(job, waiting=spare.take())
    assert process.pid == first
    assert process.wait(60)["event"] == "error"  # the job came, and was answered
    assert spare.pid is None
    spare.prepare()
    second = spare.pid
    assert second is not None
    spare.close()
    assert spare.pid is None
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)
