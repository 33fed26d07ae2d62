"""What stands around the arrays: the table of all pairs, the splits, the card, the digests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.base.files.hashes import file_sha256
from spinemar.dataset.storage.card import card_text
from spinemar.dataset.storage.layout import (
    BLOCKS,
    CARD,
    SPEC,
    SPLITS,
    SUMS,
    TABLE,
    read_spec,
    records,
    write_text,
)
from spinemar.dataset.storage.split import assign_patients, read_splits, splits_text
from spinemar.dataset.storage.totals import Totals


def finish_store(store: Path, patients: Mapping[str, str] | None = None) -> None:
    """Write table, splits, card and digests from the records of complete blocks.

    Parameters
    ----------
    store : Path
    patients : mapping of patient to split, optional
        By default as before, or drawn where there are no splits yet.
    """
    spec = read_spec(store)
    totals = Totals()
    with atomic_path(store / TABLE) as temporary, temporary.open("w", encoding="utf-8") as table:
        for record in records(store):
            for row in record.rows:
                table.write(table_line(row))
                totals.add(row)
    if patients is None:
        known = (store / SPLITS).exists()
        patients = read_splits(store)[0] if known else assign_patients(spec.inputs)
    write_text(store / SPLITS, splits_text(patients, totals.pairs))
    write_text(store / CARD, card_text(spec, totals, patients, store))
    write_text(store / SUMS, _sums_text(store, spec.fields))
    for folder in (store, store / BLOCKS):
        for left in folder.glob(".*.part"):  # by writers that were killed
            shutil.rmtree(left, ignore_errors=True)


def table_line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(row, separators=(",", ":"), sort_keys=True) + "\n"


def _sums_text(store: Path, fields: Sequence[str]) -> str:
    """Return the SHA-256 of every file beside shards and records, as `sha256sum -c` reads it."""
    return "".join(f"{file_sha256(store / name)}  {name}\n" for name in small_files(fields))


def small_files(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the files of a store with these fields whose digests stand in SHA256SUMS."""
    metadata = [f"{name}/zarr.json" for name in fields]
    return (SPEC, TABLE, SPLITS, CARD, "zarr.json", *metadata)
