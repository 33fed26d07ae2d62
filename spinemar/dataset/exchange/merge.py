"""Put stores together: their pairs, records and splits, under new numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from spinemar.base.atomic_files import atomic_path
from spinemar.base.file_locks import output_lock
from spinemar.dataset.blocks import commit_block, stored_pairs
from spinemar.dataset.exchange.conflicts import refuse_conflicts
from spinemar.dataset.judge import refuse_judge
from spinemar.dataset.pairs.pair import Pair
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import (
    WORK,
    InputFact,
    Spec,
    array_shape,
    create_arrays,
    held_pairs,
    read_spec,
    records,
    write_spec,
    zarr_package,
)
from spinemar.dataset.storage.split import read_splits
from spinemar.dataset.storage.verify import verify_store
from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress


def merge_stores(
    stores: Sequence[Path],
    output: Path,
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> int:
    """Write one store of the pairs of several, one after the other; they stay as they are.

    Pairs get new numbers (`index`); what they were made of (`seeds`) stays in their rows. Patients
    stay in their splits.

    Parameters
    ----------
    stores : sequence of Path
        Finished stores of the same fields and shapes.
    output : Path
        Must not exist.
    progress, cancel : optional
        See `spinemar.progress`.

    Returns
    -------
    int
        Pairs of the new store.

    Raises
    ------
    InputError
        If the stores differ in what their pairs are, share pairs, tear a patient between splits,
        are damaged or not finished, or belong to a judge. Nothing is written then.
    """
    zarr_package()
    if len(stores) < 2:
        raise InputError("One store alone is not merged.", "Name two or more.")
    if output.exists():
        raise InputError(f"{output} exists already.", "Choose another name.")
    specs = [read_spec(store) for store in stores]
    for store in stores:
        refuse_judge(store)
    _refuse_other_kinds(stores, specs)
    splits = [read_splits(store)[0] for store in stores]
    refuse_conflicts([spec.inputs for spec in specs], splits)
    for store in stores:
        _refuse_damaged(store, cancel)
    _refuse_shared_pairs(stores)
    counts = [held_pairs(store) for store in stores]
    spec = _merged_spec(stores, specs, counts)
    with output_lock(output), atomic_path(output) as folder:
        (folder / WORK).mkdir(parents=True)
        write_spec(folder, spec)
        create_arrays(folder, spec, sum(counts))
        waiting: list[Pair] = []
        done = 0
        for pair in _renumbered(stores, specs):
            if cancel is not None:
                cancel.raise_if_cancelled()
            waiting.append(pair)
            if len(waiting) == spec.block_pairs or done + len(waiting) == sum(counts):
                commit_block(folder, spec, done // spec.block_pairs, waiting)
                done += len(waiting)
                waiting = []
                progress(Progress("Merging pairs", done, sum(counts)))
        finish_store(folder, {patient: name for some in splits for patient, name in some.items()})
        (folder / WORK).rmdir()
    return sum(counts)


def _refuse_other_kinds(stores: Sequence[Path], specs: Sequence[Spec]) -> None:
    first = specs[0]
    for store, spec in zip(stores[1:], specs[1:], strict=True):
        differing = [
            name
            for name, same in (
                ("the version of their pairs", spec.version == first.version),
                ("fields", spec.fields == first.fields),
                ("the shapes of their arrays", _shapes(spec) == _shapes(first)),
            )
            if not same
        ]
        if differing:
            raise InputError(
                f"{stores[0].name} and {store.name} differ in {', '.join(differing)}.",
                "Make one of them again with the other's settings.",
            )


def _shapes(spec: Spec) -> list[tuple[int, ...]]:
    return [array_shape(name, spec.settings, spec.version) for name in spec.fields]


def _refuse_damaged(store: Path, cancel: CancelToken | None) -> None:
    found = verify_store(store, cancel=cancel)
    if found.problems:
        raise InputError(
            f"{store.name} is damaged or not finished. {found.problems[0].what}",
            "Mend it first: `spinemar dataset verify` says how.",
        )


def _refuse_shared_pairs(stores: Sequence[Path]) -> None:
    """Refuse the same pair twice: it would count twice in whatever is learned or scored."""
    owner: dict[tuple[object, ...], tuple[Path, int]] = {}
    for store in stores:
        for record in records(store):
            for row in record.rows:
                key = (row["ct"], row["scan_seed"], *row["seeds"])
                other, index = owner.setdefault(key, (store, row["index"]))
                if (other, index) != (store, row["index"]):
                    raise InputError(
                        f"Pair {row['index']} of {store.name} is pair {index} of {other.name}.",
                        "Give each store a seed of its own.",
                    )


def _merged_spec(stores: Sequence[Path], specs: Sequence[Spec], counts: Sequence[int]) -> Spec:
    inputs: dict[str, InputFact] = {}
    parts = []
    first = 0
    for store, spec, count in zip(stores, specs, counts, strict=True):
        for item in spec.inputs:
            inputs.setdefault(item.name, replace(item, first_pair=0))
        parts.append(
            {"store": store.name, "first_pair": first, "pairs": count, "dataset": spec.to_json()}
        )
        first += count
    return replace(specs[0], inputs=tuple(inputs.values()), merged_from=tuple(parts))


def _renumbered(stores: Sequence[Path], specs: Sequence[Spec]) -> Iterator[Pair]:
    number = 0
    for store, spec in zip(stores, specs, strict=True):
        for record in records(store):
            for pair in stored_pairs(store, spec, record):
                yield replace(pair, row={**pair.row, "index": number})
                number += 1
