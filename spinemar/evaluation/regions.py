"""Where a slice is scored: never in the metal, sometimes beside it, sometimes far from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.axial import find_axial_slices
from spinemar.errors import GeometryError
from spinemar.volume import CTVolume

METAL_MARGIN_PX = 2
NEAR_MM = 20.0
_STREAK_MM = 60.0
BODY_HU = -300.0
_SOFT_TISSUE_HU = (-200.0, 250.0)
TISSUES_HU = {
    "fat": (-150.0, -50.0),
    "soft tissue": (0.0, 100.0),
    "trabecular bone": (150.0, 400.0),
    "cortical bone": (500.0, 1500.0),
}


@dataclass(frozen=True)
class SliceRegions:
    """Boolean maps of one slice, each of shape (rows, columns).

    Parameters
    ----------
    scored : ndarray of bool
        The body without the metal and 2 pixels around it; the whole slice where no body is found.
    near : ndarray of bool
        Scored pixels within 20 mm of metal.
    far : ndarray of bool
        Scored pixels farther than 20 mm from metal.
    streaks : ndarray of bool
        Scored soft tissue within 60 mm of metal.
    """

    scored: NDArray[np.bool_]
    near: NDArray[np.bool_]
    far: NDArray[np.bool_]
    streaks: NDArray[np.bool_]


def slice_regions(
    truth: NDArray[np.float32], metal: NDArray[np.bool_], pixel_mm: tuple[float, float]
) -> SliceRegions:
    """Find the regions of one slice.

    Parameters
    ----------
    truth : ndarray, shape (rows, columns)
        HU without artifacts; says what is body and soft tissue.
    metal : ndarray of bool, shape (rows, columns)
    pixel_mm : (row spacing, column spacing)
    """
    body = filled_body(truth)
    if not body.any():
        body = np.ones(truth.shape, dtype=bool)
    if not metal.any():
        nowhere = np.zeros(truth.shape, dtype=bool)
        return SliceRegions(body, nowhere, body, nowhere)
    distance = ndimage.distance_transform_edt(~metal, sampling=pixel_mm)
    scored = body & ~with_margin(metal)
    near = scored & (distance <= NEAR_MM)
    soft = (truth > _SOFT_TISSUE_HU[0]) & (truth < _SOFT_TISSUE_HU[1])
    return SliceRegions(
        scored=scored,
        near=near,
        far=scored & (distance > NEAR_MM),
        streaks=scored & soft & (distance <= _STREAK_MM),
    )


def axial_layout(volume: CTVolume) -> tuple[int, tuple[float, float]]:
    """Array axis of the axial slices and their pixel size; as stored where none is axial."""
    try:
        layout = find_axial_slices(volume.geometry)
    except GeometryError:
        spacing = volume.spacing_mm
        return 0, (spacing[1], spacing[0])
    return layout.axis, layout.pixel_mm


def with_margin(metal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Metal of one slice (rows, columns) and the 2 pixels around it that no score counts."""
    square = np.ones((3, 3), bool)
    return np.asarray(ndimage.binary_dilation(metal, square, iterations=METAL_MARGIN_PX))


def filled_body(
    hu: NDArray[np.float32], least_hu: float = BODY_HU, opened_px: int = 2
) -> NDArray[np.bool_]:
    """Return the largest object of a slice without artifacts, its holes filled: no table.

    `spinemar.mar.segmentation.body.find_body` is for slices that streaks cross.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
    least_hu : float
        What lies above it is tissue.
    opened_px : int
        What is thinner than twice as many pixels (clothes, the table's shell) does not count.

    Returns
    -------
    ndarray of bool, same shape
    """
    parts, count = ndimage.label(ndimage.binary_opening(hu > least_hu, iterations=opened_px))
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())[1:]
    return np.asarray(ndimage.binary_fill_holes(parts == 1 + int(sizes.argmax())), dtype=bool)
