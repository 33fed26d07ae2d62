"""Labels put together on one grid from pieces, each on a grid of its own: a scene's segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.boxes import bounding_box
from spinemar.volume import GridGeometry, LabelVolume

# So far from whole voxels, anywhere in it, a piece still counts as lying on the grid.
_ON_GRID_VOXELS = 0.1


@dataclass(frozen=True, eq=False)
class LabelPiece:
    """Voxels of some labels.

    Parameters
    ----------
    voxels : ndarray of integers, shape (k, j, i)
    ijk_to_ras : ndarray, shape (4, 4)
        Of the piece's own voxels.
    values : mapping of int to int
        What a voxel's value becomes; others are left out.
    """

    voxels: NDArray[np.integer]
    ijk_to_ras: NDArray[np.float64]
    values: Mapping[int, int]


def compose_labels(pieces: Sequence[LabelPiece], geometry: GridGeometry) -> LabelVolume:
    """Return the labels of all pieces on a grid; where two meet, the later one is seen.

    A piece on voxels of the grid is copied, any other one resampled to the nearest voxel.
    """
    labels = np.zeros(geometry.shape, dtype=np.int16)
    for piece in pieces:
        _add(labels, geometry, piece)
    return LabelVolume(labels, geometry.ijk_to_ras)


def _add(labels: NDArray[np.int16], geometry: GridGeometry, piece: LabelPiece) -> None:
    box = bounding_box(np.isin(piece.voxels, list(piece.values)))
    if box is None:
        return
    low = np.array([edge.start for edge in box])
    crop = piece.voxels[box]
    named = np.zeros(crop.shape, dtype=np.int16)
    for value, number in piece.values.items():
        named[crop == value] = number
    # The grid's voxel (i, j, k) of a voxel of the crop.
    to_grid = geometry.ras_to_ijk @ np.asarray(piece.ijk_to_ras, float)
    to_grid[:3, 3] += to_grid[:3, :3] @ low[::-1]
    first = np.rint(to_grid[:3, 3]).astype(int)
    leans = np.abs(to_grid[:3, :3] - np.eye(3)).max() * max(crop.shape)
    if leans + np.abs(to_grid[:3, 3] - first).max() < _ON_GRID_VOXELS:
        _paste(labels, named, first[::-1])
    else:
        _resample(labels, named, to_grid)


def _paste(labels: NDArray[np.int16], named: NDArray[np.int16], first: NDArray[np.int64]) -> None:
    low = np.maximum(first, 0)
    high = np.minimum(first + named.shape, labels.shape)
    if (high <= low).any():
        return
    target = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    source = tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))
    _overlay(labels[target], named[source])


def _resample(
    labels: NDArray[np.int16], named: NDArray[np.int16], to_grid: NDArray[np.float64]
) -> None:
    """Look up for each voxel of the grid near the piece what the piece has there."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in named.shape[::-1]])).reshape(3, -1)
    reached = (to_grid[:3, :3] @ corners + to_grid[:3, 3:])[::-1]
    low = np.maximum(np.floor(reached.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(reached.max(axis=1)).astype(int) + 1, labels.shape)
    if (high <= low).any():
        return
    back = np.linalg.inv(to_grid)
    matrix = back[:3, :3][::-1, ::-1]
    offset = matrix @ low + back[:3, 3][::-1]
    found = ndimage.affine_transform(
        named, matrix, offset, output_shape=tuple(high - low), order=0, mode="grid-constant"
    )
    target = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    _overlay(labels[target], found)


def _overlay(labels: NDArray[np.int16], new: NDArray[np.int16]) -> None:
    np.copyto(labels, new, where=new > 0)
