"""Write a data set in one of the encodings that are not compressed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from spinemar.io.dicom.pydicom_versions import write_file

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "no-mark": ImplicitVRLittleEndian,
}


def encoded(data: Dataset, path: Path, syntax: str) -> None:
    """Write a data set of 16-bit pixels in one of `SYNTAXES`; "no-mark" as old archives do."""
    fresh = Dataset()
    for element in data:
        fresh.add(element)
    uid, big = SYNTAXES[syntax], syntax == "big"
    fresh.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2" if big else "<u2").tobytes()
    fresh["PixelData"].VR = "OW"
    if syntax != "no-mark":
        fresh.file_meta, fresh.preamble = data.file_meta, b"\0" * 128
        fresh.file_meta.TransferSyntaxUID = uid
    if syntax == "no-mark":
        fresh.is_implicit_VR, fresh.is_little_endian = uid == ImplicitVRLittleEndian, True
        pydicom.dcmwrite(path, fresh)
    else:
        write_file(fresh, path, implicit_vr=uid == ImplicitVRLittleEndian, little_endian=not big)
