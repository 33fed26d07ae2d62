"""The CT series of a folder: which files are theirs, how they are called, which one is meant."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.dicom.kind import DicomFile, Kind, is_dicom, look_at
from spinemar.io.formats import is_image_file
from spinemar.io.itk import unreadable

_MAX_FILES = 20_000
_MAX_LISTED = 20
_ANOTHER = "Load an axial CT series."


@dataclass(frozen=True)
class CTSeries:
    """One series of CT images.

    Parameters
    ----------
    label : str
        Its series number, as people know it from the scanner; with a count behind a dot where
        several series share the number, and "none" where there is no number.
    description : str
        As its first file says.
    files : tuple of DicomFile
    """

    label: str
    description: str
    files: tuple[DicomFile, ...]

    @property
    def enhanced(self) -> bool:
        """Whether it is of enhanced (multi-frame) images."""
        return self.files[0].kind is Kind.ENHANCED_CT


def find_dicom(folder: Path, *, recursive: bool = True) -> list[DicomFile]:
    """Look at every file of a folder.

    Parameters
    ----------
    folder : Path
    recursive : bool
        Whether subfolders are searched too.

    Returns
    -------
    list of DicomFile
        Sorted by path; hidden files are left out.
    """
    files = _ordinary_files(folder, recursive)
    return [seen for seen in map(look_at, files) if seen is not None]


def ct_series(files: Iterable[DicomFile]) -> list[CTSeries]:
    """Sort files into CT series; localizers and everything that is no CT are passed over.

    Parameters
    ----------
    files : iterable of DicomFile

    Returns
    -------
    list of CTSeries
        By number, then by identifier, so that neither names nor folders decide. Series of which
        no image has a place (dose sheets, pictures of screens) or grey values, or that are said
        to be of another modality, are left out while others are there.
    """
    groups: dict[tuple[str, ...], list[DicomFile]] = defaultdict(list)
    for one in files:
        if one.kind in (Kind.CT, Kind.ENHANCED_CT):
            groups[one.patient, one.study, one.series, one.kind.value].append(one)
    groups = {key: group for key, group in groups.items() if _is_ct(group)}
    placed = {key: group for key, group in groups.items() if any(map(_is_slice, group))}
    return _labelled(placed or groups)


def files_of_series(source: Path, series: str | None = None) -> tuple[Path, ...]:
    """Return the files of the series that a CT is read from; none where it is not from DICOM.

    Parameters
    ----------
    source : Path
        As for `read_volume`.
    series : str, optional

    Raises
    ------
    InputError
        As `read_volume`.
    """
    if source.is_file() and (is_image_file(source) or not is_dicom(source)):
        return ()
    return tuple(one.path for one in choose_series(source, series).files)


def choose_series(path: Path, wanted: str | None = None) -> CTSeries:
    """Find the CT series that a path means.

    Parameters
    ----------
    path : Path
        A folder (searched with its subfolders), the DICOMDIR in it, or one file of the series.
    wanted : str, optional
        Label of the series, where a folder holds several.

    Raises
    ------
    InputError
        If there is no CT, or none of that label, or several and none is wanted.
    """
    one = look_at(path) if path.is_file() else None
    if one is not None and not one.is_directory:
        return _series_of_file(one)
    if one is None and path.is_file():
        raise unreadable(path, "no DICOM image")
    folder = path if one is None else path.parent
    _check_count(folder)
    found = find_dicom(folder)
    if not found:
        raise InputError(f"{folder} holds no DICOM images.", "Give the folder of a CT series.")
    series = ct_series(found)
    if not series:
        kinds = ", ".join(sorted({f.name for f in found}))
        raise InputError(f"{path.name} is not a CT series (it holds: {kinds}).", _ANOTHER)
    return _with_lost(_the_one(series, wanted, path.name), found)


def series_of_files(paths: Sequence[Path]) -> CTSeries:
    """Take the one CT series out of a list of files; companions are passed over.

    Raises
    ------
    InputError
        If they hold no CT, or several series.
    """
    found = [seen for seen in map(look_at, paths) if seen is not None]
    series = ct_series(found)
    if not series:
        kinds = ", ".join(sorted({f.name for f in found})) or "no DICOM images"
        name = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
        raise InputError(f"{name} is not a CT series (it holds: {kinds}).", _ANOTHER)
    return _the_one(series, None, f"The list of {len(paths)} files")


def _series_of_file(one: DicomFile) -> CTSeries:
    if one.kind not in (Kind.CT, Kind.ENHANCED_CT):
        raise InputError(f"{one.path.name} is not a CT series (it holds: {one.name}).", _ANOTHER)
    if one.problem is not None:
        raise one.problem
    found = find_dicom(one.path.parent, recursive=False)
    same = [f for f in found if f.same_series(one)]
    for series in ct_series(same):
        return _with_lost(series, found)
    raise InputError(f"{one.path.name} is not a CT series (it holds: {one.name}).", _ANOTHER)


def _the_one(series: Sequence[CTSeries], wanted: str | None, name: str) -> CTSeries:
    if wanted is not None:
        number = _number(wanted)
        label = wanted.strip() if number is None else str(number)
        for one in series:
            if label in (one.label, one.files[0].series):
                return one
        raise InputError(
            f"{name} has no CT series {wanted}; it has {_listing(series)}.",
            "Give one of these numbers.",
        )
    if len(series) > 1:
        raise InputError(
            f"{name} mixes {len(series)} CT series ({_listing(series)}).",
            "Say which one you mean (spinemar correct: --series NUMBER), or give one file of it.",
        )
    return series[0]


def _with_lost(series: CTSeries, found: Sequence[DicomFile]) -> CTSeries:
    """Add the damaged files that cannot be assigned to a series: they may be a part of any."""
    lost = [f for f in found if f.kind is Kind.CT and not f.series and f not in series.files]
    lost = [f for f in lost if f.problem is not None or not f.scan.has_pixels]
    return replace(series, files=(*series.files, *lost)) if lost else series


def _is_ct(group: Sequence[DicomFile]) -> bool:
    return any(f.modality in ("", "CT") for f in group)


def _is_slice(one: DicomFile) -> bool:
    return one.kind is Kind.ENHANCED_CT or (one.placed and not one.colour)


def _labelled(groups: dict[tuple[str, ...], list[DicomFile]]) -> list[CTSeries]:
    numbers = {key: _number(group[0].number) for key, group in groups.items()}
    keys = sorted(groups, key=lambda key: (numbers[key] is None, numbers[key] or 0, key))
    shared: dict[int | None, int] = defaultdict(int)
    for number in numbers.values():
        shared[number] += 1
    counted: dict[int | None, int] = defaultdict(int)
    series = []
    for key in keys:
        number = numbers[key]
        counted[number] += 1
        label = "none" if number is None else str(number)
        if shared[number] > 1:
            label += f".{counted[number]}"
        files = tuple(groups[key])
        series.append(CTSeries(label, files[0].description, files))
    return series


def _number(text: str) -> int | None:
    """Read a series number; None for what is no whole number ('abc', '1.5', nothing)."""
    match = re.fullmatch(r"\s*([+-]?\d{1,12})\s*", text.split("\\", maxsplit=1)[0])
    return int(match[1]) if match else None


def _listing(series: Sequence[CTSeries]) -> str:
    def said(one: CTSeries) -> str:
        what = "enhanced image" if one.enhanced else "slice"
        count = f"{len(one.files)} {what}{'s' if len(one.files) != 1 else ''}"
        first = one.files[0].path
        title = f"'{one.description[:40]}', " if one.description else ""
        return f"{one.label}: {title}{count}, {first.parent.name}/{first.name}"

    more = len(series) - _MAX_LISTED
    listed = "; ".join(map(said, series[:_MAX_LISTED]))
    return listed + (f"; and {more} more" if more > 0 else "")


def _ordinary_files(folder: Path, recursive: bool) -> list[Path]:
    pattern = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(p for p in pattern if p.is_file() and not p.name.startswith("."))


def _check_count(folder: Path) -> None:
    count = len(_ordinary_files(folder, recursive=True))
    if count > _MAX_FILES:
        raise InputError(
            f"{folder} holds {count:,} files, too many for one CT.",
            "Give the folder of one series.",
        )
