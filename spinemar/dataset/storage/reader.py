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
from spinemar.dataset.pairs.domains import FIELDS, IMAGES, SINOGRAMS
from spinemar.dataset.pairs.encoding import decode_integrals
from spinemar.dataset.storage.layout import TABLE, read_arrays, read_spec, records, shard_path
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import InputError

_KEPT = ("index", "ct", "patient", "domain", "placement", "pixel_mm", "bin_mm", "spacing_mm")


class PairStore(Sequence[dict[str, Any]]):
    """Pairs of a store as dictionaries of arrays; pickles, so that loaders may fork or spawn.

    Line integrals and HU come as float32, traces and masks as bool, with the first axis the
    three slices; `pixel_mm` and `bin_mm` come as float32, `index` as int.

    Parameters
    ----------
    path : Path
        A finished store, or one that is still being made: then its complete blocks.
    fields : sequence of str, optional
        Of `spinemar.dataset.pairs.domains.FIELDS`; what is left out is not read.
    split : str, optional
        "training", "validation" or "test".
    domain : str, optional
        "post" or "raw".
    """

    def __init__(
        self,
        path: str | Path,
        fields: Sequence[str] = FIELDS,
        *,
        split: str | None = None,
        domain: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.spec = read_spec(self.path)
        unknown = set(fields) - set(FIELDS)
        if unknown:
            raise InputError(
                f"Pairs have no {', '.join(sorted(unknown))}.", f"They have {', '.join(FIELDS)}."
            )
        self.fields = tuple(fields)
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
        return stored.astype(np.float32) if field in IMAGES else stored

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
