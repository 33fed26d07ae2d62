"""Further CTs for a store that is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spinemar import __version__
from spinemar.base.extras import require
from spinemar.base.file_locks import output_lock
from spinemar.dataset.blocks import block_is_done
from spinemar.dataset.exchange.conflicts import refuse_conflicts
from spinemar.dataset.make import Made, complete_store, prepare_inputs, refuse_merged
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.storage.layout import (
    SPLITS,
    VERSION,
    WORK,
    InputFact,
    Spec,
    block_count,
    block_range,
    held_pairs,
    read_spec,
    write_spec,
    write_text,
    zarr_package,
)
from spinemar.dataset.storage.split import assign_patients, read_splits
from spinemar.errors import InputError
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress


def add_to_store(
    store: Path,
    inputs: Sequence[CtEntry],
    pairs: int,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Made:
    """Lengthen a store by pairs of further CTs; those that were there before are not needed.

    What is there stays as it is. The same call goes on where an earlier one was stopped.

    Parameters
    ----------
    store : Path
        Finished.
    inputs : sequence of CtEntry
        The further CTs: every further pair shows one of these.
    pairs : int
        Pairs that the store shall hold in all.
    workers, scheduler, progress, cancel : optional
        As for `make_store`.

    Raises
    ------
    InputError
        If the store is not finished, was merged, or belongs to another version; if a CT is in it
        already, or a patient would be in two splits. Nothing is changed then.
    FaultError, CancelledError
        As `make_store`.
    """
    zarr_package()
    if workers > 1 or scheduler is not None:
        require("Work on several workers", "distributed")
    store = store.absolute()
    read_spec(store)  # before anything is made
    with output_lock(store):
        known = read_spec(store)
        _refuse_other_versions(store, known)
        left_work = (store / WORK).exists()
        try:
            (store / WORK).mkdir(exist_ok=True)
            facts = prepare_inputs(store, inputs, progress, cancel)
            if not _are_newest(known, facts):
                known = _with_further(store, known, facts, pairs)
                _write_further_splits(store, facts)
                write_spec(store, known)
        except InputError:
            if not left_work:
                shutil.rmtree(store / WORK, ignore_errors=True)
            raise
        return complete_store(store, known, pairs, workers, scheduler, progress, cancel)


def _refuse_other_versions(store: Path, spec: Spec) -> None:
    refuse_merged(store, spec)
    if (spec.version, spec.software_version) != (VERSION, __version__):
        raise InputError(
            f"{store.name} was made by SpineMAR {spec.software_version}, this is {__version__}, "
            "whose pairs may be others.",
            "Make a store of the further CTs and put both together with `spinemar dataset merge`.",
        )


def _are_newest(spec: Spec, facts: Sequence[InputFact]) -> bool:
    """Whether these CTs were added last: then the run goes on with them."""
    further = tuple(replace(fact, first_pair=spec.first_pair) for fact in facts)
    return spec.first_pair > 0 and further == spec.newest


def _with_further(store: Path, known: Spec, facts: Sequence[InputFact], pairs: int) -> Spec:
    """Return the specification with CTs that are shown from the next pair on."""
    first = held_pairs(store)
    for block in range(max(block_count(known, first), 1)):
        if not block_is_done(store, block, max(len(block_range(known, block, first)), 1)):
            raise InputError(
                f"{store.name} is not finished: block {block} is missing.",
                "Run the command that makes it once more, then add CTs.",
            )
    if pairs <= first:
        raise InputError(
            f"{store.name} holds {first} pairs already.",
            "Ask for more: the further ones show the CTs that are added.",
        )
    names = {item.name for item in known.inputs}
    twice = sorted(fact.name for fact in facts if fact.name in names)
    if twice:
        raise InputError(f"{store.name} has a CT called {twice[0]} already.", "Leave it out.")
    stated = {fact.patient: fact.split for fact in facts if fact.split is not None}
    refuse_conflicts([known.inputs, facts], [read_splits(store)[0], stated])
    return replace(
        known, inputs=(*known.inputs, *(replace(fact, first_pair=first) for fact in facts))
    )


def _write_further_splits(store: Path, facts: Sequence[InputFact]) -> None:
    """Put the new patients into their splits; what is there stays."""
    patients, pairs = read_splits(store)
    document = {"patients": {**assign_patients(facts), **patients}, "pairs": pairs}
    write_text(store / SPLITS, json.dumps(document, separators=(",", ":")) + "\n")
