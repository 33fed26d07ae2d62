"""Sample a patient on the scanner's grid: thin slices of a new shape, size and bone density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.sampling.deformation import FloatArray
from spinemar.dataset.sampling.patients import Patient
from spinemar.volume import GridGeometry

_COARSE_PX = 8
_BONE_HU, _SOFT_HU = 150.0, (-300.0, 150.0)


class PointMap(Protocol):
    """Says where points of what is sampled lie in the CT that it is sampled from."""

    def to_source(self, points: NDArray[np.floating]) -> FloatArray:
        """Map points (..., 3), RAS mm."""


@dataclass(frozen=True)
class Tissue:
    """How a patient's tissue differs from the CT's.

    Parameters
    ----------
    bone_density : float
        Factor on what HU exceed 150: osteopenic below 1, sclerotic above.
    soft_shift_hu : float
        Added to soft tissue.
    """

    bone_density: float
    soft_shift_hu: float

    def applied(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return HU of the changed tissue, same shape."""
        bone = np.maximum(hu - np.float32(_BONE_HU), 0.0) * np.float32(self.bone_density - 1.0)
        soft = (hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1])
        return np.asarray(hu + bone + soft * np.float32(self.soft_shift_hu), dtype=np.float32)


def scan_grid(
    centre_ras: tuple[float, float],
    z_mm: float,
    size: int,
    pixel_mm: float,
    layers: int,
    layer_mm: float,
) -> GridGeometry:
    """Return a square axial grid about a point, columns to the left, rows to the back.

    Parameters
    ----------
    centre_ras : (right, anterior) in mm
    z_mm : float
        Middle of the layers.
    size : int
        Rows and columns.
    pixel_mm : float
    layers : int
        Layers upwards, `layer_mm` apart.
    """
    affine = np.diag([-pixel_mm, -pixel_mm, layer_mm, 1.0])
    half = pixel_mm * (size - 1) / 2
    affine[:3, 3] = centre_ras[0] + half, centre_ras[1] + half, z_mm - layer_mm * (layers - 1) / 2
    return GridGeometry((layers, size, size), affine)


def sample_patient(
    patient: Patient, deformation: PointMap, grid: GridGeometry, per_layer: int
) -> NDArray[np.float32]:
    """Sample the deformed patient, averaged over the thickness of each layer.

    Parameters
    ----------
    patient : Patient
    deformation : PointMap
        From the new patient to the CT.
    grid : GridGeometry
        Of `scan_grid`.
    per_layer : int
        Planes averaged for a layer.

    Returns
    -------
    ndarray of float32, shape of `grid`
        HU; air beside the CT's field, its end slices repeated above and below.
    """
    layers = np.zeros(grid.shape, dtype=np.float32)
    offsets = (np.arange(per_layer) - (per_layer - 1) / 2) / per_layer
    for k in range(grid.shape[0]):
        for offset in offsets:
            index = _source_index(patient, deformation, grid, k + float(offset))
            layers[k] += _values(patient.hu, index, patient.stack_axis)
    return layers / np.float32(per_layer)


def _source_index(
    patient: Patient, deformation: PointMap, grid: GridGeometry, k: float
) -> NDArray[np.float32]:
    """Return voxel coordinates (3: k j i, rows, columns) of one plane.

    The map is smooth: it is worked out at every eighth pixel and interpolated between.
    """
    rows, columns = grid.shape[1:]
    nodes = [np.arange(0, n + _COARSE_PX, _COARSE_PX, dtype=np.float64) for n in (rows, columns)]
    j, i = np.meshgrid(*nodes, indexing="ij")
    points: FloatArray = grid.to_ras(np.stack([i, j, np.full_like(i, k)], axis=-1))
    ijk = patient.geometry.to_ijk(deformation.to_source(points))
    coarse = np.ascontiguousarray(ijk.transpose(2, 0, 1)[::-1], dtype=np.float32)
    return _stretched(_stretched(coarse, rows, axis=1), columns, axis=2)


def _stretched(coarse: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    """Interpolate linearly along an axis whose nodes lie eight pixels apart."""
    position = np.arange(size) / _COARSE_PX
    low = position.astype(int)
    share = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    below, above = np.take(coarse, low, axis=axis), np.take(coarse, low + 1, axis=axis)
    return np.asarray(below + share * (above - below), dtype=np.float32)


def _values(
    hu: NDArray[np.int16], index: NDArray[np.float32], stack_axis: int
) -> NDArray[np.float32]:
    """Interpolate linearly; beyond the first and last slice those are repeated."""
    height = index[stack_axis]
    np.clip(height, 0.0, hu.shape[stack_axis] - 1.0, out=height)
    found: NDArray[np.float32] = ndimage.map_coordinates(
        hu, index, order=1, mode="constant", cval=-1000.0, output=np.float32
    )
    return found
