"""Signals and death, everywhere alike: an end with code 3, nobody left behind, no hang."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spinemar.base.files.left_over import settle_left_over
from spinemar.base.files.sets import is_current
from spinemar.io import write_volume
from Testing.core.dataset.conftest import ct_folder  # noqa: F401 - a fixture
from Testing.core.reliability.conftest import ROOT, drawn_ct, snapshot

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# Loaded by every Python that is started, workers included. Reading a CT then begins what nothing
# interrupts: a library that computes for hours, or work that asks whether it was cancelled.
_STUCK = """
import hashlib, os, pathlib, sys, time
if os.environ.get("STUCK"):
    import spinemar.io
    def stuck(path, **options):
        pathlib.Path(os.environ["MARKS"], str(os.getpid())).touch()
        if os.environ["STUCK"] == "library":
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
        while True:
            time.sleep(0.05)
    spinemar.io.read_volume = stuck
    if os.environ["STUCK"] == "block":
        import spinemar.io.volumes
        spinemar.io.read_volume = spinemar.io.volumes.read_volume
        import spinemar.dataset.blocks as blocks
        def make_block(*arguments):
            stuck("block")
        blocks.make_block = make_block
"""


@dataclass
class Started:
    """A command in a process of its own."""

    process: subprocess.Popen[str]
    marks: Path

    def begun(self, count: int = 1) -> list[int]:
        """Wait until so many processes have begun to be stuck."""
        for _ in range(1200):
            pids = [int(path.name) for path in self.marks.iterdir()]
            if len(pids) >= count:
                return pids
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError("it did not begin")

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def gone(pids: list[int]) -> bool:
    """Whether all these processes end, or have ended."""
    for _ in range(200):
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start a command in which reading a CT is stuck."""
    site, marks = tmp_path / "site", tmp_path / "marks"
    site.mkdir()
    marks.mkdir()
    (site / "sitecustomize.py").write_text(_STUCK)
    running: list[Started] = []

    def run(
        *arguments: object, stuck: str = "library", module: str = "spinemar.cli.main"
    ) -> Started:
        path = os.pathsep.join([str(site), str(ROOT)])
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "STUCK": stuck, "MARKS": str(marks), "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=ROOT,
        )  # fmt: skip
        running.append(Started(process, marks))
        return running[-1]

    yield run
    for one in running:
        for pid in [one.process.pid, *(int(p.name) for p in marks.iterdir())]:
            if _runs(pid):
                os.kill(pid, signal.SIGKILL)
        one.process.wait()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with two CTs."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name in ("a", "b"):
        write_volume(folder / f"{name}.nrrd", drawn_ct((3, 32, 32)))
    return folder


def _words(command: str, study: Path, out: Path) -> list[object]:
    ct = study / "a.nrrd"
    return {
        "correct": ["correct", ct, "-o", out / "o.nrrd", "--method", "li"],
        "batch": ["correct-batch", study, "-o", out / "many", "--method", "li"],
        "batch of 2": ["correct-batch", study, "-o", out / "many", "--method", "li",
                       "--workers", 2],
        "simulate": ["simulate", ct, "-o", out / "scan"],
        "segment": ["segment", ct, "-o", out / "spine.nrrd"],
        "plan": ["plan", ct, "--levels", "L1", "-o", out / "plan.json"],
        "evaluate": ["evaluate", ct, ct],
    }[command]  # fmt: skip


