"""The input list: CTs with what is known of them (labels, landmarks, plans, splits)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spinemar.base.json_text import known_ones, read_json, read_text, shown
from spinemar.errors import InputError

SCHEMA = "spinemar-cts/1"
SPLITS = ("training", "validation", "test")
_PATHS = ("ct", "labels", "landmarks", "plan", "catalogue")
_COLUMNS = (*_PATHS, "patient", "split", "clean_low_mm", "clean_high_mm", "source")
_LISTS = (".json", ".csv")
_LIST_ENTRIES = ("schema", "cts")


@dataclass(frozen=True)
class CtEntry:
    """One CT of the input list.

    Parameters
    ----------
    ct : Path
        File or DICOM folder.
    patient : str
        Patient's pseudonym: all CTs of one patient share it, and stay in one split.
    labels, landmarks, plan : Path or None
        Vertebra labels (VerSe or TotalSegmentator), a file as in Resources/Landmarks, a plan.
        With none of them the spine is segmented on the way.
    split : str or None
        "training", "validation" or "test"; None leaves it to `assign_splits`.
    clean_mm : (low, high) or None
        Range of z (superior, mm) free of the patient's own metal; None has it found.
    source : str
        Origin and licence, for the data set's card.
    catalogue : Path or None
        A catalogue of one's own, beside the generic one: what its plan names, and what is drawn.
    """

    ct: Path
    patient: str
    labels: Path | None = None
    landmarks: Path | None = None
    plan: Path | None = None
    split: str | None = None
    clean_mm: tuple[float, float] | None = None
    source: str = ""
    catalogue: Path | None = None

    @property
    def name(self) -> str:
        """File name without its suffixes."""
        return self.ct.name.split(".")[0]


def read_inputs(
    paths: Sequence[Path], landmarks: Path | None = None, only: Sequence[str] = ()
) -> tuple[CtEntry, ...]:
    """Read CTs and lists of CTs.

    Parameters
    ----------
    paths : sequence of Path
        CT files, DICOM folders, or lists (.json, .csv).
    landmarks : Path, optional
        Folder of landmark files; a CT without labels, landmarks or plan takes the file of its
        name from there, with its split and source.
    only : sequence of str, optional
        Keep these splits alone.

    Raises
    ------
    InputError
        If a file is missing or malformed, a CT occurs twice, or a patient is in two splits.
    """
    entries: list[CtEntry] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist.", "Check the path.")
        entries += _read_list(path) if path.suffix in _LISTS else [CtEntry(path, "")]
    named = [_with_landmarks(entry, landmarks) for entry in entries]
    named = [entry if entry.patient else replace(entry, patient=entry.name) for entry in named]
    chosen = tuple(entry for entry in named if not only or entry.split in only)
    if not chosen:
        raise InputError(
            "No CT is left to make pairs from.", "Name CTs, or splits that the list contains."
        )
    _check_unique(chosen)
    return chosen


def _with_landmarks(entry: CtEntry, folder: Path | None) -> CtEntry:
    known = entry.labels or entry.landmarks or entry.plan
    if folder is not None and not known and (folder / f"{entry.name}.json").exists():
        entry = replace(entry, landmarks=folder / f"{entry.name}.json")
    if entry.landmarks is None:
        return entry
    document = _parse(entry.landmarks)
    stated = document.get("split")
    return replace(
        entry,
        split=entry.split or (stated if stated in SPLITS else None),
        source=entry.source or str(document.get("source", "")),
    )


def _read_list(path: Path) -> list[CtEntry]:
    if path.suffix == ".csv":
        try:
            lines = read_text(path, f"list {path.name}").splitlines(keepends=True)
            rows: list[Any] = list(csv.DictReader(lines))
        except csv.Error as error:
            raise InputError(f"The list {path.name} cannot be read ({error}).") from error
    else:
        document = _parse(path)
        if document.get("schema") != SCHEMA or not isinstance(document.get("cts"), list):
            raise InputError(
                f"{path.name} is no list of CTs.", f'It needs "schema": "{SCHEMA}" and "cts".'
            )
        unknown = sorted(set(document) - set(_LIST_ENTRIES))
        if unknown:
            raise InputError(
                f"{path.name} holds an unknown entry {shown(unknown[0])}.",
                known_ones(unknown[0], _LIST_ENTRIES),
            )
        rows = document["cts"]
    if not rows:
        raise InputError(f"The list {path.name} is empty.", "Name at least one CT.")
    return [_entry(row, path) for row in rows]


def _parse(path: Path) -> dict[str, Any]:
    document = read_json(path, f"file {path.name}")
    if not isinstance(document, dict):
        raise InputError(f"{path} is no JSON object.", "Check the file.")
    return document


def _entry(row: Mapping[str, Any], origin: Path) -> CtEntry:
    """Read one row; relative paths start at the list's own folder."""
    if not isinstance(row, Mapping) or not row.get("ct"):
        raise InputError(f"An entry of {origin.name} names no CT.", 'Each needs "ct".')
    unknown = {key for key in row if key not in _COLUMNS}
    if unknown:
        raise InputError(
            f"{origin.name} has unknown columns: {', '.join(map(str, sorted(unknown)))}.",
            known_ones(min(map(str, unknown)), _COLUMNS),
        )
    found = {key: origin.parent / str(row[key]) for key in _PATHS if row.get(key)}
    for path in found.values():
        if not path.exists():
            raise InputError(f"{path}, named in {origin.name}, does not exist.", "Check the list.")
    split = row.get("split") or None
    if split is not None and split not in SPLITS:
        raise InputError(
            f"{origin.name} names a split {split!r}.", f"Use one of: {', '.join(SPLITS)}."
        )
    return CtEntry(
        found["ct"],
        str(row.get("patient") or ""),
        found.get("labels"),
        found.get("landmarks"),
        found.get("plan"),
        split,
        _clean(row, origin),
        str(row.get("source") or ""),
        found.get("catalogue"),
    )


def _clean(row: Mapping[str, Any], origin: Path) -> tuple[float, float] | None:
    low, high = row.get("clean_low_mm"), row.get("clean_high_mm")
    if low in (None, "") and high in (None, ""):
        return None
    try:
        limits = (
            -1e6 if low in (None, "") else float(str(low)),
            1e6 if high in (None, "") else float(str(high)),
        )
    except ValueError as error:
        raise InputError(f"A clean range in {origin.name} is no number ({error}).") from error
    if not limits[0] < limits[1]:
        raise InputError(
            f"A clean range in {origin.name} is empty: {limits[0]:g} to {limits[1]:g} mm.",
            "clean_low_mm must lie below clean_high_mm.",
        )
    return limits


def _check_unique(entries: Sequence[CtEntry]) -> None:
    names = [entry.name for entry in entries]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"Two CTs are called {twice[0]}.", "Rename one of the files.")
    splits: dict[str, set[str | None]] = {}
    for entry in entries:
        splits.setdefault(entry.patient, set()).add(entry.split)
    torn = [patient for patient, found in splits.items() if len(found - {None}) > 1]
    if torn:
        raise InputError(
            f"Patient {torn[0]} is in two splits.", "Put all CTs of a patient into one split."
        )
