"""What ITK passes over in a NIfTI file: a truncated body, and the exact affine.

ITK fills the missing half of a truncated NIfTI file with zeros and bends a sheared affine until it
is orthogonal, both without an error, so the header is read here as well.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.io.stored_size import StoredVoxels, check_holds

_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
_MAX_DIMS = 7
_MAX_OFFSET = 2**31


@dataclass(frozen=True)
class NiftiHeader:
    """The facts of a NIfTI-1 header that matter here.

    Parameters
    ----------
    shape : tuple of int
        Size along (i, j, k, ...).
    ijk_to_ras : ndarray, shape (4, 4)
    data_bytes : int
        Bytes from the file's start to the end of the voxels.
    """

    shape: tuple[int, ...]
    ijk_to_ras: NDArray[np.float64]
    data_bytes: int


def read_nifti_header(path: Path) -> NiftiHeader:
    """Read and check the header of a `.nii` or `.nii.gz` file.

    Raises
    ------
    InputError
        If the file is no NIfTI-1 file.
    GeometryError
        If it does not say where the patient's left is.
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
    if not 1 <= dim[0] <= _MAX_DIMS or bits < 0 or not 0 <= offset < _MAX_OFFSET:
        raise InputError(f"{path.name} has a damaged header.", "Copy or export the file again.")
    shape = tuple(int(n) for n in dim[1 : dim[0] + 1])
    voxels = 1
    for n in shape:
        voxels *= max(n, 0)
    affine = _affine(raw, order, path.name)
    return NiftiHeader(shape, affine, int(offset) + voxels * bits // 8)


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


def _affine(raw: bytes, order: str, name: str) -> NDArray[np.float64]:
    pixdim = np.array(struct.unpack(f"{order}8f", raw[76:108]), dtype=np.float64)
    qform, sform = struct.unpack(f"{order}2h", raw[252:256])
    affine = np.eye(4)
    if sform > 0:
        affine[:3] = np.array(struct.unpack(f"{order}12f", raw[280:328])).reshape(3, 4)
    elif qform > 0:
        b, c, d, x, y, z = struct.unpack(f"{order}6f", raw[256:280])
        affine[:3, :3] = _rotation(b, c, d) * pixdim[1:4]
        affine[:3, 3] = (x, y, z)
        if pixdim[0] < 0:
            affine[:3, 2] *= -1
    else:
        raise GeometryError(
            f"{name} does not say how it lies in the patient (no qform and no sform).",
            "Convert it again from the original DICOM series.",
        )
    affine[:3] *= _UNIT_MM.get(raw[123] & 7, 1.0)
    return affine


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
