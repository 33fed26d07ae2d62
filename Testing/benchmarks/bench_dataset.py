"""Training pairs a minute on one worker process and on two; memory and bytes of a pair.

Full-size pairs (512 x 512, 720 x 736, three slices) of the sample CT, which is taken for its size
only: no model is trained with them. Appends to build/bench.json.
Run: python Testing/benchmarks/bench_dataset.py
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_tomography import machine_facts, record

from spinemar.dataset.blocks import BlockDone
from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry
from spinemar.progress import Progress
from spinemar.sample_data import sample_ct

BLOCK = 2
WARM_BLOCKS, MEASURED_BLOCKS = 1, 5  # of each worker
GOAL = 1.7
LANDMARKS = Path(__file__).resolve().parents[2] / "Resources/Landmarks/lidc_idri_0001.json"


def measure(workers: int, folder: Path) -> tuple[float, Sequence[BlockDone]]:
    """Return seconds and blocks of a cluster whose workers have made pairs before."""
    from distributed import Client, LocalCluster

    inputs = [CtEntry(sample_ct(), "sample", landmarks=LANDMARKS)]
    store = folder / f"pairs-{workers}.zarr"

    def run(blocks: int) -> tuple[float, Sequence[BlockDone]]:
        times: list[float] = []

        def note(progress: Progress) -> None:
            if progress.stage == "Making pairs":
                times.append(time.perf_counter())

        made = make_store(
            store,
            inputs,
            blocks * BLOCK * workers,
            seed=1,
            block_pairs=BLOCK,
            scheduler=cluster.scheduler_address,
            progress=note,
        )
        return times[-1] - times[0], made.done

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster),
    ):
        run(WARM_BLOCKS)
        return run(WARM_BLOCKS + MEASURED_BLOCKS)


def summary(workers: int, seconds: float, blocks: Sequence[BlockDone]) -> dict[str, Any]:
    """Return the figures of one run."""
    pairs = sum(block.pairs for block in blocks)
    return {
        "workers": workers,
        "pairs": pairs,
        "seconds_per_pair": round(seconds / pairs, 3),
        "pairs_per_minute": round(60 * pairs / seconds, 2),
        "cpu_seconds_per_pair": round(sum(block.cpu_seconds for block in blocks) / pairs, 2),
        "peak_megabytes_per_worker": round(max(block.peak_bytes for block in blocks) / 1e6),
        "megabytes_per_pair": round(sum(block.stored_bytes for block in blocks) / pairs / 1e6, 2),
    }


def main() -> None:
    """Measure, print and record."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        one, two = (summary(n, *measure(n, Path(folder))) for n in (1, 2))
    for figures in (one, two):
        print(", ".join(f"{name} {value}" for name, value in figures.items()))
    scaling = one["seconds_per_pair"] / two["seconds_per_pair"]
    print(f"two workers are {scaling:.2f} times as fast as one (goal {GOAL})")
    record(
        [
            {
                "name": "training pairs, 512x512, 720x736, two workers, per pair",
                "seconds": two["seconds_per_pair"],
                "peer": "one worker",
                "peer_seconds": one["seconds_per_pair"],
                "ratio": round(scaling, 2),
                "runs": [one, two],
                "machine": machine_facts(),
            }
        ]
    )


if __name__ == "__main__":
    main()
