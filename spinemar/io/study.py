"""Which study a scan belongs to, as its files say; the patient's data only where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spinemar.base.atomic_files import full_path

# What a report calls it, and DICOM's keyword.
_PATIENT = {"Name": "PatientName", "ID": "PatientID", "Born": "PatientBirthDate"}


@dataclass(frozen=True)
class Study:
    """What a scan's files say of themselves; "" where they do not.

    Parameters
    ----------
    series : str
        Series description; of a file that is no DICOM its name.
    study_date : str
        Such as 2024-05-17.
    patient : mapping of str to str
        "Name", "ID" and "Born"; empty unless asked for.
    """

    series: str = ""
    study_date: str = ""
    patient: Mapping[str, str] = field(default_factory=dict)


def read_study(path: str | Path, series: str | None = None, *, with_patient: bool = False) -> Study:
    """Read which study a scan belongs to.

    Parameters
    ----------
    path : path
        As given to `spinemar.io.read_volume`.
    series : str, optional
        The wanted one of a folder with several.
    with_patient : bool
        Whether the patient's data are taken over, too.

    Raises
    ------
    InputError
        If a DICOM file cannot be read.
    """
    from spinemar.io.dicom.folder import choose_series
    from spinemar.io.dicom.kind import is_dicom
    from spinemar.io.dicom.plain import read_plain_header, text_of
    from spinemar.pages.identity import readable_date

    source = full_path(path)
    if not (source.is_dir() or is_dicom(source)):
        return Study(source.name)
    header = read_plain_header(choose_series(source, series).files[0].path)
    patient = {}
    if with_patient:
        patient = {name: text_of(header, keyword) for name, keyword in _PATIENT.items()}
        patient["Name"] = " ".join(patient["Name"].replace("^", " ").split())
        patient["Born"] = readable_date(patient["Born"])
    date = readable_date(text_of(header, "StudyDate"))
    return Study(text_of(header, "SeriesDescription"), date, patient)
