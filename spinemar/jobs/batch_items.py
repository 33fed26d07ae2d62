"""What a batch works on: volumes found in folders, their targets, their rows in the summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from spinemar.errors import InputError
from spinemar.files import atomic_path, full_suffix
from spinemar.io.formats import is_image_file

SUMMARY = "summary.csv"


@dataclass(frozen=True)
class BatchItem:
    """One volume of a batch and where its result goes."""

    source: Path
    output: Path


@dataclass(frozen=True)
class BatchRow:
    """One line of the summary.

    Parameters
    ----------
    source, output : str
    status : str
        "done", "no metal", "skipped" (done before with the same settings), or "failed".
    message : str
        One sentence.
    method, model, provider : str
        What really ran.
    slices_corrected, slices_left_alone : int
    metal_mm2 : float
        Metal area summed over the slices.
    change_hu : float
        RMS change of the corrected slices, averaged over them.
    seconds : float
    """

    source: str
    output: str
    status: str
    message: str
    method: str = ""
    model: str = ""
    provider: str = ""
    slices_corrected: int = 0
    slices_left_alone: int = 0
    metal_mm2: float = 0.0
    change_hu: float = 0.0
    seconds: float = 0.0


def plan_batch(
    sources: Sequence[str | Path], folder: Path, suffix: str = ".nrrd"
) -> tuple[BatchItem, ...]:
    """Find the volumes and give each a target in `folder` that no other has.

    Parameters
    ----------
    sources : sequence of path
        Volume files, folders of one DICOM series, or folders that hold such.
    folder : Path
        For the results.
    suffix : str
        Format of the results.

    Raises
    ------
    InputError
        If a source does not exist or no volume is found.
    """
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.exists():
            raise InputError(f"{source} does not exist.", "Check the path.")
        found += [p for p in _volumes(source) if folder not in (p, *p.parents)]
    if not found:
        raise InputError(
            "No volume was found.", "Give NRRD, NIfTI or MetaImage files, or DICOM folders."
        )
    unique = list(dict.fromkeys(path.resolve() for path in found))
    items: list[BatchItem] = []
    taken: set[str] = set()
    for path in unique:
        stem = path.name.removesuffix(full_suffix(path)) if path.is_file() else path.name
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        items.append(BatchItem(path, folder / f"{name}_corrected{suffix}"))
    return tuple(items)


def _volumes(source: Path) -> Iterable[Path]:
    if source.is_file():
        yield source
        return
    entries = sorted(p for p in source.iterdir() if not p.name.startswith("."))
    images = [p for p in entries if p.is_file() and is_image_file(p)]
    if images:
        yield from images
    elif any(_is_dicom(p) for p in entries if p.is_file()):
        yield source
    for entry in entries:
        if entry.is_dir():
            yield from _volumes(entry)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(128)
        return stream.read(4) == b"DICM"


def _as_text(value: object) -> object:
    """Keep a spreadsheet from taking a name for a formula, and names that are no text apart."""
    if not isinstance(value, str):
        return value
    text = value.encode(errors="replace").decode()
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def write_summary(path: Path, rows: Sequence[BatchRow]) -> None:
    """Write the table of a batch as CSV, complete or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(BatchRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _as_text(v) for k, v in asdict(row).items()} for row in rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
