"""Read a store: a sequence of pairs that any data loader takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.files.regular import open_regular
from spinemar.dataset.pairs.domains import FRACTIONS, IN_HU, SINOGRAMS
from spinemar.dataset.pairs.encoding import decode_fractions, decode_integrals
from spinemar.dataset.storage.layout import (
    TABLE,
    chosen_fields,
    read_arrays,
    read_spec,
    records,
    shard_path,
)
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import InputError

_KEPT = ("index", "ct", "patient", "domain", "placement", "pixel_mm", "bin_mm", "spacing_mm")


class PairStore(Sequence[dict[str, Any]]):
    """Pairs of a store as dictionaries of arrays; pickles, so that loaders may fork or spawn.

    Line integrals, HU and fractions come as float32, traces and masks as bool, with the first axis
    the three slices; `pixel_mm` and `bin_mm` come as float32, `index` as int.

    Parameters
    ----------
    path : Path
        A finished store, or one that is still being made: then its complete blocks.
    fields : sequence of str, optional
        Of `spinemar.dataset.pairs.domains.ALL_FIELDS`, by default those that the store has; what is
        left out is not read.
    split : str, optional
        "training", "validation" or "test".
    domain : str, optional
        "post" or "raw".

    Raises
    ------
    InputError
        If it is no store, or has no such field, split or domain.
    """

    def __init__(
        self,
        path: str | Path,
        fields: Sequence[str] | None = None,
        *,
        split: str | None = None,
        domain: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.spec = read_spec(self.path)
        self.fields = self.spec.fields if fields is None else tuple(fields)
        self._refuse_missing()
        rows = _kept_rows(self.path)
        if split is not None:
            chosen = read_splits(self.path)[1]
            if split not in chosen:
                raise InputError(f"There is no split {split!r}.", f"Use {', '.join(chosen)}.")
            numbers = set(chosen[split])
            rows = [row for row in rows if row["index"] in numbers]
        if domain is not None:
            rows = [row for row in rows if row["domain"] == domain]
        self.rows = rows
        self._group: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: Any) -> Any:
        """Return one pair, or a list of pairs for a slice."""
        if isinstance(position, slice):
            return [self[n] for n in range(*position.indices(len(self)))]
        row = self.rows[position]
        pair: dict[str, Any] = {name: self.read(name, row["index"]) for name in self.fields}
        pair["index"] = row["index"]
        for name in ("pixel_mm", "bin_mm"):
            pair[name] = np.float32(row[name])
        return pair

    def read(self, field: str, index: int) -> NDArray[Any]:
        """Return one array of the pair of that number, (slices, ...).

        Raises
        ------
        InputError
            If its shard is no ordinary file.
        """
        shard = shard_path(self.path, field, index // self.spec.block_pairs)
        if shard.exists() and not shard.is_file():
            raise InputError(f"The shard {shard} is no ordinary file.", "Check the store.")
        stored = np.asarray(self._arrays()[field][index])
        if field in SINOGRAMS:
            return decode_integrals(stored)
        if field in FRACTIONS:
            return decode_fractions(stored)
        return stored.astype(np.float32) if field in IN_HU else stored

    def _refuse_missing(self) -> None:
        """Say which of the wanted fields no pair, or not this store's pairs, have."""
        known = chosen_fields(self.fields) if self.fields else ()
        missing = [name for name in known if name not in self.spec.fields]
        if missing:
            why = "it is of version 1" if self.spec.version == 1 else "they were left out of it"
            raise InputError(
                f"{self.path.name} holds no {', '.join(missing)}: {why}.",
                "Make a store with these fields with `spinemar dataset make`.",
            )

    def _arrays(self) -> Any:
        if self._group is None:
            self._group = read_arrays(self.path, self.fields)
        return self._group

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_group": None}


def _kept_rows(path: Path) -> list[dict[str, Any]]:
    """Return the few columns that reading needs: whole rows of a million pairs are gigabytes."""
    if (path / TABLE).exists():
        with open_regular(path / TABLE, f"table {TABLE}") as stream:
            return [_kept(json.loads(line)) for line in stream]
    return [_kept(row) for record in records(path) for row in record.rows]


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    few = {name: row[name] for name in _KEPT}
    return {name: sys.intern(v) if isinstance(v, str) else v for name, v in few.items()}
