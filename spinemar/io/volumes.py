"""Read a CT from whatever a clinician has: a file of an image format or a DICOM series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spinemar.base.atomic_files import full_path
from spinemar.errors import InputError
from spinemar.io.dicom.kind import is_dicom
from spinemar.io.dicom.series import read_dicom_series
from spinemar.io.formats import READABLE, check_exists, is_image_file, suffix_of
from spinemar.io.hounsfield import check_hounsfield, states_hounsfield
from spinemar.io.itk import read_image
from spinemar.volume import CTVolume


def read_volume(path: str | Path, *, series: str | None = None) -> CTVolume:
    """Read a CT in Hounsfield units.

    Parameters
    ----------
    path : path
        A `.nrrd`, `.nhdr`, `.nii`, `.nii.gz`, `.mha` or `.mhd` file, a folder with one DICOM
        series, its DICOMDIR, or one file of the wanted series.
    series : str, optional
        The series number of the wanted one in a folder with several, or the label that the
        message about them gives it.

    Returns
    -------
    CTVolume
        float32 HU in (k, j, i) as the file orders its axes; exact geometry in RAS mm.

    Raises
    ------
    InputError, GeometryError
        If the file cannot be read, is no CT in HU, or its slices are not a regular stack; if a
        folder holds several series and none was named.
    """
    source = full_path(path)
    check_exists(source)
    try:
        if is_image_file(source) and source.is_file():
            array, affine = read_image(source, "float32")
            metadata = {"source_format": suffix_of(source)}
            if states_hounsfield(source):
                metadata["rescale_type"] = "HU"
        elif source.is_dir() or is_dicom(source):
            array, affine, metadata = read_dicom_series(source, series)
        else:
            raise InputError(
                f"{source.name} is neither DICOM nor one of {', '.join(READABLE)}.",
                "Give a CT as DICOM folder, NRRD, NIfTI or MetaImage.",
            )
    except PermissionError as error:
        raise InputError(
            f"There is no permission to read {source}.", "Ask its owner, or copy it."
        ) from error
    check_hounsfield(array, source.name, stated="rescale_type" in metadata)
    return CTVolume(np.ascontiguousarray(array, dtype=np.float32), affine, metadata)
