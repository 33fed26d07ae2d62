"""Read segmentations: integer labels, and masks brought onto a CT's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import full_path
from spinemar.errors import GeometryError, InputError
from spinemar.io.itk import read_image
from spinemar.volume import GridGeometry, LabelVolume


def read_labels(path: str | Path) -> LabelVolume:
    """Read a label volume (NRRD, `.seg.nrrd` with one layer, NIfTI, MetaImage).

    Raises
    ------
    InputError
        If it holds fractions, or labels outside -32768 to 32767.
    """
    source = full_path(path)
    array, affine = read_image(source, "native")
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind in "iu" or bool((array == np.round(array)).all())
    if not whole or low < -32768 or high > 32767:
        raise InputError(
            f"{source.name} is not a segmentation: its values are no labels.",
            "Give a label map with whole numbers.",
        )
    return LabelVolume(array.astype(np.int16), affine)


def read_mask(path: str | Path, geometry: GridGeometry) -> NDArray[np.bool_]:
    """Read a mask and bring it onto a CT's grid.

    Parameters
    ----------
    path : path
        Any label file; whatever is not 0 belongs to the mask.
    geometry : GridGeometry
        The CT's grid. A mask of another grid is resampled (nearest neighbour).

    Returns
    -------
    ndarray of bool, shape `geometry.shape`

    Raises
    ------
    InputError
        If the mask is empty.
    GeometryError
        If it lies outside the CT.
    """
    source = full_path(path)
    labels = read_labels(source)
    if not labels.labels.any():
        raise InputError(f"The mask {source.name} is empty.", "Give a mask that marks the metal.")
    if labels.geometry.same_as(geometry):
        return np.asarray(labels.labels != 0)
    mask = _resampled(labels, geometry)
    if not mask.any():
        raise GeometryError(
            f"The mask {source.name} lies outside the CT.", "Give the mask that belongs to this CT."
        )
    return mask


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
    array, affine = read_image(source, "float32")
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


def _resampled(labels: LabelVolume, geometry: GridGeometry) -> NDArray[np.bool_]:
    """Nearest neighbour, slice by slice to keep the coordinates' memory small."""
    source = labels.labels != 0
    k_n, j_n, i_n = geometry.shape
    mask = np.zeros(geometry.shape, dtype=bool)
    j, i = np.meshgrid(np.arange(j_n), np.arange(i_n), indexing="ij")
    limits = np.array(source.shape[::-1])
    for k in range(k_n):
        ras = geometry.to_ras(np.stack([i, j, np.full_like(i, k)], axis=-1).astype(np.float64))
        ijk = np.rint(labels.geometry.to_ijk(ras)).astype(np.int64)
        inside = ((ijk >= 0) & (ijk < limits)).all(axis=-1)
        picked = ijk[inside]
        mask[k][inside] = source[picked[:, 2], picked[:, 1], picked[:, 0]]
    return mask
