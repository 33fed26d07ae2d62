"""Read an earlier CT with what belongs to it, and check that it is the same patient's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinemar.base.json_text import read_text
from spinemar.mar.settings import CorrectionSettings

if TYPE_CHECKING:
    from spinemar.mar.earlier.given import EarlierCt
    from spinemar.volume import CTVolume


@dataclass(frozen=True)
class EarlierFiles:
    """Where an earlier CT lies.

    Parameters
    ----------
    ct : Any
        A path, or a volume as jobs name it (`spinemar.jobs.engine.arrays`).
    series : str, optional
        Which series of its folder.
    labels : Any
        Its vertebrae, named likewise.
    transforms : Path, optional
        JSON with the transforms of an earlier run, or the facts beside its result.
    """

    ct: Any
    series: str | None = None
    labels: Any = None
    transforms: Path | None = None


def existing_files(
    ct: Path | None,
    series: str | None = None,
    labels: Path | None = None,
    transforms: Path | None = None,
) -> EarlierFiles | None:
    """Put together what somebody named; None without an earlier CT.

    Raises
    ------
    InputError
        If one of the files is not there.
    """
    from spinemar.io.formats import check_exists

    if ct is None:
        return None
    for path in (ct, labels, transforms):
        if path is not None:
            check_exists(path)
    return EarlierFiles(ct, series, labels, transforms)


def read_earlier(
    files: EarlierFiles,
    scan_source: Any,
    scan_series: str | None,
    scan: CTVolume,
    settings: CorrectionSettings,
) -> EarlierCt:
    """Read an earlier CT for a scan.

    Parameters
    ----------
    files : EarlierFiles
    scan_source : Any
        Path, or a volume as jobs name it, of the scan.
    scan_series : str, optional
    scan : CTVolume
        As it was read.
    settings : CorrectionSettings

    Raises
    ------
    InputError
        If a file cannot be read, or identifiers and dates contradict.
    """
    from spinemar.io.dicom.identity import check_earlier_of_same_patient, identity_of
    from spinemar.jobs.engine.arrays import load_labels, load_volume
    from spinemar.mar.earlier.given import EarlierCt
    from spinemar.registration import registration_from_json

    mine, other = (
        identity_of(Path(source), series) if isinstance(source, str | Path) else None
        for source, series in ((scan_source, scan_series), (files.ct, files.series))
    )
    if not settings.allow_other_patient:
        check_earlier_of_same_patient(mine, other)
    volume = load_volume(_named(files.ct), files.series)
    transforms = None
    if files.transforms is not None:
        transforms = registration_from_json(read_text(files.transforms, "file of transforms"))
    facts = {"sha256": _voxel_hash(volume), "scan_sha256": _voxel_hash(scan)}
    for prefix, one in (("", other), ("scan_", mine)):
        if one is not None:
            known = {"study_date": one.study_date, "study_uid": one.study_uid}
            known["series_uid"] = one.series_uid
            facts |= {prefix + name: value for name, value in known.items() if value}
    return EarlierCt(volume, load_labels(_named(files.labels)), transforms, facts)


def _voxel_hash(volume: CTVolume) -> str:
    """SHA-256 of a volume's HU and its place, whatever file it came from."""
    found = hashlib.sha256(np.ascontiguousarray(volume.ijk_to_ras, dtype="<f8").tobytes())
    found.update(repr(volume.hu.shape).encode())
    for part in volume.hu:
        found.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
    return found.hexdigest()


def _named(source: Any) -> Any:
    return str(source) if isinstance(source, Path) else source
