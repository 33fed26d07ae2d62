"""The run that Slicer's modules watch: arrays there and back, every way to end, a held lock."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.errors import CancelledError, FaultError, InputError, SpinemarError
from SpineMARLib.jobrun import JobRun, factsAlone, handOver

BEAT = 0.05
# A worker that doubles an array, waits to be cancelled, or dies, as its job says.
WORKER = """
import json, os, sys
import numpy as np
job = json.loads(sys.stdin.readline())
say = lambda event, **facts: print(json.dumps({"event": event, **facts}), flush=True)
for done in (0, 1, 2):
    say("progress", stage="Doubling", done=done, total=3)
if job["kind"] == "wait":
    sys.stdin.readline()
    say("cancelled", problem="Cancelled.", remedy="")
elif job["kind"] == "die":
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)
elif job["kind"] == "fail":
    say("error", error="InputError", problem="It is so.", remedy="Do this.")
else:
    np.save(job["output"], 2 * np.load(job["input"]["npy"]))
    say("done", result={"name": job["input"]["name"]})
"""
COMMAND = [sys.executable, "-c", WORKER]
VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def started(folder: Path, kind: str = "double", voxels: np.ndarray = VOXELS) -> JobRun:
    def make(temporary: Path) -> dict[str, Any]:
        named = handOver(temporary, "input", voxels, np.eye(4), "my volume")
        return {"kind": kind, "input": named, "output": str(temporary / "output.npy")}

    def take(temporary: Path, facts: Any) -> tuple[str, np.ndarray]:
        return facts["name"], np.load(temporary / "output.npy")

    return JobRun(make, take, folder, COMMAND)


def until(condition: Callable[[], bool], run: JobRun, pause: Callable[[], Any]) -> None:
    """Look at a run on every beat until a condition holds."""
    for _ in range(1200):
        run.letWork(BEAT)
        if condition():
            return
        pause()
    raise AssertionError("the run goes on and on")


def ended(run: JobRun) -> JobRun:
    """Wait as a user interface does whose loop does not hold Python's lock."""
    until(lambda: not run.running, run, lambda: time.sleep(BEAT / 10))
    return run


def at_work(run: JobRun) -> JobRun:
    """Wait until the worker has told of all its steps."""
    until(lambda: run.progress.done == 2, run, lambda: None)
    return run


def test_arrays_go_there_and_back_and_leave_nothing(tmp_path: Path) -> None:
    run = ended(started(tmp_path))
    assert run.error is None
    name, doubled = run.result
    assert name == "my volume"
    np.testing.assert_array_equal(doubled, 2 * VOXELS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [("fail", InputError, "It is so"), ("die", FaultError, "the last words")],
)
def test_a_failed_job_tells_why(
    kind: str, error: type[SpinemarError], words: str, tmp_path: Path
) -> None:
    run = ended(started(tmp_path, kind))
    assert isinstance(run.error, error)
    assert words in str(run.error)
    assert run.result is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (InputError("It is so.", "Do this."), InputError, "Do this"),
        (OSError(28, "No space left on device"), SpinemarError, "space"),
        (ZeroDivisionError("by zero"), FaultError, "fault of SpineMAR"),
    ],
)
@pytest.mark.parametrize("side", ["there", "back"])
def test_what_fails_on_this_side_is_told_as_well(
    raised: Exception, error: type[SpinemarError], words: str, side: str, tmp_path: Path
) -> None:
    def refuse(*_: Any) -> Any:
        raise raised

    def make(folder: Path) -> dict[str, Any]:
        named = handOver(folder, "input", VOXELS, np.eye(4))
        return {"kind": "double", "input": named, "output": str(folder / "output.npy")}

    there = refuse if side == "there" else make
    back = refuse if side == "back" else factsAlone
    run = ended(JobRun(there, back, tmp_path, COMMAND))
    assert isinstance(run.error, error)
    assert words in str(run.error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["at once", "at work"])
def test_cancelled_it_leaves_nothing(when: str, tmp_path: Path) -> None:
    run = started(tmp_path, "wait")
    if when == "at work":
        at_work(run)
    run.cancel()
    assert isinstance(ended(run).error, CancelledError)
    assert list(tmp_path.iterdir()) == []


def test_time_left_is_said_once_there_is_a_pace(tmp_path: Path) -> None:
    run = started(tmp_path, "wait")
    assert run.secondsLeft is None
    assert at_work(run).secondsLeft is not None
    run.close()
    assert not run.running


@pytest.mark.skipif(os.name != "posix", reason="holds the lock by the C library's usleep")
def test_a_loop_that_holds_the_lock_starves_no_run(tmp_path: Path) -> None:
    """Slicer's event loop keeps Python's lock; a run lives on what its beats give away."""
    usleep = ctypes.PyDLL(None).usleep  # keeps the lock
    large = np.zeros((60, 512, 512), np.int16)
    run = started(tmp_path, voxels=large)
    until(lambda: not run.running, run, lambda: usleep(int(1e6 * BEAT)))
    assert run.error is None
    assert run.result[1].shape == large.shape
    run = at_work(started(tmp_path, "wait"))
    run.cancel()
    until(lambda: not run.running, run, lambda: usleep(int(1e6 * BEAT)))
    assert isinstance(run.error, CancelledError)
