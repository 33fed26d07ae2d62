"""Where a NIfTI file says that its voxels lie: sform, qform and pixdim, which have to agree.

A header may hold two matrices and a row of voxel sizes. Software differs in which it believes
(nibabel the sform, ITK mostly the qform and pixdim), so a file in which they differ is at two
places at once; no choice among them is right.

References
----------
NIfTI-1 data format, header nifti1.h: methods 1 to 3, `xyzt_units`, `qfac`.
"""

from __future__ import annotations

import itertools
import struct

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.io.affine import MAX_GANTRY_TILT_DEG

_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
_SAME_SIZE = 0.01
# A quaternion of 32-bit numbers near half a turn is good to 0.3 mm at 500 mm.
_SAME_PLACE_MM = 1.0
_SQUARE_DEG = 0.05
_AGAIN = "Convert it again from the original DICOM series, or correct its header."


def nifti_affine(raw: bytes, order: str, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Return the `ijk_to_ras` matrix of a NIfTI-1 header in mm.

    A stack that leans (gantry tilt) is only held by the sform; the qform beside it is then a
    straightened one, which counts as the same place.

    Parameters
    ----------
    raw : bytes
        The first 348 bytes of the file.
    order : {"<", ">"}
    shape : tuple of int
        Size along (i, j, k, ...).
    name : str
        The file's name for messages.

    Returns
    -------
    ndarray, shape (4, 4)

    Raises
    ------
    GeometryError
        If the header says nothing about the place, or contradicts itself.
    """
    unit = _UNIT_MM.get(raw[123] & 7)
    if unit is None:
        raise GeometryError(f"{name} gives its lengths in a unit that NIfTI does not know.", _AGAIN)
    pixdim = np.array(struct.unpack(f"{order}8f", raw[76:108]), dtype=np.float64)
    pixdim[1:4] *= unit
    qform_code, sform_code = struct.unpack(f"{order}2h", raw[252:256])
    sform = _sform(raw, order, unit) if sform_code > 0 else None
    qform = _qform(raw, order, unit, pixdim, name) if qform_code > 0 else None
    if sform is not None:
        _check_size(
            sform, pixdim[1:4], shape, name, "qform and pixdim" if qform_code > 0 else "pixdim"
        )
        if qform is not None:
            _check_place(sform, qform, shape, name)
        return sform
    if qform is not None:
        return qform
    raise GeometryError(
        f"{name} does not say how it lies in the patient (no qform and no sform).",
        "Convert it again from the original DICOM series.",
    )


def _sform(raw: bytes, order: str, unit: float) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3] = np.array(struct.unpack(f"{order}12f", raw[280:328])).reshape(3, 4) * unit
    return affine


def _qform(
    raw: bytes, order: str, unit: float, pixdim: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    b, c, d, x, y, z = struct.unpack(f"{order}6f", raw[256:280])
    square = b * b + c * c + d * d
    if not square < 1.01 or not (pixdim[1:4] > 0).all():
        raise GeometryError(
            f"{name} has no valid voxel size or position: its qform is no rotation, or its pixdim "
            "not above 0.",
            _AGAIN,
        )
    affine = np.eye(4)
    affine[:3, :3] = _rotation(b, c, d) * pixdim[1:4]
    affine[:3, 3] = np.array([x, y, z]) * unit
    if pixdim[0] < 0:
        affine[:3, 2] *= -1
    return affine


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    square = b * b + c * c + d * d
    if square > 1.0:
        b, c, d = (part / np.sqrt(square) for part in (b, c, d))
    a = np.sqrt(max(0.0, 1.0 - square))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def _check_size(
    sform: NDArray[np.float64],
    size: NDArray[np.float64],
    shape: tuple[int, ...],
    name: str,
    others: str,
) -> None:
    """Refuse a pixdim that differs from the sform's voxels; where it is 0 it says nothing."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    # In a leaning stack pixdim may hold the way along the stack, or between its planes.
    between = _plane_distances(sform)
    said = size != 0
    counts = np.array([*shape[:3], 1, 1][:3], dtype=np.float64)
    apart = np.minimum(np.abs(lengths - size), np.abs(between - size))[said]
    allowed = np.minimum(_SAME_SIZE * lengths, _SAME_PLACE_MM / np.maximum(counts - 1, 1))[said]
    # What 32-bit numbers round is never a contradiction.
    if not (apart <= np.maximum(allowed, 1e-5 * lengths[said])).all():
        raise GeometryError(
            f"{name} contradicts itself: its sform has voxels of {_sizes(lengths)} mm, its "
            f"{others} {_sizes(size)} mm.",
            _AGAIN,
        )


def _check_place(
    sform: NDArray[np.float64], qform: NDArray[np.float64], shape: tuple[int, ...], name: str
) -> None:
    turn = _turn_deg(sform, qform)
    lean = _lean_deg(sform)
    if lean > _SQUARE_DEG:
        straightened = turn <= min(lean, MAX_GANTRY_TILT_DEG) + _SQUARE_DEG
        apart = float(np.abs(sform[:3, 3] - qform[:3, 3]).max())
        agree = straightened and apart <= _SAME_PLACE_MM
    else:
        k = [max(n - 1, 0) for n in (*shape[:3], 1, 1)[:3]]
        corners = np.array(list(itertools.product(*((0, n) for n in k), (1,))), dtype=np.float64)
        agree = bool(np.abs(corners @ (sform - qform)[:3].T).max() <= _SAME_PLACE_MM)
    if not agree:
        raise GeometryError(
            f"{name} contradicts itself: its sform has the first voxel at {_point(sform)} mm, its "
            f"qform at {_point(qform)} mm, and their axes differ by {turn:.3g} degrees.",
            _AGAIN,
        )


def _plane_distances(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in mm between neighbouring planes across each of the three axes."""
    axes = affine[:3, :3].T
    normals = np.stack([np.cross(axes[(n + 1) % 3], axes[(n + 2) % 3]) for n in range(3)])
    area = np.maximum(np.linalg.norm(normals, axis=1), 1e-30)
    distances: NDArray[np.float64] = np.full(3, abs(np.linalg.det(axes))) / area
    return distances


def _unit(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.maximum(np.linalg.norm(affine[:3, :3], axis=0), 1e-30)
    directions: NDArray[np.float64] = affine[:3, :3] / lengths
    return directions


def _lean_deg(affine: NDArray[np.float64]) -> float:
    """How far the pair of axes that is least at right angles is from it."""
    unit = _unit(affine)
    cosines = [abs(float(unit[:, a] @ unit[:, b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    return float(np.degrees(np.arcsin(min(max(cosines), 1.0))))


def _turn_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Largest angle between the same axis of two matrices."""
    cosines = np.clip((_unit(a) * _unit(b)).sum(axis=0), -1.0, 1.0)
    return float(np.degrees(np.arccos(cosines.min())))


def _sizes(values: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _point(affine: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in affine[:3, 3]) + ")"
