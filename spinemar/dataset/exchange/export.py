"""Hand a store's pairs to code that is not ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spinemar.base.atomic_files import atomic_path, refuse_foreign
from spinemar.base.file_locks import output_lock
from spinemar.dataset.exchange.deep_lesion import AdnLayout, SynDeepLesionLayout
from spinemar.dataset.exchange.layouts import PairLayout
from spinemar.dataset.exchange.volumes import NiftiLayout, NpzLayout
from spinemar.dataset.judge import refuse_judge
from spinemar.dataset.storage.finish import table_line
from spinemar.dataset.storage.layout import CARD, SUMS, TABLE, records, zarr_package
from spinemar.dataset.storage.reader import PairStore
from spinemar.dataset.storage.split import read_splits
from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress

LAYOUTS: Mapping[str, Callable[[Path, Sequence[str]], PairLayout]] = MappingProxyType(
    {
        "syndeeplesion": SynDeepLesionLayout,
        "adn": AdnLayout,
        "nifti": NiftiLayout,
        "npz": NpzLayout,
    }
)

_STORE_CARD = "CARD.md"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    pairs : dict of str to int
        By split.
    files : int
        Of pairs, without tables and texts.
    """

    pairs: dict[str, int]
    files: int


def export_store(
    store: Path,
    output: Path,
    layout: str,
    *,
    split: str | None = None,
    domain: str | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Exported:
    """Write the pairs of a store in another layout: all of it, or nothing.

    Patients stay in their splits: each split is a folder of its own.

    Parameters
    ----------
    store : Path
        A finished store.
    output : Path
        Folder that will be written; an export that is there is replaced.
    layout : {"syndeeplesion", "adn", "nifti", "npz"}
    split, domain : str, optional
        As for `PairStore`.
    progress, cancel : optional
        See `spinemar.progress`.

    Raises
    ------
    InputError
        If there is no such layout, a package is missing, nothing is left to export, the store is
        not finished or belongs to a judge, or the folder holds something else.
    """
    if layout not in LAYOUTS:
        raise InputError(f"There is no format {layout!r}.", f"Use one of: {', '.join(LAYOUTS)}.")
    zarr_package()
    refuse_judge(store)
    stored = PairStore(store, (), split=split, domain=domain)
    if not (store / SUMS).is_file():
        raise InputError(
            f"{store.name} is not finished.", "Run the command that makes it once more."
        )
    chosen = {row["index"] for row in stored.rows}
    if not chosen:
        raise InputError(f"{store.name} holds no such pairs.", "Choose another split or domain.")
    split_of = {number: name for name, some in read_splits(store)[1].items() for number in some}
    counts: Counter[str] = Counter()
    files = 0
    refuse_foreign(output, _STORE_CARD)
    with output_lock(output), atomic_path(output) as folder:
        folder.mkdir()
        writer = LAYOUTS[layout](folder, stored.spec.fields)
        if not writer.fields:
            raise InputError(f"{store.name} holds nothing that {layout} has.", "Use npz.")
        pairs = PairStore(store, writer.fields)
        with (folder / TABLE).open("w", encoding="utf-8") as table:
            for row in _rows(store, chosen):
                if cancel is not None:
                    cancel.raise_if_cancelled()
                name = split_of[row["index"]]
                arrays = {field: pairs.read(field, row["index"]) for field in writer.fields}
                written = writer.add(name, arrays, row)
                table.write(table_line({**row, "split": name, "files": list(map(str, written))}))
                counts[name] += 1
                files += len(written)
                progress(Progress("Exporting pairs", counts.total(), len(chosen)))
        writer.close()
        _write_texts(folder, store, layout, writer.about)
    return Exported(dict(sorted(counts.items())), files)


def _rows(store: Path, chosen: set[int]) -> Iterator[dict[str, Any]]:
    for record in records(store):
        yield from (row for row in record.rows if row["index"] in chosen)


def _write_texts(folder: Path, store: Path, layout: str, about: str) -> None:
    card = (store / CARD).read_text(encoding="utf-8")
    head = f"""# Pairs of {store.name}, in the layout {layout}

{about}
`{TABLE}` says everything about each pair, one a line, with its split and files. Patients are in
one split each. `{_STORE_CARD}` is the store's card: counts, sources, licences. The images derive
from those CTs: their licences and attributions go with every copy.
"""
    (folder / CARD).write_text(head, encoding="utf-8")
    (folder / _STORE_CARD).write_text(card, encoding="utf-8")
