"""Small CTs on disk: image files and DICOM series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.volume import CTVolume

SHAPE = (5, 12, 10)


@pytest.fixture
def ct() -> CTVolume:
    """A CT with a different spacing along each axis, off centre; every voxel value differs."""
    hu = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE) - 300
    affine = np.diag([-0.7, 0.8, 2.5, 1.0])
    affine[:3, 3] = (166.25, -187.5, -340)
    return CTVolume(hu, affine)


@pytest.fixture
def write_series(tmp_path: Path) -> Callable[..., Path]:
    """Write a DICOM series; every tag and the positions can be changed."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def write(
        folder: str = "series",
        positions: Any = None,
        orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
        series: str = "1.2.3",
        remove: tuple[str, ...] = (),
        prefix: str = "",
        **tags: Any,
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True, exist_ok=True)
        if positions is None:
            positions = [(-10.0, -20.0, 2.5 * k) for k in range(SHAPE[0])]
        # The files' names run against the positions, as often on a PACS.
        for n, position in enumerate(positions):
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = CTImageStorage
            meta.MediaStorageSOPInstanceUID = generate_uid()
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False)
            data.SOPClassUID = CTImageStorage
            data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
            data.StudyInstanceUID, data.SeriesInstanceUID = "1.2", series
            data.Modality = "CT"
            data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            data.Rows, data.Columns = SHAPE[1:]
            data.PixelSpacing = [0.8, 0.7]
            data.ImagePositionPatient = [float(v) for v in position]
            data.ImageOrientationPatient = list(orientation)
            data.SliceThickness = 2.5
            data.SamplesPerPixel = 1
            data.PhotometricInterpretation = "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
            data.PixelRepresentation = 1
            data.RescaleIntercept, data.RescaleSlope, data.RescaleType = -1024, 1, "HU"
            data.PixelData = series_pixels(n).astype(np.int16).tobytes()
            for name, value in tags.items():
                setattr(data, name, value)
            for name in remove:
                delattr(data, name)
            data.save_as(target / f"{prefix}{len(positions) - n:03d}.dcm")
        return target

    return write


def series_pixels(n: int) -> np.ndarray:
    """Stored values of the n-th slice."""
    return np.arange(SHAPE[1] * SHAPE[2]).reshape(SHAPE[1:]) + 200 * n
