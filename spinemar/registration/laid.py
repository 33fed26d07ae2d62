"""An earlier CT as it lies over a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spinemar.registration.field import DisplacementField
from spinemar.registration.grids import Mask, Picture
from spinemar.registration.motions import Registration
from spinemar.volume import GridGeometry, LabelVolume


@dataclass(frozen=True, eq=False)
class Laid:
    """An earlier CT laid over a scan.

    Parameters
    ----------
    registration : Registration
    field : DisplacementField
        Covers the metal and 60 mm around it.
    earlier : Picture
    labels : LabelVolume or None
        Vertebrae of the earlier CT, VerSe numbers.
    doubtful : ndarray of bool, shape of the field's grid
        Around vertebrae whose registration failed: the earlier CT is not to be used there.
    notes : tuple of str
        What is to be said of the vertebrae's names, where these were found here.
    """

    registration: Registration
    field: DisplacementField
    earlier: Picture
    labels: LabelVolume | None
    doubtful: Mask
    notes: tuple[str, ...] = ()

    def labels_on(self, scan: GridGeometry) -> LabelVolume | None:
        """Return the vertebrae moved onto a grid in the scan; nothing beyond the field."""
        if self.labels is None:
            return None
        slices, rows, columns = scan.shape
        found = np.zeros(scan.shape, dtype=np.int16)
        ijk = np.empty((rows, columns, 3))
        ijk[..., 0], ijk[..., 1] = np.arange(columns), np.arange(rows)[:, None]
        for k in range(slices):
            ijk[..., 2] = k
            points = scan.to_ras(ijk)
            near = self.field.covers(points)
            if not near.any():
                continue
            index = self.labels.geometry.to_ijk(self.field.to_earlier(points[near])).T[::-1]
            found[k][near] = ndimage.map_coordinates(
                self.labels.labels, index, order=0, mode="constant", cval=0
            )
        return LabelVolume(found, scan.ijk_to_ras)
