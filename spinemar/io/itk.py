"""SimpleITK with its errors turned into sentences and its warnings kept off the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.io.affine import check_affine, ras_from_image
from spinemar.io.formats import METAIMAGE, NIFTI, NRRD, check_exists, check_size, suffix_of
from spinemar.io.headers.metaimage import stored_in_metaimage
from spinemar.io.headers.nrrd import nrrd_key_values, stored_in_nrrd
from spinemar.io.headers.stored_size import StoredVoxels, check_holds
from spinemar.io.nifti.voxels import read_nifti

# Of 3D Slicer's segmentation files (.seg.nrrd).
_SLICER_SEGMENTATION = "Segmentation_ContainedRepresentationNames"


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Give the SimpleITK module while ITK's own warnings are switched off."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield sitk
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def reason(error: Exception) -> str:
    """Return the last telling line of an ITK exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # ITK appends the last errno, which has often nothing to do with it.
    lines = [line for line in lines if not line.startswith("Reason:")]
    return lines[-1].removeprefix("ITK ERROR: ")[:200] if lines else type(error).__name__


def unreadable(path: Path, why: str) -> InputError:
    """Make the error for a file that is damaged or of another kind."""
    return InputError(
        f"{path.name} cannot be read: it is truncated, damaged or not the format that its name "
        f"says ({why}).",
        "Copy or export the file again.",
    )


def read_image(path: Path, pixel_type: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a NRRD, NIfTI or MetaImage file, checking its header before any allocation.

    Parameters
    ----------
    path : Path
    pixel_type : {"float32", "native"}

    Returns
    -------
    array : ndarray, shape (k, j, i)
    ijk_to_ras : ndarray, shape (4, 4)

    Raises
    ------
    InputError
        If it is a folder, unreadable, truncated or absurdly large.
    GeometryError
        If its grid is sheared or has no valid size.
    """
    check_exists(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file.", "Give the file in it.")
    if suffix_of(path) in NIFTI:
        return read_nifti(path, pixel_type)
    array, affine = read_layers(path, pixel_type)
    if len(array) != 1:
        raise several_values(path, len(array))
    return array[0], affine


def read_layers(path: Path, pixel_type: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a NRRD or MetaImage file of one or several values a voxel.

    Parameters
    ----------
    path : Path
    pixel_type : {"float32", "native"}

    Returns
    -------
    array : ndarray, shape (values, k, j, i)
    ijk_to_ras : ndarray, shape (4, 4)

    Raises
    ------
    InputError, GeometryError
        As `read_image`.
    """
    with quiet_itk() as sitk:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        if pixel_type == "float32":
            reader.SetOutputPixelType(sitk.sitkFloat32)
        affine, count = _checked_header(reader, path)
        if count > 1 and pixel_type == "float32":
            reader.SetOutputPixelType(sitk.sitkVectorFloat32)
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise unreadable(path, reason(error)) from error
        array = sitk.GetArrayFromImage(image)
    if count > 1:
        return np.moveaxis(array, -1, 0).reshape(count, *array.shape[-4:-1]), affine
    return array.reshape(1, *array.shape[-3:]), affine


def _checked_header(reader: Any, path: Path) -> tuple[NDArray[np.float64], int]:
    """Check size and geometry; return the affine and the number of values a voxel."""
    stored = _stored_voxels(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error) or "determinant" in str(error).lower():
            raise GeometryError(
                f"{path.name} has an invalid direction matrix ({reason(error)}).",
                "Resample it to a regular grid, or load the original DICOM series.",
            ) from error
        raise unreadable(path, reason(error)) from error
    size = tuple(int(n) for n in reader.GetSize())
    count = int(reader.GetNumberOfComponents())
    check_size(size if count == 1 else (*size, count), path.name)
    if stored is not None:
        check_holds(stored, path.name)
    if len(size) < 3 or any(n > 1 for n in size[3:]):
        what = "a single picture" if len(size) < 3 else "a series of volumes"
        raise InputError(
            f"{path.name} is {what} ({len(size)} dimensions), not one volume.",
            "Load one CT volume of three dimensions.",
        )
    affine = ras_from_image(reader)
    check_affine(affine, path.name)
    return affine, count


def several_values(path: Path, values: int) -> InputError:
    """Make the error for a file of several values a voxel, where one is wanted."""
    if path.name.lower().endswith(".seg.nrrd") or _is_segmentation(path):
        return InputError(
            f"{path.name} is a segmentation in {values} layers, since its segments overlap.",
            "Save it without overlaps (in Slicer: export its segments to a labelmap), or give one "
            "segment alone.",
        )
    return InputError(
        f"{path.name} has {values} values per voxel (colour or vectors); a CT has one, and a "
        "segmentation whose segments do not overlap as well.",
        "Load the CT itself, not a picture of it; save a segmentation without overlaps.",
    )


def _is_segmentation(path: Path) -> bool:
    return suffix_of(path) in NRRD and _SLICER_SEGMENTATION in nrrd_key_values(path)


def _stored_voxels(path: Path) -> StoredVoxels | None:
    """Ask the header where its voxels lie."""
    if suffix_of(path) in NRRD:
        return stored_in_nrrd(path)
    if suffix_of(path) in METAIMAGE:
        return stored_in_metaimage(path)
    return None