COMMANDS = ["correct", "batch", "batch of 2", "simulate", "segment", "plan", "evaluate"]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _left(out: Path) -> set[str]:
    """Return what is left that is not hidden: locks and parts are removed by the next run."""
    return {p.name for p in out.rglob("*") if not p.name.startswith(".") and p.is_file()}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_ends_what_nothing_interrupts(
    start, study: Path, tmp_path: Path, command: str, number: int
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    before = snapshot(study)
    run = start(*_words(command, study, out), "--json")
    pids = run.begun(2 if command == "batch of 2" else 1)
    run.process.send_signal(number)
    code, told, said = run.ended()
    assert code == 3, said
    assert "Cancelled" in said
    assert "Traceback" not in said
    assert '"exit_code": 3' in told
    assert gone(pids)
    assert _left(out) <= {"summary.csv"}
    assert snapshot(study) == before


@pytest.mark.parametrize("command", ["correct", "batch of 2"])
def test_a_second_signal_ends_it_at_once(start, study: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    run = start(*_words(command, study, tmp_path / "out"))
    pids = run.begun()
    for _ in range(2):
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    # The first one may have done: then the second meets a Python that ends, and ends it plainly.
    assert run.ended()[0] in (3, -signal.SIGTERM)
    assert gone(pids)


def test_a_summary_is_there_after_a_cancel(start, study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run = start(*_words("batch of 2", study, tmp_path / "out"))
    run.begun(2)
    run.process.send_signal(signal.SIGINT)
    assert run.ended()[0] == 3
    assert (tmp_path / "out" / "many" / "summary.csv").read_text().startswith("source,output,")


def test_workers_end_with_a_parent_that_was_killed(start, study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    run = start(*_words("batch of 2", study, tmp_path / "out"))
    pids = run.begun(2)
    run.process.kill()
    assert gone(pids)


def test_what_was_started_to_ignore_a_signal_ignores_it(
    start, study: Path, tmp_path: Path, monkeypatch
) -> None:
    """`nohup` goes on when the terminal is closed."""
    (tmp_path / "out").mkdir()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = start(*_words("correct", study, tmp_path / "out"))
    finally:
        signal.signal(signal.SIGHUP, before)
    run.begun()
    run.process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(timeout=5)


@pytest.mark.parametrize("how", ["command", "end of stdin", "signal"])
def test_a_worker_ends_what_nothing_interrupts(
    start, study: Path, tmp_path: Path, how: str
) -> None:
    run = start("-", "--attended", module="spinemar.jobs.worker")
    assert run.process.stdin is not None
    run.process.stdin.write(
        '{"schema": "spinemar-job/1", "kind": "correct", "settings": {"method": "li"}, '
        f'"input": "{study}/a.nrrd", "output": "{tmp_path}/o.nrrd"}}\n'
    )
    run.process.stdin.flush()
    run.begun()
    if how == "command":
        run.process.stdin.write('{"command": "cancel"}\n')
        run.process.stdin.flush()
    elif how == "end of stdin":
        run.process.stdin.close()
        run.process.stdin = None
    else:
        run.process.send_signal(signal.SIGTERM)
    code, told, said = run.ended()
    assert code == 3
    assert '"event": "cancelled"' in told
    assert "Traceback" not in said
    assert not (tmp_path / "o.nrrd").exists()


@pytest.mark.parametrize(
    ("workers", "end"),
    [
        (1, signal.SIGINT),
        (1, signal.SIGHUP),
        (2, signal.SIGINT),
        (2, signal.SIGTERM),
        (2, signal.SIGKILL),
    ],
)
def test_making_pairs_ends_with_all_its_workers(
    start,
    ct_folder: Path,  # noqa: F811
    tmp_path: Path,
    workers: int,
    end: signal.Signals,
) -> None:
    if workers > 1:
        pytest.importorskip("distributed")
    pytest.importorskip("zarr")
    run = start("dataset", "make", ct_folder / "cts.json", "-o", tmp_path / "pairs.zarr",
                "--pairs", 4, "--block", 1, "--settings", ct_folder / "small.json",
                "--workers", workers, stuck="block")  # fmt: skip
    pids = run.begun(workers)
    children = _descendants(run.process.pid)
    run.process.send_signal(end)
    code, _, said = run.ended()
    assert code == (3 if end != signal.SIGKILL else -signal.SIGKILL), said
    assert "Traceback" not in said
    assert gone([*pids, *children])


def _descendants(parent: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


@pytest.mark.slow
def test_fifty_ends_at_random_moments(tmp_path: Path, study: Path) -> None:
    """Whatever ends a run whenever: results are whole and told truly, nobody is left behind."""
    rng = random.Random(7)
    out = tmp_path / "out"
    out.mkdir()
    codes = []
    longest = _whole_run_s(study, tmp_path / "sound")
    for turn in range(50):
        command = rng.choice(["correct", "batch of 2", "simulate"])
        words = _words(command, study, out)
        if command != "batch of 2":
            words += ["--overwrite"]
        if command == "simulate":
            words += ["--seed", turn]
        number = rng.choice([*SIGNALS, signal.SIGKILL])
        process = subprocess.Popen(
            [sys.executable, "-m", "spinemar.cli.main", *map(str, words)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        time.sleep(rng.uniform(0.1, 1.5 * longest))
        children = _descendants(process.pid)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        codes.append(process.returncode)
        assert gone([process.pid, *children])
        # Until our own handlers are there, within the first moments, a signal ends it plainly.
        assert process.returncode in (0, 3, -number), said
        _check_whole(out)
    assert {0, 3, -signal.SIGKILL} <= set(codes)


def _whole_run_s(study: Path, out: Path) -> float:
    """How long a correction takes here and now, so that the moments fall into the runs."""
    out.mkdir()
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "spinemar.cli.main", *map(str, _words("correct", study, out))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, check=True,
    )  # fmt: skip
    return time.monotonic() - started


def _check_whole(out: Path) -> None:
    """Each set of files is all there, and of one run."""
    for facts in (out / "o.json", *(out / "many").glob("*.json"), out / "scan" / "scan.json"):
        if not facts.parent.exists():
            continue
        settle_left_over(facts)
        if facts.exists():
            stated = json.loads(facts.read_text())["sha256"]
            assert stated
            assert all(is_current(facts.parent / name, stated) for name in stated)
        else:
            assert not facts.with_suffix(".nrrd").exists()
