"""Training pairs a minute on one worker process and on two; memory and bytes of a pair.

Full-size pairs (512 x 512, 720 x 736, three slices) of the sample CT, which is taken for its size
only: no model is trained with them. One worker and two make the same pairs in turns, so that
whatever else the machine does falls on both. Minutes say how well workers scale only where nothing
else runs, so the machine's load is recorded; processor seconds a pair say on a busy machine, too,
whether workers wait for, or slow down, each other. Appends to build/bench.json. With
`--before REVISION` it compares, in turns and on two workers each, the code of that Git revision
with this one; both draw their own pairs of the same seed, so take many.
Run: python Testing/benchmarks/bench_dataset.py [--pairs 16] [--rounds 3] [--before REVISION]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_tomography import machine_facts, record

from spinemar.dataset.blocks import BlockDone
from spinemar.dataset.cluster import local_cluster
from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry
from spinemar.demo.sample_data import sample_ct
from spinemar.progress import Progress

GOAL = 1.7
WARM_UP_PAIRS = 4
ROOT = Path(__file__).resolve().parents[2]
LANDMARKS = ROOT / "Resources/Landmarks/lidc_idri_0001.json"
_CHILD = """
import json, sys, time
from pathlib import Path
from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry

if __name__ == "__main__":
    store, ct, landmarks, pairs = sys.argv[1:]
    times = []
    note = lambda p: times.append(time.perf_counter()) if p.stage == "Making pairs" else None
    inputs = [CtEntry(Path(ct), "sample", landmarks=Path(landmarks))]
    made = make_store(Path(store), inputs, int(pairs), seed=1, workers=2, block_pairs=1,
                      progress=note)
    cpu = [block.cpu_seconds for block in made.done]
    print(json.dumps({"cpu_seconds": cpu[2:], "seconds": times[-1] - times[2]}))
"""
"""The first two pairs pay for what a worker loads: they are not counted."""


class Side:
    """A cluster with a store that grows from round to round."""

    def __init__(self, workers: int, scheduler: str, folder: Path) -> None:
        self.workers = workers
        self.seconds: list[float] = []
        self.blocks: list[BlockDone] = []
        self._scheduler = scheduler
        self._store = folder / f"pairs-{workers}.zarr"
        self._inputs = [CtEntry(sample_ct(), "sample", landmarks=LANDMARKS)]
        self._pairs = 0

    def grow(self, pairs: int, *, measured: bool = True) -> None:
        """Make so many more pairs, one a block."""
        times: list[float] = []

        def note(progress: Progress) -> None:
            if progress.stage == "Making pairs":
                times.append(time.perf_counter())

        self._pairs += pairs
        made = make_store(
            self._store,
            self._inputs,
            self._pairs,
            seed=1,
            block_pairs=1,
            scheduler=self._scheduler,
            progress=note,
        )
        if measured:
            self.seconds.append(times[-1] - times[0])
            self.blocks += made.done

    def summary(self) -> dict[str, Any]:
        """Return the figures of all rounds."""
        pairs, seconds = len(self.blocks), sum(self.seconds)
        return {
            "workers": self.workers,
            "pairs": pairs,
            "seconds_per_pair": round(seconds / pairs, 3),
            "pairs_per_minute": round(60 * pairs / seconds, 2),
            "cpu_seconds_per_pair": round(sum(b.cpu_seconds for b in self.blocks) / pairs, 2),
            "peak_megabytes_per_worker": round(max(b.peak_bytes for b in self.blocks) / 1e6),
            "megabytes_per_pair": round(sum(b.stored_bytes for b in self.blocks) / pairs / 1e6, 2),
        }


def compare(revision: str, pairs: int, rounds: int) -> None:
    """Print what a pair costs by the code of a revision, and by this one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = folder / "before"
        old.mkdir()
        archive = subprocess.run(
            ["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
        child = folder / "child.py"
        child.write_text(_CHILD, encoding="utf-8")
        found: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
        for number in range(rounds):
            for side, tree in (("before", old), ("after", ROOT)):
                store = folder / f"{side}-{number}.zarr"
                arguments = [store, sample_ct(), LANDMARKS, pairs + 2]
                ran = subprocess.run(
                    [sys.executable, child, *map(str, arguments)],
                    env={**os.environ, "PYTHONPATH": str(tree)},
                    cwd=tree,
                    check=True,
                    stdout=subprocess.PIPE,
                )
                found[side].append(json.loads(ran.stdout))
    for side, runs in found.items():
        cpu = [seconds for run in runs for seconds in run["cpu_seconds"]]
        wall = sum(run["seconds"] for run in runs)
        print(
            f"{side} ({revision if side == 'before' else 'this code'}): "
            f"{sum(cpu) / len(cpu):.2f} processor seconds a pair, "
            f"{60 * len(cpu) / wall:.1f} pairs a minute of two workers; {len(cpu)} pairs"
        )
    print(f"load of the machine {os.getloadavg()[0]:.1f} (two when nothing else runs)")


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=16, help="pairs a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of one worker and two")
    parser.add_argument("--before", metavar="REVISION", help="compare with that code")
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if chosen.before:
        compare(chosen.before, chosen.pairs, chosen.rounds)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            Side(n, stack.enter_context(local_cluster(n)).scheduler_address, Path(folder))
            for n in (1, 2)
        ]
        for side in sides:
            side.grow(WARM_UP_PAIRS, measured=False)
        loads = [os.getloadavg()[0]]
        for _ in range(chosen.rounds):
            for side in sides:
                side.grow(chosen.pairs)
            loads.append(os.getloadavg()[0])
        one, two = (side.summary() for side in sides)
        rounds = [a / b for a, b in zip(*(side.seconds for side in sides), strict=True)]
    for figures in (one, two):
        print(", ".join(f"{name} {value}" for name, value in figures.items()))
    scaling = one["seconds_per_pair"] / two["seconds_per_pair"]
    by_round = ", ".join(f"{ratio:.2f}" for ratio in rounds)
    print(f"two workers are {scaling:.2f} times as fast as one (goal {GOAL}; rounds {by_round})")
    share = one["cpu_seconds_per_pair"] / two["cpu_seconds_per_pair"]
    print(f"a pair of two workers takes {1 / share:.2f} of the processor seconds of one worker's")
    print(f"load of the machine {min(loads):.1f} to {max(loads):.1f} (two when nothing else runs)")
    record(
        [
            {
                "name": "training pairs, 512x512, 720x736, two workers, per pair",
                "seconds": two["seconds_per_pair"],
                "peer": "one worker",
                "peer_seconds": one["seconds_per_pair"],
                "ratio": round(scaling, 2),
                "rounds": [round(ratio, 2) for ratio in rounds],
                "load": [round(load, 1) for load in loads],
                "runs": [one, two],
                "machine": machine_facts(),
            }
        ]
    )


if __name__ == "__main__":
    main()
