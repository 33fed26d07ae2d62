"""What lies beside a CT on discs and in exports: objects that are no slice of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from spinemar.io.dicom.pydicom_versions import write_file

_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Their SOP classes (PS3.4 B.5); most of them say modality CT or come with pixels somewhere.
OBJECTS = {
    "presentation-state": (f"{_STORAGE}11.1", "PR"),
    "key-images": (f"{_STORAGE}88.59", "KO"),
    "registration": (f"{_STORAGE}66.1", "REG"),
    "fiducials": (f"{_STORAGE}66.2", "FID"),
    "raw-data": (f"{_STORAGE}66", "CT"),
    "structures": (f"{_STORAGE}481.3", "RTSTRUCT"),
    "rt-plan": (f"{_STORAGE}481.5", "RTPLAN"),
    "report": (f"{_STORAGE}88.33", "SR"),
    "dose-report": (f"{_STORAGE}88.67", "SR"),
    "pdf": (f"{_STORAGE}104.1", "DOC"),
    "waveform": (f"{_STORAGE}9.1.2", "ECG"),
}
PICTURES = {
    "dose-sheet": (f"{_STORAGE}7", "CT"),
    "screen": (f"{_STORAGE}7.2", "CT"),
    "rt-dose": (f"{_STORAGE}481.2", "RTDOSE"),
    "segmentation": (f"{_STORAGE}66.4", "SEG"),
    "pet": (f"{_STORAGE}128", "PT"),
    "mr": (f"{_STORAGE}4", "MR"),
}
# Written as CT images, and yet none of them is a slice.
CT_IMAGES = ("localizer", "dose-sheet-as-ct", "colour-map")
DIRECTORY = "DICOMDIR"
ALL = (*OBJECTS, *PICTURES, *CT_IMAGES, DIRECTORY)


def write_companion(folder: Path, what: str, name: str | None = None, **tags: Any) -> Path:
    """Write one companion into a folder.

    Parameters
    ----------
    folder : Path
    what : str
        One of `ALL`.
    name : str, optional
        Of the file; by default one without an ending, as on discs.
    **tags
        Further tags.
    """
    data = _begun()
    if what == DIRECTORY:
        data.SOPClassUID = "1.2.840.10008.1.3.10"
        data.FileSetID, data.DirectoryRecordSequence = "DISC", []
    elif what in OBJECTS:
        data.SOPClassUID, data.Modality = OBJECTS[what]
    elif what in PICTURES:
        data.SOPClassUID, data.Modality = PICTURES[what]
        _add_picture(data)
    else:
        data.SOPClassUID, data.Modality = CTImageStorage, "CT"
        _CT_CHANGES[what](data)
    for tag, value in tags.items():
        setattr(data, tag, value)
    path = folder / (name or (DIRECTORY if what == DIRECTORY else what.upper()))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if what == DIRECTORY:
        del data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID, data.StudyInstanceUID
    data.file_meta, data.preamble = meta, b"\0" * 128
    write_file(data, path)
    return path


def _begun() -> Dataset:
    data = Dataset()
    data.SOPInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.StudyInstanceUID, data.PatientID = "1.2", ""
    data.SeriesNumber, data.InstanceNumber = 999, 1
    return data


def _add_picture(data: Dataset) -> None:
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = 12, 10
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = np.zeros(120, "<u2").tobytes()


def _place(data: Dataset) -> None:
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = [0.8, 0.7]
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"


def _localizer(data: Dataset) -> None:
    _add_picture(data)
    _place(data)
    data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _dose_sheet(data: Dataset) -> None:
    _add_picture(data)
    data.ImageType = ["DERIVED", "SECONDARY", "OTHER"]


def _colour_map(data: Dataset) -> None:
    _place(data)
    data.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.Rows, data.Columns = 12, 10
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = bytes(360)


_CT_CHANGES: dict[str, Callable[[Dataset], None]] = {
    "localizer": _localizer,
    "dose-sheet-as-ct": _dose_sheet,
    "colour-map": _colour_map,
}
