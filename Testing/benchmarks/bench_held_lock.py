"""A correction from the panel under an event loop that keeps Python's lock, as Slicer's does.

The same job is run in turns under a loop that gives the lock away between beats and under one that
keeps it (the C library's `usleep`, called with the lock held); the panel's timer beats every 50 ms
in both. Prints both times, their ratio (goal: 1.2 at most), and how long a cancelled job takes to
end (goal: 2 s). POSIX only.
Run: python Testing/benchmarks/bench_held_lock.py
"""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "MetalArtifactReduction"):
    sys.path.insert(0, str(folder))

BEAT_S = 0.05
GOALS = {"ratio": 1.2, "cancel_s": 2.0}
ROUNDS = 5


def main() -> None:
    """Run in turns, print."""
    from Testing.core.reliability.conftest import drawn_ct

    if os.name != "posix":
        print("The lock is held by usleep, which is not here.")
        return
    volume = drawn_ct((24, 256, 256), mm=5.0)
    held = ctypes.PyDLL(None).usleep
    loops: dict[str, Callable[[], object]] = {
        "free": lambda: time.sleep(BEAT_S), "held": lambda: held(int(1e6 * BEAT_S)),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, pause in loops.items():
            seconds[name].append(_job_seconds(volume.hu, volume.ijk_to_ras, pause))
    median = {name: statistics.median(some) for name, some in seconds.items()}
    cancelled = max(
        _cancel_seconds(volume.hu, volume.ijk_to_ras, loops["held"]) for _ in range(ROUNDS)
    )
    print(f"free {median['free']:.2f} s, held {median['held']:.2f} s, medians of {ROUNDS}")
    print(f"ratio {median['held'] / median['free']:.2f} (goal {GOALS['ratio']} at most)")
    print(f"cancelled within {cancelled:.2f} s (goal {GOALS['cancel_s']} s)")


def _started(hu: np.ndarray, ijk_to_ras: np.ndarray, folder: str) -> Any:
    from MetalArtifactReductionLib.correction import Source, startCorrection

    from spinemar.mar.settings import CorrectionSettings

    source = Source("ct", hu.astype(np.int16), ijk_to_ras)
    return startCorrection(source, CorrectionSettings(method="nmar"), folder)


def _beat_while(condition: Callable[[], bool], run: Any, pause: Callable[[], object]) -> None:
    """Give the run its share of each beat, as the panel's timer does, while a condition holds."""
    while condition():
        run.letWork(BEAT_S)
        pause()


def _job_seconds(hu: np.ndarray, ijk_to_ras: np.ndarray, pause: Callable[[], object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = _started(hu, ijk_to_ras, folder)
        _beat_while(lambda: run.running, run, pause)
        if run.error is not None:
            raise run.error
        return time.perf_counter() - start


def _cancel_seconds(hu: np.ndarray, ijk_to_ras: np.ndarray, pause: Callable[[], object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = _started(hu, ijk_to_ras, folder)
        _beat_while(lambda: run.running and run.progress.stage != "Correcting", run, pause)
        start = time.perf_counter()
        run.cancel()
        _beat_while(lambda: run.running, run, pause)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
