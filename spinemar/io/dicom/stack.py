"""Do these slices make one regular stack? The order, the step, and every reason why not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.io.dicom.slice import DicomSlice

_DIRECTION_TOLERANCE = 1e-3
_SAME_POSITION_MM = 1e-2
# Scanners round positions to 0.1 mm; more than that is a gap or another table feed.
_ROUNDING_MM = 0.06
_ROUNDING_SHARE = 0.05
# Nothing and "unspecified" are what old scanners write for HU.
_HU_TYPES = ("", "HU", "US")
_EXPORT_AGAIN = "Export the complete series again from the scanner or the PACS."


def stacked(slices: Sequence[DicomSlice]) -> tuple[list[DicomSlice], NDArray[np.float64]]:
    """Order the slices along their normal and return the step between them.

    Parameters
    ----------
    slices : sequence of DicomSlice
        At least one.

    Returns
    -------
    ordered : list of DicomSlice
        Rising along the normal (row direction x column direction).
    step : ndarray, shape (3,)
        From one slice to the next, LPS mm; not along the normal where the gantry was tilted.

    Raises
    ------
    InputError
        If the slices are no CT in HU or differ among themselves.
    GeometryError
        If positions are missing, duplicate or irregular.
    """
    _check_alike(slices)
    first = slices[0]
    normal = np.cross(first.row_direction, first.column_direction)
    positions = np.array([s.position for s in slices], dtype=np.float64)
    depth = positions @ normal
    order = np.argsort(depth, kind="stable")
    ordered = [slices[n] for n in order]
    if len(ordered) == 1:
        if first.thickness_mm is None:
            raise GeometryError(
                f"{first.path.name} does not say how thick its slice is.", _EXPORT_AGAIN
            )
        return ordered, normal * first.thickness_mm
    positions = positions[order]
    _check_steps(np.diff(depth[order]), ordered)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    drift = positions - (positions[0] + np.arange(len(ordered))[:, None] * step)
    if np.abs(drift).max() > max(_ROUNDING_MM, _ROUNDING_SHARE * float(np.linalg.norm(step))) * 2:
        raise GeometryError(
            "The slices do not lie above each other on one line.",
            "Load a series that was reconstructed with one field of view.",
        )
    return ordered, step


def _check_alike(slices: Sequence[DicomSlice]) -> None:
    first = slices[0]
    if any(s.frames > 1 or s.enhanced for s in slices):
        raise InputError(
            "This is an enhanced (multi-frame) DICOM file.",
            "Convert it to one file a slice, or to NRRD with 3D Slicer.",
        )
    if any(s.position is None or s.orientation is None or s.row_spacing_mm <= 0 for s in slices):
        raise GeometryError(
            "Some slices do not say where they lie (position, orientation or pixel spacing).",
            _EXPORT_AGAIN,
        )
    _check_hounsfield_units(slices)
    for axis in (first.row_direction, first.column_direction):
        if abs(float(np.linalg.norm(axis)) - 1.0) > _DIRECTION_TOLERANCE:
            raise GeometryError("The slices' orientation is not valid.", _EXPORT_AGAIN)
    for other in slices[1:]:
        if not _same_grid(first, other):
            raise InputError(
                f"The series mixes slices of different size, spacing or orientation "
                f"({first.path.name} and {other.path.name}).",
                "Give the files of one reconstruction.",
            )


def _check_hounsfield_units(slices: Sequence[DicomSlice]) -> None:
    modalities = sorted({s.file.modality for s in slices} - {""})
    if modalities not in ([], ["CT"]):
        raise InputError(
            f"The series mixes modalities ({', '.join(modalities)}).",
            "Give the files of one CT series.",
        )
    bad = next((s for s in slices if not s.rescaled or s.rescale_type not in _HU_TYPES), None)
    if bad is not None:
        raise InputError(
            "The series is not in Hounsfield units (rescale slope and intercept are missing or "
            f"of type '{bad.rescale_type}' in {bad.path.name}).",
            "Load the original CT series, not a derived one.",
        )


def _same_grid(a: DicomSlice, b: DicomSlice) -> bool:
    spacing = np.array([a.row_spacing_mm, a.column_spacing_mm])
    other = np.array([b.row_spacing_mm, b.column_spacing_mm])
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and bool(np.allclose(spacing, other, rtol=1e-4))
        and _close(a.row_direction, b.row_direction)
        and _close(a.column_direction, b.column_direction)
    )


def _close(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool(np.abs(a - b).max() <= _DIRECTION_TOLERANCE)


def _check_steps(steps: NDArray[np.float64], ordered: Sequence[DicomSlice]) -> None:
    typical = float(np.sort(steps)[(steps.size - 1) // 2])
    if steps.min() < _SAME_POSITION_MM:
        n = int(steps.argmin())
        raise GeometryError(
            f"Two slices lie at the same position ({ordered[n].path.name} and "
            f"{ordered[n + 1].path.name}).",
            "The folder mixes two reconstructions or phases; give the files of one.",
        )
    tolerance = max(2 * _ROUNDING_MM, _ROUNDING_SHARE * typical)
    off = np.abs(steps - typical)
    if off.max() <= tolerance:
        return
    n = int(off.argmax())
    missing = round(float(steps[n]) / typical) - 1
    between = f"between {ordered[n].path.name} and {ordered[n + 1].path.name}"
    if missing >= 1 and abs(steps[n] - (missing + 1) * typical) <= tolerance * (missing + 1):
        plural = "slice is" if missing == 1 else "slices are"
        raise GeometryError(f"{missing} {plural} missing {between}.", _EXPORT_AGAIN)
    raise GeometryError(
        f"The slices are not evenly spaced: {steps[n]:.2f} mm {between}, {typical:.2f} mm "
        "elsewhere.",
        "Load a series with one slice spacing throughout.",
    )
