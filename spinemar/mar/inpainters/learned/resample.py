"""Images to the prior network's pixel size and back: two sparse matrices an image.

A triangle kernel, widened where pixels grow, so that fine pixels are averaged and coarse ones
interpolated. The training code builds the same matrices; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray


def resampling_matrix(
    n_in: int, in_mm: float, n_out: int, out_mm: float, centre_mm: float = 0.0
) -> scipy.sparse.csr_array:
    """Weights that make `n_out` samples of `out_mm` from `n_in` of `in_mm`.

    Parameters
    ----------
    n_in, n_out : int
        Samples of the two grids, both centred.
    in_mm, out_mm : float
    centre_mm : float
        Where the new grid's centre lies on the old one, mm.

    Returns
    -------
    csr_array of float32, shape (n_out, n_in)
        What lies outside counts as 0.
    """
    position = ((np.arange(n_out) - (n_out - 1) / 2) * out_mm + centre_mm) / in_mm + (n_in - 1) / 2
    width = max(1.0, out_mm / in_mm)
    first = np.ceil(position - width).astype(np.int64)
    taps = np.arange(int(np.floor(2 * width)) + 1)
    columns = first[:, None] + taps
    weights = np.maximum(1 - np.abs(position[:, None] - columns) / width, 0) / width
    inside = (columns >= 0) & (columns < n_in) & (weights > 0)
    rows = np.broadcast_to(np.arange(n_out)[:, None], columns.shape)
    return scipy.sparse.csr_array(
        (weights[inside].astype(np.float32), (rows[inside], columns[inside])),
        shape=(n_out, n_in),
    )


@dataclass(frozen=True)
class PriorGrid:
    """A window of an image at the prior network's pixel size.

    Parameters
    ----------
    shape : (rows, columns)
        Of the window, multiples of the network's coarsest pixel.
    centre_mm : (rows, columns)
        Of the window, from the image's centre.
    pixel_mm : float
        Of the window.
    image_shape : (rows, columns)
    image_pixel_mm : (rows, columns)
    """

    shape: tuple[int, int]
    centre_mm: tuple[float, float]
    pixel_mm: float
    image_shape: tuple[int, int]
    image_pixel_mm: tuple[float, float]

    def into(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample images (n, rows, columns) into the window."""
        rows, columns = (
            resampling_matrix(
                self.image_shape[axis],
                self.image_pixel_mm[axis],
                self.shape[axis],
                self.pixel_mm,
                self.centre_mm[axis],
            )
            for axis in (0, 1)
        )
        return _apply(images, rows, columns)

    def back(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample windows (n, rows, columns) onto the image; 0 outside the window."""
        rows, columns = (
            resampling_matrix(
                self.shape[axis],
                self.pixel_mm,
                self.image_shape[axis],
                self.image_pixel_mm[axis],
                -self.centre_mm[axis],
            )
            for axis in (0, 1)
        )
        return _apply(images, rows, columns)


def _apply(
    images: NDArray[np.float32],
    rows: scipy.sparse.csr_array,
    columns: scipy.sparse.csr_array,
) -> NDArray[np.float32]:
    n, height, width = images.shape
    # One sparse product for the whole stack an axis: (h', h) times (h, n * w), then columns.
    tall = rows @ np.ascontiguousarray(images.transpose(1, 0, 2)).reshape(height, n * width)
    tall = tall.reshape(-1, n, width).transpose(2, 1, 0).reshape(width, -1)
    out = (columns @ np.ascontiguousarray(tall)).reshape(columns.shape[0], n, -1)
    return np.ascontiguousarray(out.transpose(1, 2, 0), dtype=np.float32)


def window_around(
    region: NDArray[np.bool_],
    image_pixel_mm: tuple[float, float],
    pixel_mm: float,
    *,
    margin_mm: float,
    multiple: int,
) -> PriorGrid:
    """Choose the window that holds a region (the body) with a margin.

    Parameters
    ----------
    region : ndarray of bool, shape (rows, columns)
    image_pixel_mm : (row spacing, column spacing)
    pixel_mm : float
        Of the window.
    margin_mm : float
    multiple : int
        The window's sides are multiples of this.
    """
    image_shape = (int(region.shape[0]), int(region.shape[1]))
    sides: list[int] = []
    centres: list[float] = []
    for axis in (0, 1):
        found = np.flatnonzero(region.any(axis=1 - axis))
        size, pitch = image_shape[axis], image_pixel_mm[axis]
        low, high = (found[0], found[-1]) if found.size else (0, size - 1)
        reach = (high - low + 1) * pitch + 2 * margin_mm
        sides.append(max(1, int(np.ceil(reach / pixel_mm / multiple))) * multiple)
        centres.append(((low + high) / 2 - (size - 1) / 2) * pitch)
    return PriorGrid(
        (sides[0], sides[1]), (centres[0], centres[1]), pixel_mm, image_shape, image_pixel_mm
    )
