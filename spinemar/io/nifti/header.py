"""What a NIfTI file's header promises: its grid, how its numbers are stored, and how many.

ITK fills the missing half of a truncated NIfTI file with zeros, bends a sheared affine until it is
orthogonal or refuses it, and adds the intercept of a slope that means "not scaled". So NIfTI files
are read here and in `nifti_voxels`, and not by ITK.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.headers.stored_size import StoredVoxels, check_holds
from spinemar.io.nifti.geometry import nifti_affine

_MAX_DIMS = 7
_MIN_OFFSET, _MAX_OFFSET = 352, 2**31
# Codes of nifti1.h for single numbers.
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
          1024: "i8", 1280: "u8"}  # fmt: skip


@dataclass(frozen=True)
class NiftiHeader:
    """The facts of a NIfTI-1 header that matter here.

    Parameters
    ----------
    shape : tuple of int
        Size along (i, j, k, ...).
    ijk_to_ras : ndarray, shape (4, 4)
    offset : int
        Byte at which the voxels start.
    data_bytes : int
        Bytes from the file's start to the end of the voxels.
    dtype : str or None
        How a number is stored, as NumPy writes it (">i2"); None for colours, complex numbers and
        other values that a CT does not have.
    slope, intercept : float
        What a stored number is multiplied by, and what is added then.
    """

    shape: tuple[int, ...]
    ijk_to_ras: NDArray[np.float64]
    offset: int
    data_bytes: int
    dtype: str | None
    slope: float
    intercept: float


def read_nifti_header(path: Path) -> NiftiHeader:
    """Read and check the header of a `.nii` or `.nii.gz` file.

    Raises
    ------
    InputError
        If the file is no NIfTI-1 file.
    GeometryError
        If it does not say where the patient's left is, or says two things about it.
    """
    raw = _first_bytes(path, 348)
    order = "<" if raw[:4] == b"\x5c\x01\x00\x00" else ">"
    if len(raw) < 348 or struct.unpack(f"{order}i", raw[:4])[0] != 348:
        raise InputError(
            f"{path.name} is truncated or not a NIfTI-1 file.",
            "Copy or export the file again.",
        )
    if raw[344:348] != b"n+1\0":
        raise InputError(
            f"{path.name} keeps its voxels in another file.", "Convert it to one .nii.gz file."
        )
    dim = struct.unpack(f"{order}8h", raw[40:56])
    bits = struct.unpack(f"{order}h", raw[72:74])[0]
    offset = struct.unpack(f"{order}f", raw[108:112])[0]
    if not 1 <= dim[0] <= _MAX_DIMS or bits < 0 or not _MIN_OFFSET <= offset < _MAX_OFFSET:
        raise InputError(f"{path.name} has a damaged header.", "Copy or export the file again.")
    shape = tuple(int(n) for n in dim[1 : dim[0] + 1])
    voxels = 1
    for n in shape:
        voxels *= max(n, 0)
    code = struct.unpack(f"{order}h", raw[70:72])[0]
    dtype = _TYPES.get(code)
    if dtype is not None and bits != 8 * int(dtype[1]):
        raise InputError(f"{path.name} has a damaged header.", "Copy or export the file again.")
    return NiftiHeader(
        shape,
        nifti_affine(raw, order, shape, path.name),
        int(offset),
        int(offset) + voxels * bits // 8,
        None if dtype is None else order + dtype,
        *_scaling(raw, order, path.name),
    )


def _scaling(raw: bytes, order: str, name: str) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or no number means "not scaled" (NIfTI-1)."""
    slope, intercept = struct.unpack(f"{order}2f", raw[112:120])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise InputError(
            f"{name} scales its values by {slope:g} and adds {intercept:g}, which is no number.",
            "Export the volume again.",
        )
    return float(slope), float(intercept)


def check_complete(path: Path, header: NiftiHeader) -> None:
    """Refuse a file that holds fewer voxels than its header says.

    Raises
    ------
    InputError
        If it does.
    """
    packed = path.suffix.lower() == ".gz"
    check_holds(StoredVoxels(path, 0, header.data_bytes, "gzip" if packed else "raw"), path.name)
    if packed and not _unpacks_to(path, header.data_bytes):
        raise InputError(
            f"{path.name} is truncated: its header promises {header.data_bytes:,} bytes.",
            "Copy or download the file again.",
        )


def _first_bytes(path: Path, count: int) -> bytes:
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as stream:
                return stream.read(count)
        with path.open("rb") as stream:
            return stream.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path.name} cannot be read ({error}).", "Copy or download the file again."
        ) from error


def _unpacks_to(path: Path, wanted: int) -> bool:
    """Whether so many bytes unpack: by the trailer if it agrees, else by unpacking them."""
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        trailer = int(struct.unpack("<I", stream.read(4))[0])
    if trailer == wanted % 2**32:
        return True
    size = 0
    try:
        with gzip.open(path) as unpacked:
            while size < wanted and (block := unpacked.read(1 << 16)):
                size += len(block)
    except (OSError, EOFError, zlib.error):
        pass  # what could be unpacked is what there is
    return size >= wanted
