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
from spinemar.dataset.pairs.domains import EARLIER
from spinemar.dataset.pairs.earlier import with_earlier_ct
from spinemar.dataset.pairs.pair import Pair, make_pair
from spinemar.dataset.sampling.patients import Patient, load_patient
from spinemar.dataset.storage.layout import (
    WORK,
    BlockRecord,
    InputFact,
    Spec,
    block_range,
    create_arrays,
    read_arrays,
    read_record,
    read_spec,
    record_path,
    shard_path,
    write_record,
    zarr_package,
)
from spinemar.errors import InputError


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
    patients = _patients(store, spec.newest)
    numbers = block_range(spec, block, pairs)
    made = _older_pairs(store, spec, block)
    for index in range(numbers.start + len(made), numbers.stop):
        pair = make_pair(patients, spec.settings, spec.seed, index)
        if set(EARLIER) & set(spec.fields):
            pair = with_earlier_ct(pair, patients, spec.settings)
        made.append(pair)
    sha256 = commit_block(store, spec, block, made)
    return BlockDone(
        block,
        len(made),
        time.perf_counter() - start,
        time.process_time() - cpu_start,
        sum(shard_path(store, name, block).stat().st_size for name in sha256),
        _peak_bytes(),
        str(os.getpid()),
    )


def commit_block(store: Path, spec: Spec, block: int, made: list[Pair]) -> dict[str, str]:
    """Write the shards of a block, then its record.

    Parameters
    ----------
    store : Path
    spec : Spec
    block : int
    made : list of Pair
        All of the block's.

    Returns
    -------
    dict of str to str
        SHA-256 of each shard, by array.
    """
    first = block * spec.block_pairs
    numbers = range(first, first + len(made))
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
    return sha256


def stored_pairs(store: Path, spec: Spec, record: BlockRecord) -> list[Pair]:
    """Read the pairs of a block as they were made.

    Raises
    ------
    InputError
        If a shard is not what was written.
    """
    for name in spec.fields:
        path = shard_path(store, name, record.block)
        if (file_sha256(path) if path.is_file() else None) != record.sha256.get(name):
            raise InputError(
                f"The shard {path.relative_to(store).as_posix()} of {store.name} is not what was "
                "written.",
                "See what else is damaged with `spinemar dataset verify`.",
            )
    group = read_arrays(store, spec.fields)
    return [
        Pair({name: np.asarray(group[name][row["index"]]) for name in spec.fields}, row)
        for row in record.rows
    ]


def _older_pairs(store: Path, spec: Spec, block: int) -> list[Pair]:
    """Return the block's pairs of CTs that were there before others were added.

    They are kept, not made again: their CTs need not be at hand.

    Raises
    ------
    InputError
        If they are lost.
    """
    count = max(spec.first_pair - block * spec.block_pairs, 0)
    if not count:
        return []
    record = read_record(store, block)
    kept = [] if record is None else stored_pairs(store, spec, record)[:count]
    if len(kept) < min(count, spec.block_pairs):
        raise InputError(
            f"Block {block} of {store.name} is lost, and its pairs show CTs that were there before "
            "others were added: they cannot be made again here.",
            "Take the block from a copy of the store.",
        )
    return kept


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
