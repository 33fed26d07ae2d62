"""What the table of a large store costs: finishing it, and opening it again, a row at a time.

The row of one real pair is committed over and over under new numbers, in blocks of 64 without
their arrays, so that finishing and opening see a store of many pairs within seconds. Appends to
build/bench.json.
Run: python Testing/benchmarks/bench_dataset_table.py [--pairs 20000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench_tomography import machine_facts, record

from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import (
    BlockRecord,
    read_record,
    read_spec,
    write_record,
    write_spec,
)
from spinemar.dataset.storage.reader import PairStore
from spinemar.demo.sample_data import sample_ct

BLOCK_PAIRS = 64
LANDMARKS = Path(__file__).resolve().parents[2] / "Resources/Landmarks/lidc_idri_0001.json"


def grown_store(store: Path, pairs: int) -> None:
    """Make one pair, then commit its row `pairs` times."""
    make_store(store, [CtEntry(sample_ct(), "sample", landmarks=LANDMARKS)], 1, seed=1)
    first = read_record(store, 0)
    assert first is not None
    write_spec(store, replace(read_spec(store), block_pairs=BLOCK_PAIRS))
    for block in range(-(-pairs // BLOCK_PAIRS)):
        numbers = range(block * BLOCK_PAIRS, min(pairs, (block + 1) * BLOCK_PAIRS))
        rows = [{**first.rows[0], "index": number} for number in numbers]
        write_record(store, BlockRecord(block, rows, first.sha256))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20000)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "pairs.zarr"
        grown_store(store, pairs)
        finishing = timed(lambda: finish_store(store))
        opening = timed(lambda: PairStore(store))
        row_bytes = (store / "pairs.jsonl").stat().st_size / pairs
    print(f"finishing {pairs} pairs: {1e3 * finishing / pairs:.2f} ms a pair")
    print(f"opening them: {1e3 * opening / pairs:.3f} ms a pair, {row_bytes / 1e3:.1f} kB a row")
    record(
        [
            {
                "name": f"table of {pairs} pairs, finishing, per pair",
                "seconds": finishing / pairs,
                "peer": "opening",
                "peer_seconds": opening / pairs,
                "ratio": round(opening / finishing, 2),
                "row_bytes": round(row_bytes),
                "machine": machine_facts(),
            }
        ]
    )


if __name__ == "__main__":
    main()
