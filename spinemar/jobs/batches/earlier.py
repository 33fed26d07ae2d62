"""Which earlier CT belongs to which scan of a batch: by patient ID and date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.dicom.identity import SeriesIdentity, identity_of
from spinemar.jobs.batches.items import BatchItem, volumes_in


@dataclass(frozen=True)
class _Candidate:
    path: Path
    series: str
    identity: SeriesIdentity


def with_earlier(
    items: Sequence[BatchItem], folders: Sequence[str | Path]
) -> tuple[BatchItem, ...]:
    """Give each scan the latest CT of the same patient from before it.

    Parameters
    ----------
    items : sequence of BatchItem
    folders : sequence of path
        Searched for DICOM series; formats without a patient ID belong to nobody.

    Raises
    ------
    InputError
        If a folder does not exist, or holds no series that says whose it is and of when.
    """
    if not folders:
        return tuple(items)
    known = _candidates(folders)
    if not known:
        raise InputError(
            "No earlier CT says whose it is and when it was taken.",
            "Give DICOM folders; for other formats correct one by one with --earlier-ct.",
        )
    return tuple(_matched(item, known) for item in items)


def _candidates(folders: Sequence[str | Path]) -> list[_Candidate]:
    found = []
    for folder in map(Path, folders):
        if not folder.exists():
            raise InputError(f"{folder} does not exist.", "Check the path of the earlier CTs.")
        nowhere = folder / "\0"
        for path, series in dict.fromkeys(volumes_in(folder.resolve(), nowhere)):
            identity = identity_of(path, series or None)
            if identity is not None and identity.patient_id and identity.study_date:
                found.append(_Candidate(path, series, identity))
    return found


def _matched(item: BatchItem, known: Sequence[_Candidate]) -> BatchItem:
    mine = identity_of(item.source, item.series or None)
    if mine is None or not mine.patient_id or not mine.study_date:
        return item
    before = [
        one
        for one in known
        if one.identity.patient_id == mine.patient_id and one.identity.study_date < mine.study_date
    ]
    if not before:
        return item
    latest = max(before, key=lambda one: (one.identity.study_date, one.identity.series_uid))
    return replace(item, earlier=latest.path, earlier_series=latest.series)
