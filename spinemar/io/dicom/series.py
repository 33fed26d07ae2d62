"""A DICOM series as one volume: check the stack, read the voxels."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.affine import LPS_RAS, check_affine
from spinemar.io.dicom.element_lengths import PHOTOMETRIC, with_value
from spinemar.io.dicom.folder import CTSeries, choose_series
from spinemar.io.dicom.slice import DicomSlice, read_slice_header
from spinemar.io.dicom.stack import stacked
from spinemar.io.formats import check_size
from spinemar.io.itk import quiet_itk, unreadable

# Without it ITK goes by the file's name, and slices are called anything.
_IO = "GDCMImageIO"


@dataclass(frozen=True)
class SliceStack:
    """The slices of one CT series in order, each once, and the grid that they make.

    Parameters
    ----------
    slices : tuple of DicomSlice
        Rising along their normal.
    ijk_to_ras : ndarray, shape (4, 4)
    """

    slices: tuple[DicomSlice, ...]
    ijk_to_ras: NDArray[np.float64]


def read_dicom_series(
    path: Path, series: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64], dict[str, str]]:
    """Read the CT series in a folder, or the series that a file belongs to.

    Parameters
    ----------
    path : Path
        A folder (searched with its subfolders), its DICOMDIR, or a DICOM file.
    series : str, optional
        Label of the wanted one, see `spinemar.io.dicom.folder.CTSeries`.

    Returns
    -------
    hu : ndarray of float32, shape (k, j, i)
        Rescaled to Hounsfield units; slices in rising order along their normal.
    ijk_to_ras : ndarray, shape (4, 4)
    metadata : dict
        Facts of the scan without any identifier.
    """
    stack = stack_of(choose_series(path, series), path.name)
    types = dict.fromkeys(one.file.image_type for one in stack.slices)
    facts = {"source_format": "DICOM", "image_type": "\n".join(t for t in types if t)}
    # An intercept of 0 is what is left where software lost the true one.
    if all(one.rescale_type == "HU" and one.intercept_hu for one in stack.slices):
        facts["rescale_type"] = "HU"
    return _voxels(stack.slices), stack.ijk_to_ras, {**facts, **stack.slices[0].facts}


def stack_of(series: CTSeries, name: str) -> SliceStack:
    """Read the headers of a series and put its slices in order.

    Parameters
    ----------
    series : CTSeries
    name : str
        For the messages.

    Raises
    ------
    InputError
        If a file is damaged, or the images are no CT in HU of one reconstruction.
    GeometryError
        If they do not make one regular stack.
    """
    slices = _each_once([read_slice_header(file) for file in series.files])
    ordered, step_lps = stacked(slices)
    first = ordered[0]
    check_size((first.columns, first.rows, len(ordered)), name)
    affine = np.eye(4)
    affine[:3, 0] = first.row_direction * first.column_spacing_mm
    affine[:3, 1] = first.column_direction * first.row_spacing_mm
    affine[:3, 2] = step_lps
    affine[:3, 3] = first.position
    ijk_to_ras = LPS_RAS @ affine
    check_affine(ijk_to_ras, name)
    return SliceStack(tuple(ordered), ijk_to_ras)


def _each_once(slices: Sequence[DicomSlice]) -> list[DicomSlice]:
    """Count images that are there several times once; refuse two images under one identifier.

    Copies are common (a disc and its backup, a series sent twice). Some anonymizers give all
    slices of a series one identifier; those lie at different places and are slices.
    """
    kept: dict[tuple[object, ...], DicomSlice] = {}
    for n, one in enumerate(slices):
        if one.file.instance and one.position is not None:
            place: tuple[object, ...] = (one.file.instance, *one.position)
        else:
            place = (n,)
        if kept.setdefault(place, one) is not one:
            _check_same_image(kept[place], one)
    return list(kept.values())


def _check_same_image(one: DicomSlice, copy: DicomSlice) -> None:
    if one.path.read_bytes() == copy.path.read_bytes():
        return
    same_size = (one.rows, one.columns) == (copy.rows, copy.columns)
    with quiet_itk() as sitk:
        if same_size and np.array_equal(_pixels(sitk, one), _pixels(sitk, copy)):
            return
    raise InputError(
        f"{one.path.name} and {copy.path.name} are two images under one identifier "
        "(SOP instance UID).",
        "Export the complete series again from the scanner or the PACS.",
    )


def _voxels(slices: Sequence[DicomSlice]) -> NDArray[np.float32]:
    hu = np.empty((len(slices), slices[0].rows, slices[0].columns), dtype=np.float32)
    with quiet_itk() as sitk:
        for n, one in enumerate(slices):
            hu[n] = _pixels(sitk, one)
    return hu


def _pixels(sitk: Any, one: DicomSlice) -> NDArray[np.float32]:
    """Decode the pixels (rows, columns) of one slice and rescale them to HU."""
    try:
        if one.file.scan.texts.get(PHOTOMETRIC) == "MONOCHROME1":
            image = _read_uninverted(sitk, one)
        else:
            image = sitk.ReadImage(str(one.path), sitk.sitkFloat32, _IO)
    except RuntimeError as error:
        raise unreadable(one.path, "its pixels are incomplete") from error
    array = np.asarray(sitk.GetArrayFromImage(image), dtype=np.float32)
    if array.size != one.rows * one.columns:
        raise unreadable(one.path, "its pixels are of another size")
    return array.reshape(one.rows, one.columns)


def _read_uninverted(sitk: Any, one: DicomSlice) -> Any:
    """Read a MONOCHROME1 image as MONOCHROME2.

    The photometric interpretation says how an image is shown; HU are slope and intercept times
    the stored value either way (PS3.3 C.11.1.1.2). ITK inverts the stored values, or refuses the
    signed ones, so it is given a copy that says MONOCHROME2.
    """
    with tempfile.TemporaryDirectory(prefix="spinemar-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "slice.dcm"
        copy.write_bytes(with_value(one.path, one.file.scan, PHOTOMETRIC, b"MONOCHROME2"))
        return sitk.ReadImage(str(copy), sitk.sitkFloat32, _IO)
