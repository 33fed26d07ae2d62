"""Check a store: every byte against its digest, every pair against what pairs are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.files.hashes import file_sha256
from spinemar.base.json_text import read_text
from spinemar.dataset.storage.finish import small_files, table_line
from spinemar.dataset.storage.layout import (
    BLOCKS,
    SUMS,
    TABLE,
    BlockRecord,
    Spec,
    block_count,
    block_range,
    read_arrays,
    read_record,
    read_spec,
    record_path,
    shard_path,
)
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import InputError
from spinemar.mar.segmentation.trace import ADDED_SHARE_CAP
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress


@dataclass(frozen=True)
class Problem:
    """Something wrong with a store; `block` is the block that must be made again, if one."""

    what: str
    block: int | None = None


@dataclass(frozen=True)
class Verified:
    """What was checked.

    Parameters
    ----------
    pairs, files, stored_bytes : int
    problems : tuple of Problem
        Empty where all is well.
    """

    pairs: int
    files: int
    stored_bytes: int
    problems: tuple[Problem, ...]


def verify_store(
    store: Path,
    *,
    deep: bool = False,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Verified:
    """Check all files of a store.

    Parameters
    ----------
    store : Path
    deep : bool
        Also read every pair: traces nested and capped, raw pairs equal outside the trace.
    progress, cancel : optional
        See `spinemar.progress`.
    """
    spec = read_spec(store)
    problems = list(_small_problems(store, spec))
    length = _length(store, spec)
    count = block_count(spec, length)
    people: dict[int, str] = {}
    table = hashlib.sha256()
    files, stored_bytes = len(small_files(spec.fields)) + 1, 0
    for block in range(count):
        if cancel is not None:
            cancel.raise_if_cancelled()
        wanted = block_range(spec, block, length)
        try:
            record = read_record(store, block)
        except InputError as error:
            problems.append(Problem(error.problem, block))
            continue
        if record is None or [row["index"] for row in record.rows] != list(wanted):
            problems.append(Problem(f"Block {block} is not complete.", block))
            continue
        for row in record.rows:
            people[row["index"]] = row["patient"]
            table.update(table_line(row).encode())
        problems += _shard_problems(store, spec, record)
        if deep:
            problems += _pair_problems(store, spec, record)
        files += len(record.sha256) + 1
        stored_bytes += sum(
            path.stat().st_size
            for path in (shard_path(store, name, block) for name in record.sha256)
            if path.exists()
        )
        progress(Progress("Verifying", block + 1, count))
    if (store / TABLE).exists() and file_sha256(store / TABLE) != table.hexdigest():
        problems.append(Problem(f"{TABLE} does not agree with the blocks' records."))
    problems += _split_problems(store, people)
    problems += _foreign_blocks(store, count)
    return Verified(len(people), files, stored_bytes, tuple(problems))


def discard_damaged(store: Path, found: Verified) -> int:
    """Delete the records of damaged blocks, so that the next `make` makes them anew."""
    blocks = {problem.block for problem in found.problems if problem.block is not None}
    for block in blocks:
        record_path(store, block).unlink(missing_ok=True)
    return len(blocks)


def _small_problems(store: Path, spec: Spec) -> Iterator[Problem]:
    path = store / SUMS
    if not path.exists():
        yield Problem("The store is not finished: it has no SHA256SUMS.")
        return
    try:
        lines = read_text(path, path.name).splitlines()
        stated = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (InputError, ValueError):
        yield Problem("SHA256SUMS is damaged.")
        return
    for name in sorted(set(small_files(spec.fields)) | set(stated)):
        if not (store / name).exists():
            yield Problem(f"{name} is missing.")
        elif name not in stated or file_sha256(store / name) != stated[name]:
            yield Problem(f"{name} is not what was written.")


def _length(store: Path, spec: Spec) -> int:
    first = spec.fields[0]
    try:
        return int(read_arrays(store, [first])[first].shape[0])
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"The arrays of {store.name} cannot be opened ({error}).",
            "Its zarr.json files are damaged: make the store again.",
        ) from error


def _shard_problems(store: Path, spec: Spec, record: BlockRecord) -> Iterator[Problem]:
    for name in spec.fields:
        path = shard_path(store, name, record.block)
        stated = record.sha256.get(name)
        found = file_sha256(path) if path.exists() else None
        if found != stated:
            what = "is missing" if found is None else "is not what was written"
            relative = path.relative_to(store).as_posix()
            yield Problem(f"The shard {relative} {what}.", record.block)


def _pair_problems(store: Path, spec: Spec, record: BlockRecord) -> Iterator[Problem]:
    try:
        group = read_arrays(store, spec.fields)
    except InputError as error:
        yield Problem(error.problem, record.block)
        return
    for row in record.rows:
        index = row["index"]
        try:
            pair = {name: np.asarray(group[name][index]) for name in spec.fields}
        except (ValueError, RuntimeError, OSError) as error:
            yield Problem(f"Pair {index} cannot be read ({error}).", record.block)
            continue
        for wrong in _broken_invariants(pair, row):
            yield Problem(f"Pair {index}: {wrong}.", record.block)


def _broken_invariants(pair: dict[str, Any], row: dict[str, Any]) -> Iterator[str]:
    """Name what does not hold of a pair that holds of all pairs, as far as its fields tell."""
    metal, lost = pair.get("metal_trace"), pair.get("lost_ray_trace")
    if metal is not None and lost is not None:
        if (metal & ~lost).any():
            yield "rays through metal are missing in the lost-ray trace"
        if (lost & ~metal).mean(axis=(1, 2)).max() > ADDED_SHARE_CAP + 1e-6:
            yield "saturation added more rays than the cap allows"
    found = pair.get("metal")
    if found is not None and not found[len(found) // 2].any():
        yield "the middle slice holds no metal"
    if metal is not None and row["domain"] == "raw":
        for name in ("target", "li_sinogram"):
            if {name, "sinogram"} <= pair.keys() and (pair["sinogram"] != pair[name])[~metal].any():
                yield f"raw data differ from {name} outside the trace"


def _split_problems(store: Path, people: dict[int, str]) -> Iterator[Problem]:
    try:
        patients, pairs = read_splits(store)
    except InputError as error:
        yield Problem(error.problem)
        return
    for name, numbers in pairs.items():
        there = {people[number] for number in numbers if number in people}
        if any(patients.get(patient) != name for patient in there):
            yield Problem(f"The set {name} holds pairs of another set's patients.")


def _foreign_blocks(store: Path, count: int) -> Iterator[Problem]:
    known = {record_path(store, block).name for block in range(count)}
    for path in sorted((store / BLOCKS).glob("[0-9]*.json")):
        if path.name not in known:
            yield Problem(f"{BLOCKS}/{path.name} belongs to no pair of this store.")
