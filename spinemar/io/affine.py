"""The border between RAS (ours) and LPS (ITK's and DICOM's), and which grids we accept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

MAX_GANTRY_TILT_DEG = 35.0
"""Scanner gantries tilt by up to 30 degrees."""
_IN_PLANE_TOLERANCE = 2e-3
_SPACING_RANGE_MM = (1e-3, 100.0)


def ras_from_image(image: Any) -> NDArray[np.float64]:
    """Return the `ijk_to_ras` matrix of a SimpleITK image (or reader).

    Parameters
    ----------
    image : SimpleITK.Image or SimpleITK.ImageFileReader
        Anything with spacing, origin and direction; the first three axes count.

    Returns
    -------
    ndarray, shape (4, 4)
    """
    n = len(image.GetSpacing())
    direction = np.array(image.GetDirection(), dtype=np.float64).reshape(n, n)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3], dtype=np.float64)
    affine[:3, 3] = image.GetOrigin()[:3]
    result: NDArray[np.float64] = LPS_RAS @ affine
    return result


def set_image_geometry(image: Any, ijk_to_ras: NDArray[np.float64]) -> None:
    """Put an `ijk_to_ras` matrix (4, 4) into a SimpleITK image as spacing, origin, direction."""
    lps = LPS_RAS @ ijk_to_ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in lps[:3, 3]])
    image.SetDirection([float(v) for v in (lps[:3, :3] / spacing).ravel()])


def stack_axis(ijk_to_ras: NDArray[np.float64]) -> int:
    """Return the axis (0, 1, 2 for i, j, k) along which axial slices of a (4, 4) matrix lie."""
    axes = ijk_to_ras[:3, :3].T
    normals = np.stack([np.cross(axes[(n + 1) % 3], axes[(n + 2) % 3]) for n in range(3)])
    upright = np.abs(normals[:, 2]) / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    # Of equals the last wins: files without a patient's axes are stacked along k.
    return int(2 - np.argmax(upright[::-1]))


def tilt_deg(ijk_to_ras: NDArray[np.float64]) -> float:
    """Angle in degrees between a (4, 4) matrix's stack axis and the normal of its slices."""
    axis = stack_axis(ijk_to_ras)
    i, j, k = (ijk_to_ras[:3, (axis + 1 + n) % 3] for n in range(3))
    normal = np.cross(i, j)
    size = float(np.linalg.norm(normal) * np.linalg.norm(k))
    return float(np.degrees(np.arccos(min(abs(float(normal @ k)) / max(size, 1e-12), 1.0))))


def check_affine(ijk_to_ras: NDArray[np.float64], name: str) -> None:
    """Refuse grids whose slices are not made of rectangular pixels, stacked with a sane step.

    A stack axis that leans by up to a gantry's tilt is a real CT and is accepted, whichever of
    the file's axes it is.

    `ijk_to_ras` has the shape (4, 4) and is in mm.

    Raises
    ------
    GeometryError
        With the reason.
    """
    matrix = np.asarray(ijk_to_ras, dtype=np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or lengths.min() < _SPACING_RANGE_MM[0]:
        raise GeometryError(
            f"{name} has no valid voxel size or position.",
            "Export the series again from the scanner or the PACS.",
        )
    if lengths.max() > _SPACING_RANGE_MM[1]:
        raise GeometryError(
            f"{name} has voxels of {lengths.max():.4g} mm.",
            "Check the units in the header: spacing is read in mm.",
        )
    unit = matrix[:3, :3] / lengths
    axis = stack_axis(matrix)
    if abs(float(unit[:, (axis + 1) % 3] @ unit[:, (axis + 2) % 3])) > _IN_PLANE_TOLERANCE:
        raise GeometryError(
            f"{name} is sheared: rows and columns of its slices are not at right angles.",
            "Resample it to a regular grid, or load the original DICOM series.",
        )
    tilt = tilt_deg(matrix)
    if tilt > MAX_GANTRY_TILT_DEG:
        raise GeometryError(
            f"{name} is sheared by {tilt:.0f} degrees, more than a gantry tilts.",
            "Resample it to a regular grid, or load the original DICOM series.",
        )
