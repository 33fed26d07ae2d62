"""Which earlier CT belongs to which scan of a batch: by patient ID and date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from spinemar.errors import CancelledError, InputError, SpinemarError
from spinemar.io.dicom.identity import SeriesIdentity, identity_of
from spinemar.jobs.batches.items import BatchItem, volumes_in
from spinemar.jobs.earlier_ct import EarlierFiles, read_earlier

if TYPE_CHECKING:
    from spinemar.mar.earlier.given import EarlierCt
    from spinemar.mar.settings import CorrectionSettings
    from spinemar.volume import CTVolume

Made = TypeVar("Made")


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


def with_or_without_earlier(
    item: BatchItem,
    scan: CTVolume,
    settings: CorrectionSettings,
    make: Callable[[EarlierCt | None], Made],
    passes: tuple[type[SpinemarError], ...] = (),
) -> tuple[Made, str]:
    """Return what is made with an item's earlier CT, without it where it does not fit, and a word.

    Parameters
    ----------
    item : BatchItem
    scan : CTVolume
        Of the item.
    settings : CorrectionSettings
    make : callable
        Takes the earlier CT, or None.
    passes : tuple of exception types
        What says nothing against the earlier CT.
    """
    if item.earlier is None:
        return make(None), ""
    files = EarlierFiles(item.earlier, item.earlier_series or None)
    try:
        return make(read_earlier(files, item.source, item.series or None, scan, settings)), ""
    except CancelledError:
        raise
    except passes:
        raise
    except SpinemarError as error:
        said = f"The earlier CT was not used: {error}"
    return make(None), said


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
