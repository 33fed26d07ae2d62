"""A small `slicer.dicomDatabase`, and loading a series from it as Slicer's DICOM module does."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.io.dicom.pydicom_versions import write_file


class DicomDatabase:
    """ctkDICOMDatabase as far as modules ask it: instances by UID, series by study."""

    def __init__(self, folder: Path) -> None:
        self.databaseDirectory = str(folder)
        self._files: dict[str, str] = {}

    def insert(self, path: str, *_: Any) -> None:
        import pydicom

        header = pydicom.dcmread(path, stop_before_pixels=True)
        self._files[str(header.SOPInstanceUID)] = str(path)

    def fileForInstance(self, uid: str) -> str:
        return self._files.get(uid, "")

    def instanceValue(self, uid: str, tag: str) -> str:
        group, element = (int(part, 16) for part in tag.split(","))
        header = self._header(uid)
        return str(header[group, element].value) if (group, element) in header else ""

    def seriesForStudy(self, study: str) -> list[str]:
        headers = [self._header(uid) for uid in self._files]
        return sorted({str(h.SeriesInstanceUID) for h in headers if h.StudyInstanceUID == study})

    def _header(self, uid: str) -> Any:
        import pydicom

        return pydicom.dcmread(self._files[uid], stop_before_pixels=True)


def loadSeries(database: DicomDatabase, files: list[Path]) -> Any:
    """Insert a series, load it through the volumes logic, and put it into its study."""
    import slicer

    for path in files:
        database.insert(str(path))
    node = slicer.util.loadVolume(str(files[0]), {"name": "CT"})
    uids = sorted(database._files, key=database.fileForInstance)
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.SetItemUID(study, "DICOM", database.instanceValue(uids[0], "0020,000d"))
    hierarchy.CreateItem(study, node)
    return node


def writeCtSeries(folder: Path, hu: Any, pixel: float = 2.0, thickness: float = 2.5) -> list[Path]:
    """Write a CT series that an independent checker finds no error in; return its files.

    Parameters
    ----------
    folder : Path
    hu : ndarray of int16, shape (slices, rows, columns)
    pixel, thickness : float
        Spacings in mm.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = (generate_uid(prefix=None) for _ in range(3))
    now = datetime.datetime(2026, 3, 4, 10, 11, 12)
    files = []
    for k, plane in enumerate(hu):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = (
            study,
            series,
            frame,
        )
        data.PatientName, data.PatientID = "Test^Spine", "T-1"
        data.PatientBirthDate, data.PatientSex = "19600101", "O"
        data.StudyDate = data.SeriesDate = data.ContentDate = now.strftime("%Y%m%d")
        data.StudyTime = data.SeriesTime = data.ContentTime = now.strftime("%H%M%S")
        data.AccessionNumber, data.StudyID = "A1", "1"
        data.ReferringPhysicianName, data.PatientPosition = "", "HFS"
        data.Modality, data.Manufacturer, data.SeriesDescription = "CT", "Test", "Axial 2.5"
        data.SeriesNumber, data.InstanceNumber, data.AcquisitionNumber = 3, k + 1, 1
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.PositionReferenceIndicator, data.Laterality = "", ""
        data.KVP, data.SliceThickness = "120", thickness
        data.Rows, data.Columns = plane.shape
        data.PixelSpacing = [pixel, pixel]
        half = pixel * (plane.shape[1] - 1) / 2
        data.ImagePositionPatient = [-half, -half, k * thickness]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
        data.PixelRepresentation = 0
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"
        data.WindowCenter, data.WindowWidth = "40", "400"
        data.PixelData = (np.clip(plane, -1024, 3071) + 1024).astype("<u2").tobytes()
        data["PixelData"].VR = "OW"
        path = folder / f"CT{k:04d}.dcm"
        write_file(data, path)
        files.append(path)
    return files
