"""Read segmentations: integer labels with their names, and masks brought onto a CT's own grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import full_path
from spinemar.errors import GeometryError, InputError
from spinemar.io.dicom.kind import is_dicom
from spinemar.io.formats import NIFTI, NRRD, READABLE, check_exists, suffix_of
from spinemar.io.itk import read_image, read_layers, several_values
from spinemar.io.segmentations.segments import Segment, StoredSegments, flattened, marked
from spinemar.volume import GridGeometry, LabelVolume

_REMEDY = "Give labels as .seg.nrrd, NRRD, NIfTI, MetaImage or DICOM Segmentation (SEG)."


def read_labels(path: str | Path) -> LabelVolume:
    """Read a label volume with what the file calls its labels.

    Parameters
    ----------
    path : path
        NRRD (with the segments' names of a `.seg.nrrd`), NIfTI (with a label table as
        TotalSegmentator writes it), MetaImage, or a DICOM Segmentation (SEG): its file, or a
        folder that holds nothing else. Segments that overlap become one label map if no two
        vertebrae share more than a rim.

    Raises
    ------
    InputError
        If it is of another format, holds fractions, or labels outside -32768 to 32767.
    """
    source = full_path(path)
    return flattened(_stored(source), source.name)


def read_mask(path: str | Path, geometry: GridGeometry) -> NDArray[np.bool_]:
    """Read a mask of metal and bring it onto a CT's grid.

    Parameters
    ----------
    path : path
        Any label file, as in `read_labels`; whatever is not 0 belongs to the mask. Where the file
        calls some of its segments metal (implant, screw, rod ...) and others not, only those do.
    geometry : GridGeometry
        The CT's grid. A mask of another grid is resampled (nearest neighbour).

    Returns
    -------
    ndarray of bool, shape `geometry.shape`

    Raises
    ------
    InputError
        If the mask is empty, or marks vertebrae and no metal.
    GeometryError
        If it lies outside the CT.
    """
    source = full_path(path)
    stored = _stored(source)
    mask = marked(stored, source.name)
    if not mask.any():
        raise InputError(f"The mask {source.name} is empty.", "Give a mask that marks the metal.")
    grid = GridGeometry((mask.shape[0], mask.shape[1], mask.shape[2]), stored.ijk_to_ras)
    if grid.same_as(geometry):
        return mask
    found = _resampled(mask, grid, geometry, stored.slab_mm)
    if not found.any():
        raise GeometryError(
            f"The mask {source.name} lies outside the CT.", "Give the mask that belongs to this CT."
        )
    return found


def read_fraction(path: str | Path, geometry: GridGeometry) -> NDArray[np.float32]:
    """Read how much of each voxel metal fills.

    Parameters
    ----------
    path : path
        An image file of numbers from 0 to 1; a mask of 0 and 1 counts too.
    geometry : GridGeometry
        The CT's grid.

    Returns
    -------
    ndarray of float32, shape `geometry.shape`

    Raises
    ------
    InputError
        If the numbers are no shares, or there is no metal.
    GeometryError
        If it lies on another grid.
    """
    source = Path(path).expanduser()
    return _checked_shares(source, *read_image(source, "float32"), geometry)


def _checked_shares(
    source: Path, array: NDArray[Any], affine: NDArray[np.float64], geometry: GridGeometry
) -> NDArray[np.float32]:
    k, j, i = array.shape
    if not GridGeometry((k, j, i), affine).same_as(geometry):
        raise GeometryError(
            f"{source.name} lies on another grid than the CT.", "Give the metal of this scan."
        )
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InputError(
            f"{source.name} holds numbers that are no shares of a voxel.",
            "Give metal fractions from 0 to 1.",
        )
    if not array.any():
        raise InputError(f"{source.name} holds no metal.", "Give the metal of this scan.")
    return np.asarray(array, dtype=np.float32)


def read_shares(path: str | Path, geometry: GridGeometry) -> NDArray[np.float32]:
    """Read shares of voxels as `read_fraction`, or a mask as `read_mask`, of whole voxels.

    Parameters
    ----------
    path : path
    geometry : GridGeometry
        The CT's grid.

    Returns
    -------
    ndarray of float32, shape `geometry.shape`

    Raises
    ------
    InputError
        As by those.
    """
    source = full_path(path)
    if source.is_file() and suffix_of(source) in READABLE:
        try:
            array, affine = read_image(source, "float32")
        except InputError:  # layers of a segmentation, or what the reader of masks says better
            pass
        else:
            if (array != np.rint(array)).any():
                return _checked_shares(source, array, affine, geometry)
    return read_mask(source, geometry).astype(np.float32)


def _stored(source: Path) -> StoredSegments:
    check_exists(source)
    from spinemar.io.segmentations.dicom_seg import read_dicom_segmentation

    try:
        if source.is_dir():
            source = _only_file(source)
        if suffix_of(source) in READABLE:
            return _stored_image(source)
        if is_dicom(source):
            return read_dicom_segmentation(source)
    except PermissionError as error:
        raise InputError(
            f"There is no permission to read {source}.", "Ask its owner, or copy it."
        ) from error
    raise InputError(f"{source.name} is of no format of labels that is read here.", _REMEDY)


def _only_file(folder: Path) -> Path:
    """Return the file of a folder that holds one: how archives export a segmentation."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    files = [path for path in files if path.name.upper() != "DICOMDIR"]
    if len(files) != 1:
        raise InputError(
            f"{folder} is a folder with {len(files):,} files, and no single segmentation.",
            "Give the file of the segmentation.",
        )
    return files[0]


