"""The values of a NIfTI file, exactly as its header scales them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.affine import check_affine
from spinemar.io.formats import check_size
from spinemar.io.nifti.header import NiftiHeader, check_complete, read_nifti_header


def read_nifti(path: Path, pixel_type: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read one volume of a `.nii` or `.nii.gz` file.

    Parameters
    ----------
    path : Path
    pixel_type : {"float32", "native"}
        "native" keeps the stored type where nothing is scaled.

    Returns
    -------
    array : ndarray, shape (k, j, i)
    ijk_to_ras : ndarray, shape (4, 4)

    Raises
    ------
    InputError
        If it is unreadable, truncated, absurdly large, in colour, or a series of volumes.
    GeometryError
        If its grid is sheared or has no valid size, or its header contradicts itself.
    """
    header = read_nifti_header(path)
    check_size(header.shape, path.name)
    check_complete(path, header)
    _check_one_volume(header, path.name)
    check_affine(header.ijk_to_ras, path.name)
    stored = _stored(path, header)
    scaled = (header.slope, header.intercept) != (1.0, 0.0)
    if pixel_type == "native" and not scaled:
        return stored.astype(stored.dtype.newbyteorder("=")), header.ijk_to_ras
    values = np.empty(stored.shape, np.float32)
    for k, part in enumerate(stored):  # slice by slice: the exact numbers take much memory
        values[k] = (
            part if not scaled else header.slope * part.astype(np.float64) + (header.intercept)
        )
    return values, header.ijk_to_ras


def _check_one_volume(header: NiftiHeader, name: str) -> None:
    if header.dtype is None:
        raise InputError(
            f"{name} has colours, vectors or complex numbers as values per voxel; a CT has one "
            "number.",
            "Load the CT itself, not a picture of it.",
        )
    if len(header.shape) < 3 or any(n > 1 for n in header.shape[3:]):
        what = "a single picture" if len(header.shape) < 3 else "a series of volumes"
        raise InputError(
            f"{name} is {what} ({len(header.shape)} dimensions), not one volume.",
            "Load one CT volume of three dimensions.",
        )


def _stored(path: Path, header: NiftiHeader) -> NDArray[Any]:
    """Return the stored numbers (k, j, i) as they lie in the file."""
    i, j, k = header.shape[:3]
    count = header.data_bytes - header.offset
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as stream:
                stream.seek(header.offset)
                raw = stream.read(count)
        else:
            with path.open("rb") as stream:
                stream.seek(header.offset)
                raw = stream.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path.name} cannot be read ({error}).", "Copy or download the file again."
        ) from error
    if len(raw) < count:
        raise InputError(
            f"{path.name} is truncated: its header promises {header.data_bytes:,} bytes.",
            "Copy or download the file again.",
        )
    return np.frombuffer(raw, dtype=header.dtype).reshape(k, j, i)
