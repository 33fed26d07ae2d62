"""Overlays that old scanners drew into unused bits of the pixels, kept when the pixels change."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spinemar.io.dicom.plain import text_of
from spinemar.io.dicom.pydicom_versions import is_big_endian

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _BITS_ALLOCATED, _BIT, _DATA = 0x0010, 0x0011, 0x0100, 0x0102, 0x3000


def free_overlays(header: Dataset, path: Path) -> None:
    """Move overlays out of the pixels (PS3.5 8.1.2; the form in them is retired) into a header.

    Parameters
    ----------
    header : pydicom.dataset.Dataset
        Changed: overlays in pixel bits become planes of their own; those of packed pixels, which
        no reader gives back, are left out.
    path : Path
        The file that holds the pixels.
    """
    for group in _GROUPS:
        members = list(header.group_dataset(group).keys())
        if not members or (group << 16 | _DATA) in header:
            continue
        plane = _plane(header, group, path)
        if plane is None:
            for tag in members:
                del header[tag]
            continue
        bits = np.packbits(plane.ravel(), bitorder="little").tobytes()
        header.add_new(group << 16 | _BITS_ALLOCATED, "US", 1)
        header.add_new(group << 16 | _BIT, "US", 0)
        header.add_new(group << 16 | _DATA, "OW", bits + b"\0" * (len(bits) % 2))


def _plane(header: Dataset, group: int, path: Path) -> NDArray[np.bool_] | None:
    """Read an overlay out of its bit; None where it is not there."""
    import pydicom

    try:
        bit = int(header[group << 16 | _BIT].value)
        size = tuple(int(header[group << 16 | tag].value) for tag in (_ROWS, _COLUMNS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True)
            words = np.frombuffer(data.PixelData, ">u2" if is_big_endian(data) else "<u2")
    except Exception:  # whatever a damaged overlay makes pydicom raise
        return None
    image = int(text_of(header, "Rows") or 0), int(text_of(header, "Columns") or 0)
    if size != image or words.size != image[0] * image[1] or not 0 < bit < 16:
        return None
    return (words.reshape(image) >> bit & 1).astype(np.bool_)
