"""Whose CT a DICOM series is, and when it was taken; to compare two, and never to be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.dicom.folder import files_of_series
from spinemar.io.dicom.plain import read_plain_header, text_of


@dataclass(frozen=True)
class SeriesIdentity:
    """What a series says of itself; empty where it does not.

    Parameters
    ----------
    patient_id : str
        Compared only; it goes into no file.
    study_date : str
        YYYYMMDD, of the acquisition if known.
    study_uid, series_uid : str
    """

    patient_id: str = field(repr=False)
    study_date: str
    study_uid: str
    series_uid: str


def identity_of(path: Path, series: str | None = None) -> SeriesIdentity | None:
    """Read the identity of a CT; None for formats that have none, and where nothing lies.

    Parameters
    ----------
    path : Path
        As for `read_volume`.
    series : str, optional

    Raises
    ------
    InputError
        As `read_volume`.
    """
    if not path.exists():
        return None  # whoever reads the volume says so
    files = files_of_series(path, series)
    if not files:
        return None
    header = read_plain_header(files[0])
    dates = (text_of(header, name)[:8] for name in ("AcquisitionDate", "SeriesDate", "StudyDate"))
    return SeriesIdentity(
        patient_id=text_of(header, "PatientID").strip(),
        study_date=next((date for date in dates if date.isdigit() and len(date) == 8), ""),
        study_uid=text_of(header, "StudyInstanceUID"),
        series_uid=text_of(header, "SeriesInstanceUID"),
    )


def check_earlier_of_same_patient(
    scan: SeriesIdentity | None, earlier: SeriesIdentity | None
) -> None:
    """Refuse a CT as the earlier one where identifiers or dates contradict.

    What is not stated contradicts nothing.

    Raises
    ------
    InputError
        If the patient IDs differ, both are one series, or the dates are in the wrong order.
    """
    if scan is None or earlier is None:
        return
    allow = "To use it all the same, allow it with --allow-other-patient."
    if scan.patient_id and earlier.patient_id and scan.patient_id != earlier.patient_id:
        raise InputError(
            "The earlier CT has another patient ID than the scan.",
            f"Give a CT of the same patient. {allow}",
        )
    if scan.series_uid and scan.series_uid == earlier.series_uid:
        raise InputError(
            "The earlier CT is the scan itself.", "Give the CT from before the operation."
        )
    if scan.study_date and earlier.study_date and earlier.study_date > scan.study_date:
        raise InputError(
            f"The earlier CT is of {earlier.study_date}, later than the scan of {scan.study_date}.",
            f"Give the CT from before the operation. {allow}",
        )