def _stored_image(source: Path) -> StoredSegments:
    if suffix_of(source) in NRRD:
        from spinemar.io.segmentations.seg_nrrd import segments_in_nrrd

        layers, affine = read_layers(source, "native")
        segments = segments_in_nrrd(source, len(layers))
        if len(layers) > 1 and not segments:
            raise several_values(source, len(layers))
        return StoredSegments(_whole(layers, source), affine, segments)
    array, affine = read_image(source, "native")
    named: tuple[Segment, ...] = ()
    if suffix_of(source) in NIFTI:
        from spinemar.io.nifti.label_table import label_table

        table = label_table(source)
        present = set(np.unique(array).tolist()) if table else set()
        named = tuple(Segment(0, n, name) for n, name in table.items() if n in present)
    return StoredSegments(_whole(array[None], source), affine, named)


def _whole(array: NDArray[Any], source: Path) -> NDArray[np.int16]:
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind in "iu" or bool((array == np.round(array)).all())
    if not whole or low < -32768 or high > 32767:
        raise InputError(
            f"{source.name} is not a segmentation: its values are no labels.",
            "Give a label map with whole numbers.",
        )
    return array.astype(np.int16)


def _resampled(
    source: NDArray[np.bool_], grid: GridGeometry, wanted: GridGeometry, slab_mm: float | None
) -> NDArray[np.bool_]:
    """Nearest neighbour, slice by slice to keep the coordinates' memory small."""
    k_n, j_n, i_n = wanted.shape
    mask = np.zeros(wanted.shape, dtype=bool)
    j, i = np.meshgrid(np.arange(j_n), np.arange(i_n), indexing="ij")
    limits = np.array(source.shape[::-1])
    # The reach of a slice towards the next ones, in steps.
    reach = 0.5 if slab_mm is None else min(0.5, 0.5 * slab_mm / grid.spacing_mm[2] + 0.01)
    for k in range(k_n):
        ras = wanted.to_ras(np.stack([i, j, np.full_like(i, k)], axis=-1).astype(np.float64))
        exact = grid.to_ijk(ras)
        ijk = np.rint(exact).astype(np.int64)
        inside = ((ijk >= 0) & (ijk < limits)).all(axis=-1)
        inside &= np.abs(exact[..., 2] - ijk[..., 2]) <= reach
        picked = ijk[inside]
        mask[k][inside] = source[picked[:, 2], picked[:, 1], picked[:, 0]]
    return mask
