"""Which study a scan belongs to: read from its files, the patient only where asked for."""

from __future__ import annotations

from pathlib import Path

import pydicom

from spinemar.io.study import Study, read_study


def named(folder: Path) -> Path:
    """Write what a scanner writes about series, study and patient into every file."""
    for path in folder.rglob("*"):
        if path.is_file():
            header = pydicom.dcmread(path)
            header.SeriesDescription, header.StudyDate = "Spine 1.0 B70", "20240517"
            header.PatientName, header.PatientID = "Roe^Jane", "12345"
            header.PatientBirthDate = "19610203"
            header.save_as(path)
    return folder


def test_series_and_date_alone_unless_asked_for(write_series) -> None:
    folder = named(write_series())
    assert read_study(folder) == Study("Spine 1.0 B70", "2024-05-17")
    one = next(path for path in folder.rglob("*") if path.is_file())
    assert read_study(one) == Study("Spine 1.0 B70", "2024-05-17")


def test_the_patient_where_asked_for(write_series) -> None:
    study = read_study(named(write_series()), with_patient=True)
    assert study.patient == {"Name": "Roe Jane", "ID": "12345", "Born": "1961-02-03"}


def test_an_image_file_has_its_name_and_no_patient(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004")
    assert read_study(tmp_path / "scan.nrrd", with_patient=True) == Study("scan.nrrd")
