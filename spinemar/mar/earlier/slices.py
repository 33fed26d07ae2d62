"""The earlier CT slice by slice, as it lies in the scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.registration.field import DisplacementField
from spinemar.registration.grids import AIR_HU
from spinemar.registration.laid import Laid
from spinemar.registration.motions import FloatArray
from spinemar.volume import GridGeometry

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FWHM = 2.3548
_ROOM_VOXELS = 3


class LaidSlices:
    """Slices of a scan, filled from the earlier CT.

    Parameters
    ----------
    laid : Laid
    geometry : GridGeometry
        Of the scan's axial slices (slices, rows, columns).
    touched : ndarray of int
        The slices that will be asked for.
    """

    def __init__(
        self,
        laid: Laid,
        geometry: GridGeometry,
        touched: NDArray[np.intp],
    ) -> None:
        earlier, field = laid.earlier, laid.field
        self._field = field
        self._doubtful = laid.doubtful.astype(np.float32)
        self._geometry = geometry
        cut, self._source = _part(earlier.geometry, field, geometry, touched)
        hu = earlier.hu[cut]
        thin = np.array(self._source.spacing_mm)[::-1]
        # Thick slices average what thin ones of the earlier CT show.
        along = int(np.argmax(np.abs(earlier.geometry.ijk_to_ras[2, :3])[::-1]))
        blur = np.zeros(3)
        thick = geometry.spacing_mm[2]
        blur[along] = np.sqrt(max(thick**2 - thin[along] ** 2, 0.0)) / _FWHM / thin[along]
        if blur.max() > 0.2:
            hu = ndimage.gaussian_filter(hu, blur, mode="nearest", truncate=2.5)
        self._coefficients = ndimage.spline_filter(hu, order=3, output=np.float32, mode="nearest")
        self._usable = earlier.usable[cut].astype(np.float32)

    def of(self, k: int) -> tuple[Float, Mask]:
        """Return HU of slice k (air where nothing is shown), and where it can be used."""
        _, rows, columns = self._geometry.shape
        ijk = np.empty((rows, columns, 3))
        ijk[..., 0], ijk[..., 1], ijk[..., 2] = np.arange(columns), np.arange(rows)[:, None], k
        here = self._geometry.to_ras(ijk)
        doubt = ndimage.map_coordinates(
            self._doubtful, self._field.grid.index(here), order=0, mode="constant", cval=0.0
        )
        points = self._field.to_earlier(here)
        index = np.moveaxis(self._source.to_ijk(points), -1, 0)[::-1]
        share = ndimage.map_coordinates(self._usable, index, order=1, mode="constant", cval=0.0)
        hu = ndimage.map_coordinates(
            self._coefficients, index, order=3, mode="nearest", prefilter=False
        )
        size = np.array(self._source.shape)[:, None, None]
        outside = ((index < -0.5) | (index > size - 0.5)).any(axis=0)
        return np.where(outside, np.float32(AIR_HU), hu), (share > 0.99) & (doubt == 0)


def _part(
    source: GridGeometry, field: DisplacementField, scan: GridGeometry, touched: NDArray[np.intp]
) -> tuple[tuple[slice, ...], GridGeometry]:
    """Cut out of the earlier CT what these slices of the scan can show."""
    _, rows, columns = scan.shape
    corner = [
        (i, j, k)
        for i in np.linspace(0, columns - 1, 9)
        for j in np.linspace(0, rows - 1, 9)
        for k in (touched.min(), touched.max())
    ]
    ijk = source.to_ijk(field.to_earlier(scan.to_ras(np.array(corner, dtype=np.float64))))
    reach = 15.0 / np.array(source.spacing_mm) + _ROOM_VOXELS
    low, high = np.floor(ijk.min(axis=0) - reach), np.ceil(ijk.max(axis=0) + reach) + 1
    sides = []
    for axis, size in enumerate(source.shape):
        first = int(np.clip(low[2 - axis], 0, size - 1))
        sides.append((first, int(np.clip(high[2 - axis], first + 1, size))))
    affine: FloatArray = source.ijk_to_ras.copy()
    affine[:3, 3] = source.to_ras(np.array([side[0] for side in sides[::-1]], dtype=np.float64))
    k, j, i = (stop - first for first, stop in sides)
    return tuple(slice(*side) for side in sides), GridGeometry((k, j, i), affine)
