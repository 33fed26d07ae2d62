"""What pydicom 2.4 (Slicer 5.10) and 3 (Slicer 5.12) call differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset


def write_file(
    data: Dataset, path: str | Path, *, implicit_vr: bool = False, little_endian: bool = True
) -> None:
    """Write a dataset as a file with DICOM's mark, in one encoding.

    Parameters
    ----------
    data : pydicom.dataset.Dataset
        With `file_meta` that names the transfer syntax of the encoding.
    path : path
    implicit_vr, little_endian : bool
    """
    import pydicom

    if _major() >= 3:
        options: dict[str, Any] = {"implicit_vr": implicit_vr, "little_endian": little_endian}
        pydicom.dcmwrite(path, data, enforce_file_format=True, **options)
        return
    data.is_implicit_VR, data.is_little_endian = implicit_vr, little_endian
    pydicom.dcmwrite(path, data, write_like_original=False)


def understood(raw: RawDataElement) -> DataElement:
    """Convert an element as it was read; whatever pydicom raises where it cannot."""
    from pydicom import dataelem

    if _major() >= 3:
        return dataelem.convert_raw_data_element(raw)
    return dataelem.DataElement_from_raw(raw)


def is_big_endian(header: Dataset) -> bool:
    """Whether a dataset was read from a big endian file."""
    if _major() >= 3:
        return header.original_encoding[1] is False
    return header.is_little_endian is False


def frame_of(data: Dataset, index: int) -> np.ndarray:
    """Decode one frame, values as they are stored; version 2.4 decodes and keeps all of them.

    Parameters
    ----------
    data : Dataset
    index : int
        From 0.

    Returns
    -------
    ndarray, shape (rows, columns)
    """
    if _has_unaligned_bits(data):
        return _bits_of(data, index)
    if _major() >= 3:
        from pydicom.pixels import pixel_array

        return np.asarray(pixel_array(data, index=index, raw=True))
    frames = data.pixel_array
    one = int(data.get("NumberOfFrames") or 1) == 1
    return np.asarray(frames if one else frames[index])


def _has_unaligned_bits(data: Dataset) -> bool:
    """Whether frames of single bits begin in the middle of a byte: pydicom 3 cuts them wrongly."""
    bits = int(data.Rows) * int(data.Columns)
    packed = str(data.file_meta.TransferSyntaxUID.name).find("Little Endian") >= 0
    return packed and int(data.get("BitsAllocated", 0)) == 1 and bits % 8 > 0


def _bits_of(data: Dataset, index: int) -> np.ndarray:
    """Unpack one frame of single bits, which follow each other without a gap."""
    count = int(data.Rows) * int(data.Columns)
    first = index * count
    stored = np.frombuffer(data.PixelData, np.uint8)[first // 8 : (first + count + 7) // 8]
    bits = np.unpackbits(stored, bitorder="little")[first % 8 : first % 8 + count]
    return bits.reshape(int(data.Rows), int(data.Columns))


def _major() -> int:
    import pydicom

    return int(pydicom.__version_info__[0])
