"""Parallel sinograms onto the fan beam in which published MAR networks are trained.

The grid is that of ADN, InDuDoNet and DICDNet after Zhang and Yu: an image of 416 x 416 pixels, a
source and a flat detector 1075 pixels from its centre on either side, 640 views over a whole turn,
641 bins that cover the image's diagonal (at the centre), cells counted from their middles, as ODL
places them. Lengths are in pixels of 512 / 416 * 0.03 cm whatever the patient's size: every image
counts as 15.36 cm wide, so line integrals of wider ones are scaled down. Water attenuates 0.192
per cm.

References
----------
Zhang, Yu: Convolutional neural network based metal artifact reduction in X-ray computed
tomography, IEEE Trans. Med. Imaging 37 (2018), doi 10.1109/TMI.2018.2823083.
github.com/hongwang01/InDuDoNet, deeplesion/build_gemotry.py (the grid's numbers).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.tomography.units import MU_WATER_PER_MM

IMAGE_PX = 416
VIEWS, BINS = 640, 641
RADIUS_PX = 1075.0
"""From the source to the centre, and from there to the detector."""
PIXEL_CM = 512 / IMAGE_PX * 0.03
MU_WATER_PER_CM = 0.192
_MARGIN_VIEWS = 8


def hu_to_layout(hu: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return attenuation per cm, any shape, with the layout's water; nothing is clipped."""
    return np.asarray((hu / 1000.0 + 1.0) * MU_WATER_PER_CM, dtype=np.float32)


def integral_factor(fov_mm: float) -> float:
    """Return what turns line integrals of an image `fov_mm` wide into the layout's."""
    length = IMAGE_PX * PIXEL_CM / (fov_mm / 10.0)
    return length * MU_WATER_PER_CM / (10.0 * MU_WATER_PER_MM)


class FanGrid:
    """The fan's rays in one parallel sinogram.

    Parameters
    ----------
    n_views, n_bins : int
        Of the parallel sinogram, over half a turn; see `SinogramGeometry`.
    bin_px : float
        Its bins in pixels of the layout's image.
    """

    def __init__(self, n_views: int, n_bins: int, bin_px: float) -> None:
        self._views = n_views
        beta = (np.arange(VIEWS) + 0.5) * (2.0 * np.pi / VIEWS)
        width = 2.0 * np.sqrt(2.0) * IMAGE_PX
        across = (np.arange(BINS) - (BINS - 1) / 2.0) * (width / BINS)
        gamma = np.arctan(across / (2.0 * RADIUS_PX))
        # ODL's first axis runs along the rows: what it calls an angle is pi/2 less ours.
        theta = np.pi / 2.0 - beta[:, None] + gamma
        turns = np.floor(theta / np.pi)
        offset = np.where(turns % 2 == 0, 1.0, -1.0) * (RADIUS_PX * np.sin(gamma))
        self._view = (theta / np.pi - turns) * n_views
        self._bin = offset / bin_px + (n_bins - 1) / 2.0

    def of(self, sinogram: NDArray[np.floating]) -> NDArray[np.float32]:
        """Interpolate a parallel sinogram (views, bins) by cubic splines: (640, 641)."""
        return np.asarray(self._mapped(sinogram.astype(np.float64), 3), dtype=np.float32)

    def trace_of(self, trace: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark the rays, (640, 641), with a marked one of (views, bins) beside them."""
        return np.asarray(self._mapped(trace.astype(np.float64), 1) > 1e-6)

    def _mapped(self, values: NDArray[np.float64], order: Literal[1, 3]) -> NDArray[Any]:
        # Half a turn on, a ray is the same ray on the other side of the centre.
        before = values[self._views - _MARGIN_VIEWS :, ::-1]
        after = values[:_MARGIN_VIEWS, ::-1]
        whole = np.concatenate([before, values, after])
        place = [self._view + _MARGIN_VIEWS, self._bin]
        mapped: NDArray[Any] = ndimage.map_coordinates(whole, place, order=order, mode="nearest")
        return mapped
