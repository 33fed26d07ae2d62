"""Make a store: prepare the patients, make the blocks here or on a cluster, resume what broke."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import disk_fault
from spinemar.base.extras import require
from spinemar.base.file_locks import output_lock
from spinemar.dataset.blocks import BlockDone, block_is_done, make_block
from spinemar.dataset.cluster import cluster_client
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.pairs.domains import FIELDS
from spinemar.dataset.sampling.patients import load_patient, prepare_patient
from spinemar.dataset.storage.finish import finish_store
from spinemar.dataset.storage.layout import (
    SPEC,
    WORK,
    InputFact,
    Spec,
    block_count,
    block_range,
    chosen_fields,
    create_arrays,
    held_pairs,
    read_spec,
    write_spec,
    zarr_package,
)
from spinemar.errors import CancelledError, FaultError, InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress

BLOCK_PAIRS = 8
_STAGE = "Making pairs"
_RETRIES = 3
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Made:
    """What one run of `make_store` did.

    Parameters
    ----------
    pairs, blocks : int
        In the store now.
    found_blocks : int
        Complete before this run.
    done : tuple of BlockDone
        Blocks of this run.
    """

    pairs: int
    blocks: int
    found_blocks: int
    done: tuple[BlockDone, ...]


def make_store(
    store: Path,
    inputs: Sequence[CtEntry],
    pairs: int,
    *,
    settings: PairSettings | None = None,
    seed: int = 0,
    workers: int = 1,
    scheduler: str | None = None,
    block_pairs: int = BLOCK_PAIRS,
    fields: Sequence[str] = FIELDS,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Made:
    """Make a store of pairs, or complete or lengthen one.

    Parameters
    ----------
    store : Path
        Folder; made if it does not exist. An existing store must be of the same seed,
        settings and CTs.
    inputs : sequence of CtEntry
    pairs : int
        Pairs in the end; fewer than an interrupted run was to make are fine, fewer than there are
        are not.
    settings : PairSettings, optional
    seed : int
    workers : int
        Processes on this machine; 1 works in this process.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers share this file system; overrides
        `workers`.
    block_pairs : int
        Pairs of a shard, the unit of work.
    fields : sequence of str
        Of `spinemar.dataset.pairs.domains.FIELDS`; others are left out of the store.
    progress, cancel : optional
        See `spinemar.progress`.

    Raises
    ------
    InputError
        If the folder is no store, another run is writing it, it is another data set or holds more
        pairs, or an input cannot be used. Nothing is left then that was not there before.
    FaultError
        If workers keep dying.
    CancelledError
        Complete blocks stay; the same call goes on from there.
    """
    if pairs < 1 or block_pairs < 1 or workers < 1:
        raise InputError("Pairs, pairs of a block and workers are 1 or more.", "Raise them.")
    zarr_package()  # before anything is made
    if workers > 1 or scheduler is not None:
        require("Work on several workers", "distributed")
    draft = Spec(seed, settings or PairSettings(), (), block_pairs, fields=chosen_fields(fields))
    store = store.absolute()
    _refuse_other_folder(store)
    with _nothing_left_if_refused(store), output_lock(store):
        (store / WORK).mkdir(parents=True, exist_ok=True)
        spec = _prepared_spec(store, inputs, draft, progress, cancel)
        return complete_store(store, spec, pairs, workers, scheduler, progress, cancel)


def complete_store(
    store: Path,
    spec: Spec,
    pairs: int,
    workers: int,
    scheduler: str | None,
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> Made:
    """Make the blocks that are missing, and what stands around them.

    Parameters
    ----------
    store : Path
        Locked, with its specification and the newest CTs prepared.
    spec : Spec
    pairs, workers, scheduler, progress, cancel
        As for `make_store`.

    Raises
    ------
    InputError, FaultError, CancelledError
        As `make_store`.
    """
    if (held := held_pairs(store)) > pairs:
        raise InputError(
            f"{store.name} holds pairs up to number {held - 1} already.",
            f"Ask for {held} or more; pairs are never deleted.",
        )
    create_arrays(store, spec, pairs)
    count = block_count(spec, pairs)
    open_blocks = [
        block
        for block in range(count)
        if not block_is_done(store, block, len(block_range(spec, block, pairs)))
    ]
    done: list[BlockDone] = []
    complete = pairs - sum(len(block_range(spec, block, pairs)) for block in open_blocks)
    progress(Progress(_STAGE, complete, pairs))
    with _executed(store, open_blocks, pairs, workers, scheduler, cancel) as results:
        for one in results:
            done.append(one)
            complete += one.pairs
            progress(Progress(_STAGE, complete, pairs))
    finish_store(store)
    shutil.rmtree(store / WORK, ignore_errors=True)
    return Made(pairs, count, count - len(open_blocks), tuple(done))


def _refuse_other_folder(store: Path) -> None:
    """Refuse what is there and is no store: its README.md and .work would be replaced.

    Raises
    ------
    InputError
    """
    if not os.path.lexists(store):
        return
    # A run that was killed before it wrote the specification leaves its work alone.
    foreign = not store.is_dir() or any(p.name != WORK for p in store.iterdir())
    if foreign and not (store / SPEC).is_file():
        raise InputError(
            f"{store} is there and is no store of training pairs.",
            "Choose another name, or an empty folder.",
        )


@contextmanager
def _nothing_left_if_refused(store: Path) -> Iterator[None]:
    """Make the store's folder; where the run is refused, remove what was not there before."""
    made = [p for p in (store / WORK, store, *store.parents) if not os.path.lexists(p)]
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        yield
    except InputError:
        if made:
            shutil.rmtree(made[-1], ignore_errors=True)
        raise
    except OSError as error:
        if made and str(error.filename) in map(str, made):
            raise disk_fault(error, store) from error
        raise


