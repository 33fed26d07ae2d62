"""What a batch works on: volumes found in folders, their targets, their rows in the summary."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.base.files.csv_text import csv_text
from spinemar.base.files.left_over import full_suffix
from spinemar.base.files.regular import open_regular
from spinemar.errors import InputError
from spinemar.io.dicom.folder import CTSeries, ct_series, find_dicom
from spinemar.io.dicom.kind import DicomFile, Kind, look_at
from spinemar.io.formats import is_image_file

SUMMARY = "summary.csv"


@dataclass(frozen=True)
class BatchItem:
    """One volume of a batch and where its result goes.

    Parameters
    ----------
    source, output : Path
    series : str
        Label of the series, where the source holds several.
    earlier : Path or None
        The same patient's CT from before, which lends its detail.
    earlier_series : str
    labels : Path or None
        Vertebrae of this CT that somebody drew.
    """

    source: Path
    output: Path
    series: str = ""
    earlier: Path | None = None
    earlier_series: str = ""
    labels: Path | None = None


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
    series : str
        Number of the series, where the source holds several.
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
    series: str = ""


def plan_batch(
    sources: Sequence[str | Path], folder: Path, ending: str = "_corrected.nrrd"
) -> tuple[BatchItem, ...]:
    """Find the volumes and give each a target in `folder` that no other has.

    Parameters
    ----------
    sources : sequence of path
        Volume files, or folders that are searched for such and for DICOM series.
    folder : Path
        For the results; what lies in it is no source.
    ending : str
        What the results are called, behind their source's name.

    Raises
    ------
    InputError
        If a source does not exist or no volume is found.
    """
    found: dict[tuple[Path, str], None] = {}
    for source in map(Path, sources):
        if not source.exists():
            raise InputError(f"{source} does not exist.", "Check the path.")
        found |= dict.fromkeys(volumes_in(source.resolve(), folder))
    if not found:
        raise InputError(
            "No volume was found.",
            "Give NRRD, NIfTI or MetaImage files, or folders that hold a CT as DICOM.",
        )
    items: list[BatchItem] = []
    taken: set[str] = set()
    for path, series in found:
        stem = path.name.removesuffix(full_suffix(path)) if path.is_file() else path.name
        stem = f"{stem}_series{series}" if series else stem
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        items.append(BatchItem(path, folder / f"{name}{ending}", series))
    return tuple(items)


def volumes_in(source: Path, results: Path) -> Iterable[tuple[Path, str]]:
    """Find image files and DICOM series: each as its path and, where needed, its label.

    What lies in the folder `results` is no source.
    """
    if source.is_file():
        yield from [(source, "")] if is_image_file(source) else _volume_of(source, results)
        return
    files = [p for p in sorted(source.rglob("*")) if p.is_file() and results not in p.parents]
    files = [p for p in files if not any(n.startswith(".") for n in p.relative_to(source).parts)]
    yield from ((p, "") for p in files if is_image_file(p))
    seen = [look_at(p) for p in files if not is_image_file(p)]
    yield from _series([s for s in seen if s is not None])


def _volume_of(file: Path, results: Path) -> Iterable[tuple[Path, str]]:
    """Give the series that one DICOM file stands for; all that a DICOMDIR stands for."""
    seen = look_at(file)
    if seen is None or seen.kind not in (Kind.CT, Kind.ENHANCED_CT):
        if seen is not None and seen.is_directory:
            yield from volumes_in(file.parent, results)
        else:
            yield file, ""
        return
    # Any file of the series stands for all of it, so that "series7/*.dcm" is one volume.
    same = [f for f in find_dicom(file.parent, recursive=False) if f.same_series(seen)]
    yield min(f.path for f in same), ""


def _series(files: Sequence[DicomFile]) -> Iterable[tuple[Path, str]]:
    for one in ct_series(files):
        place = _common_folder(one)
        neighbours = ct_series(f for f in files if place in f.path.parents)
        label = next((n.label for n in neighbours if n.files[0] is one.files[0]), "")
        yield place, label if len(neighbours) > 1 else ""


def _common_folder(series: CTSeries) -> Path:
    return Path(os.path.commonpath([f.path.parent for f in series.files]))


def name_of(source: str, series: str) -> str:
    """Return what a volume of a batch is called to people."""
    name = Path(source).name
    return f"{name}, series {series}" if series else name


def check_table(path: Path, header: Sequence[str]) -> None:
    """Refuse to replace a table of that name that does not begin as a batch's does.

    Raises
    ------
    InputError
    """
    if not os.path.lexists(path):
        return
    head = csv_text(header, [])
    try:
        with open_regular(path, f"file {path.name}") as stream:
            ours = stream.read(len(head)).decode(errors="replace") == head
    except (OSError, InputError):
        ours = False
    if not ours:
        raise InputError(
            f"{path} exists already and is no table of such a batch.", "Choose another folder."
        )


def header_of(row_type: type[Any]) -> tuple[str, ...]:
    """Return the columns of a table whose rows are this dataclass."""
    return tuple(field.name for field in fields(row_type))


def write_summary(path: Path, row_type: type[Any], rows: Sequence[Any]) -> None:
    """Write rows of a dataclass as CSV, complete or not at all."""
    text = csv_text(header_of(row_type), [tuple(asdict(row).values()) for row in rows])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
