"""Make one block of pairs and commit it: the unit of work of every worker."""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinemar.base.files.hashes import file_sha256
from spinemar.dataset.pairs.pair import Pair, make_pair
from spinemar.dataset.sampling.patients import Patient, load_patient
from spinemar.dataset.storage.layout import (
    WORK,
    BlockRecord,
    InputFact,
    Spec,
    block_range,
    create_arrays,
    read_record,
    read_spec,
    record_path,
    shard_path,
    write_record,
    zarr_package,
)


@dataclass(frozen=True)
class BlockDone:
    """What a worker reports of a block.

    Parameters
    ----------
    block, pairs : int
    seconds, cpu_seconds : float
        Wall time, and time of a processor.
    stored_bytes : int
    peak_bytes : int
        Largest memory of the worker's process so far; 0 where the system does not tell.
    worker : str
        Process id.
    """

    block: int
    pairs: int
    seconds: float
    cpu_seconds: float
    stored_bytes: int
    peak_bytes: int
    worker: str


def make_block(store: Path, block: int, pairs: int) -> BlockDone:
    """Make the pairs of a block, write their shards, then the record.

    Parameters
    ----------
    store : Path
        With specification, arrays and prepared patients.
    block : int
    pairs : int
        Pairs that the store shall hold in all.
    """
    start, cpu_start = time.perf_counter(), time.process_time()
    spec = read_spec(store)
    patients = _patients(store, spec.inputs)
    numbers = block_range(spec, block, pairs)
    made = [make_pair(patients, spec.settings, spec.seed, index) for index in numbers]
    staging = store / WORK / f"block-{block}-{secrets.token_hex(6)}"
    try:
        sha256 = _write_shards(staging, spec, numbers, made)
        # From here on the old shards, of a block that was shorter, no longer count.
        record_path(store, block).unlink(missing_ok=True)
        for name in sha256:
            target = shard_path(store, name, block)
            target.parent.mkdir(parents=True, exist_ok=True)
            shard_path(staging, name, block).replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_record(store, BlockRecord(block, [pair.row for pair in made], sha256))
    return BlockDone(
        block,
        len(made),
        time.perf_counter() - start,
        time.process_time() - cpu_start,
        sum(shard_path(store, name, block).stat().st_size for name in sha256),
        _peak_bytes(),
        str(os.getpid()),
    )


def _write_shards(staging: Path, spec: Spec, numbers: range, made: list[Pair]) -> dict[str, str]:
    """Write a block's shards into a store of their own and return their SHA-256 by array.

    From there whole files are moved into place: whatever lies there (half a shard, the same one
    of a worker that was thought dead) is never read, and no worker disturbs another.
    """
    zarr = zarr_package()

    create_arrays(staging, spec, numbers.stop)
    group = zarr.open_group(staging, mode="r+")
    for name in spec.fields:
        group[name][numbers.start : numbers.stop] = np.stack([pair.arrays[name] for pair in made])
    block = numbers.start // spec.block_pairs
    files = {name: shard_path(staging, name, block) for name in spec.fields}
    # A shard of nothing but zeros (no saturated pixel) is not written at all.
    return {name: file_sha256(path) for name, path in files.items() if path.exists()}


def block_is_done(store: Path, block: int, wanted: int) -> bool:
    """Whether a block is committed with as many pairs as wanted."""
    record = read_record(store, block)
    return record is not None and len(record.rows) >= wanted


@functools.lru_cache(maxsize=1)
def _patients(store: Path, inputs: tuple[InputFact, ...]) -> tuple[Patient, ...]:
    """Open the patients once a process; their voxels stay on disk."""
    return tuple(load_patient(store / WORK / item.name) for item in inputs)


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