def _prepared_spec(
    store: Path,
    inputs: Sequence[CtEntry],
    draft: Spec,
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> Spec:
    """Prepare the patients and write the drafted specification, or check it with the store's."""
    facts = prepare_inputs(store, inputs, progress, cancel)
    spec = replace(draft, inputs=tuple(facts))
    if not (store / SPEC).exists():
        write_spec(store, spec)
        return spec
    known = read_spec(store)
    refuse_merged(store, known)
    if known.first_pair:  # CTs were added: to go on, those that were added last are named
        older = known.inputs[: -len(known.newest)]
        further = (replace(fact, first_pair=known.first_pair) for fact in facts)
        spec = replace(spec, inputs=(*older, *further))
    if known != spec:
        differing = [
            name
            for name in (item.name for item in fields_of(Spec))
            if getattr(known, name) != getattr(spec, name)
        ]
        raise InputError(
            f"{store.name} is another data set: it differs in {', '.join(differing)}.",
            "Use its own options to go on with it, or choose another folder.",
        )
    return known


def prepare_inputs(
    store: Path,
    inputs: Sequence[CtEntry],
    progress: ProgressCallback,
    cancel: CancelToken | None,
) -> list[InputFact]:
    """Prepare CTs in a store's working folder, which must exist, and return what they are.

    Raises
    ------
    InputError
        If one cannot be used.
    """
    facts = []
    for number, entry in enumerate(inputs):
        progress(Progress("Preparing CTs", number, len(inputs)))
        patient = load_patient(prepare_patient(entry, store / WORK, cancel))
        facts.append(
            InputFact(patient.name, patient.patient, patient.split, patient.source, patient.sha256)
        )
    progress(Progress("Preparing CTs", len(inputs), len(inputs)))
    return facts


def refuse_merged(store: Path, spec: Spec) -> None:
    """Refuse a store that was put together from others: it gets no pairs of its own.

    Raises
    ------
    InputError
    """
    if spec.merged_from:
        raise InputError(
            f"{store.name} was merged from other stores and gets no pairs of its own.",
            "Lengthen one of those and merge them again.",
        )


@contextmanager
def _executed(
    store: Path,
    blocks: Sequence[int],
    pairs: int,
    workers: int,
    scheduler: str | None,
    cancel: CancelToken | None,
) -> Iterator[Iterator[BlockDone]]:
    if not blocks:
        yield iter(())
    elif scheduler is None and workers == 1:
        yield _serial(store, blocks, pairs, cancel)
    else:
        with cluster_client(workers, scheduler) as client:
            yield _distributed(client, store, blocks, pairs, cancel)


def _stop_if_cancelled(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.cancelled:
        raise CancelledError(
            "Cancelled.", "Complete blocks stay: run the same command again to go on."
        )


def _serial(
    store: Path, blocks: Sequence[int], pairs: int, cancel: CancelToken | None
) -> Iterator[BlockDone]:
    for block in blocks:
        _stop_if_cancelled(cancel)
        yield make_block(store, block, pairs)


def _distributed(
    client: Any, store: Path, blocks: Sequence[int], pairs: int, cancel: CancelToken | None
) -> Iterator[BlockDone]:
    """Send blocks to the workers; a block whose worker dies goes to another one."""
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    futures = [
        client.submit(make_block, store, block, pairs, pure=False, retries=_RETRIES)
        for block in blocks
    ]
    try:
        completed = as_completed(futures)
        while completed.count():
            _stop_if_cancelled(cancel)
            ready = completed.next_batch(block=False)
            for future in ready:
                try:
                    yield future.result()
                except KilledWorker as error:
                    raise FaultError(
                        f"A block of pairs killed its worker every time ({error}).",
                        "Give the workers more memory, or use fewer of them.",
                    ) from error
                future.release()
            if not ready:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        client.cancel(futures)
