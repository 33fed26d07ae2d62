"""Write volumes and labels: exact geometry, complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import Place, atomic_path, full_path
from spinemar.errors import FaultError, GeometryError, InputError
from spinemar.io.affine import check_affine, set_image_geometry, tilt_deg
from spinemar.io.formats import NIFTI, check_writable_format, suffix_of
from spinemar.io.hounsfield import HOUNSFIELD_STATED
from spinemar.io.itk import quiet_itk, read_image, reason
from spinemar.volume import CTVolume, LabelVolume

_NIFTI_TILT_DEG = 0.05


def write_volume(path: str | Path, volume: CTVolume, *, place: Place = atomic_path) -> None:
    """Write a CT; whole numbers within 16 bits are kept as int16, anything else as float32.

    Parameters
    ----------
    path : path
        Ending in `.nrrd`, `.nii`, `.nii.gz` or `.mha`. An existing file is replaced, but only once
        the new one is complete.
    volume : CTVolume
    place : callable
        Where it is written until it is complete: `FileSet.place` for a file of a set.

    Raises
    ------
    InputError
        If the ending names no such format or the folder does not exist.
    GeometryError
        If the format cannot hold the volume's geometry.
    FaultError
        If the disk is full or fails.
    """
    hu = volume.hu
    fits = np.isfinite(hu).all() and hu.min() >= -32768 and hu.max() <= 32767
    whole = bool(fits) and bool((hu == np.rint(hu)).all())
    stored = hu.astype(np.int16) if whole else hu
    stated = volume.metadata.get("rescale_type") == "HU"
    _write(full_path(path), stored, volume.ijk_to_ras, place, hounsfield=stated)


def write_labels(path: str | Path, labels: LabelVolume, *, place: Place = atomic_path) -> None:
    """Write a label volume; see `write_volume` for formats, place and errors."""
    array = labels.labels
    small = array.min() >= 0 and array.max() <= 255
    stored = array.astype(np.uint8) if small else array
    _write(full_path(path), stored, labels.ijk_to_ras, place)


def check_writable(path: str | Path, volume: CTVolume) -> None:
    """Refuse early what `write_volume` would refuse in the end: format, geometry, folder.

    Raises
    ------
    InputError, GeometryError
    """
    target = full_path(path)
    _check_target(target, volume.ijk_to_ras)
    if not target.parent.is_dir():
        raise InputError(
            f"The folder {target.parent} does not exist.", "Make the folder or choose another one."
        )


def _check_target(path: Path, ijk_to_ras: NDArray[np.float64]) -> None:
    check_writable_format(path)
    check_affine(ijk_to_ras, path.name)
    if suffix_of(path) in NIFTI and tilt_deg(ijk_to_ras) > _NIFTI_TILT_DEG:
        # ITK would straighten the matrix without a word and put every slice elsewhere.
        raise GeometryError(
            "A CT taken with a tilted gantry cannot be written as NIfTI without bending it.",
            "Write it as .nrrd.",
        )


def _write(
    path: Path,
    array: NDArray[Any],
    ijk_to_ras: NDArray[np.float64],
    place: Place,
    *,
    hounsfield: bool = False,
) -> None:
    _check_target(path, ijk_to_ras)
    with place(path) as temporary, quiet_itk() as sitk:
        image = sitk.GetImageFromArray(array)
        set_image_geometry(image, ijk_to_ras)
        if hounsfield and suffix_of(path) == ".nrrd":
            # A targeted field of view may hold no fat or air to tell it by.
            image.SetMetaData(*HOUNSFIELD_STATED)
        try:
            sitk.WriteImage(image, str(temporary), True, 1)
        except RuntimeError as error:
            raise FaultError(
                f"{path} could not be written ({reason(error)}).",
                "Check that the disk is not full and try again; nothing was changed.",
            ) from error
        _check_written(temporary, path, array)


def _check_written(temporary: Path, path: Path, array: NDArray[Any]) -> None:
    """Read the file back: ITK does not notice every full disk."""
    try:
        back, _ = read_image(temporary, "native")
        same = back.shape == array.shape and bool((back == array).all())
    except Exception as error:
        raise _incomplete(path) from error
    if not same and not np.isnan(array).any():
        raise _incomplete(path)


def _incomplete(path: Path) -> FaultError:
    return FaultError(
        f"{path} could not be written completely.",
        "Check that the disk is not full and try again; nothing was changed.",
    )
