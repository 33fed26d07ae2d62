"""A DICOM series as one volume: find its files, check the stack, read the voxels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.io.affine import LPS_RAS, check_affine
from spinemar.io.dicom_slice import DicomSlice, read_slice_header
from spinemar.io.dicom_stack import stacked
from spinemar.io.formats import check_size
from spinemar.io.itk import quiet_itk, unreadable

_MAX_FILES = 20_000


def read_dicom_series(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float64], dict[str, str]]:
    """Read the one CT series in a folder, or the series that a file belongs to.

    Parameters
    ----------
    path : Path
        A folder (searched with its subfolders), or a DICOM file.

    Returns
    -------
    hu : ndarray of float32, shape (k, j, i)
        Rescaled to Hounsfield units; slices in rising order along their normal.
    ijk_to_ras : ndarray, shape (4, 4)
    metadata : dict
        Facts of the scan without any identifier.
    """
    slices = _wanted_series(path)
    ordered, step_lps = stacked(slices)
    first = ordered[0]
    check_size((first.columns, first.rows, len(ordered)), path.name)
    affine = np.eye(4)
    affine[:3, 0] = first.row_direction * first.column_spacing_mm
    affine[:3, 1] = first.column_direction * first.row_spacing_mm
    affine[:3, 2] = step_lps
    affine[:3, 3] = first.position
    ijk_to_ras = LPS_RAS @ affine
    check_affine(ijk_to_ras, path.name)
    return _voxels(ordered), ijk_to_ras, {"source_format": "DICOM", **first.facts}


def _voxels(slices: Sequence[DicomSlice]) -> NDArray[np.float32]:
    hu = np.empty((len(slices), slices[0].rows, slices[0].columns), dtype=np.float32)
    with quiet_itk() as sitk:
        for n, one in enumerate(slices):
            try:
                image = sitk.ReadImage(str(one.path), sitk.sitkFloat32)
            except RuntimeError as error:
                raise unreadable(one.path, "its pixels are incomplete") from error
            hu[n] = sitk.GetArrayViewFromImage(image).reshape(hu.shape[1:])
    return hu


def _wanted_series(path: Path) -> list[DicomSlice]:
    """All slices of the wanted series; refuses folders with several."""
    folder = path if path.is_dir() else path.parent
    wanted = None if path.is_dir() else read_slice_header(path)
    if path.is_file() and wanted is None:
        raise unreadable(path, "no DICOM image")
    found = [s for s in map(read_slice_header, _dicom_files(folder, path.is_dir())) if s]
    if not found:
        raise InputError(f"{folder} holds no DICOM images.", "Give the folder of a CT series.")
    if wanted is not None:
        found = [s for s in found if s.series == wanted.series]
    images = [s for s in found if s.modality == "CT" and not s.localizer]
    if not images:
        kinds = ", ".join(sorted({"CT localizer" if s.localizer else s.modality for s in found}))
        raise InputError(
            f"{path.name} is not a CT series (it holds: {kinds}).", "Load an axial CT series."
        )
    series: dict[str, list[DicomSlice]] = defaultdict(list)
    for one in images:
        series[one.series].append(one)
    if len(series) > 1:
        raise InputError(
            f"{path.name} mixes {len(series)} CT series ({_listing(series)}).",
            "Give one file of the series that you mean, or a folder with this series alone.",
        )
    return images


def _listing(series: dict[str, list[DicomSlice]]) -> str:
    firsts = [(len(v), v[0].path) for v in series.values()]
    names = [f"{n} slices from {p.parent.name}/{p.name} on" for n, p in firsts]
    return "; ".join(sorted(names)[:4]) + ("; …" if len(names) > 4 else "")


def _dicom_files(folder: Path, recursive: bool) -> list[Path]:
    """Files with DICOM's mark; where none has it (old archives), every file."""
    pattern = folder.rglob("*") if recursive else folder.glob("*")
    files = sorted(p for p in pattern if p.is_file() and not p.name.startswith("."))
    if len(files) > _MAX_FILES:
        raise InputError(
            f"{folder} holds {len(files):,} files, too many for one CT.",
            "Give the folder of one series.",
        )
    marked = [p for p in files if _has_mark(p)]
    return marked or [p for p in files if p.suffix.lower() in ("", ".dcm", ".ima", ".dicom")]


def _has_mark(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(128)
        return stream.read(4) == b"DICM"
