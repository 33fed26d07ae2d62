"""Metal taken out of a corrected CT, and its place filled from the tissue beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.boxes import bounding_box
from spinemar.postop.metal_share import MetalShare
from spinemar.volume import CTVolume

#: From here on a voxel glows.
GLOW_SHARE = 0.1
# Metal and its glow around it are taken out so far, and filled from so far beside.
_GLOW_MM, _FILL_MM = 1.2, 3.0
_WIDER = (4.0, 2.0, 1.0)
# What lies farther than so many widths of the narrowest mean from metal fills nothing: four of the
# widest, which is as far as the filter looks, and the glow.
_SEEN_SIGMAS = 4.0 * _WIDER[0] + _GLOW_MM / _FILL_MM


def hidden_by(metal: MetalShare) -> NDArray[np.bool_]:
    """Tell which voxels (k, j, i) metal hides: itself and its glow, slice by slice."""
    columns, rows, _ = metal.geometry.spacing_mm
    hidden = np.zeros(metal.share.shape, np.bool_)
    reach = [int(_GLOW_MM / side) + 2 for side in (rows, columns)]
    for k, share in enumerate(metal.share):
        box = bounding_box(share >= GLOW_SHARE, reach)
        if box is not None:
            away = ndimage.distance_transform_edt(share[box] < GLOW_SHARE, sampling=(rows, columns))
            hidden[k][box] = away <= _GLOW_MM
    return hidden


def without_implants(volume: CTVolume, hidden: NDArray[np.bool_]) -> CTVolume:
    """Return the CT with metal and its glow filled from the tissue beside it, slice by slice.

    Parameters
    ----------
    volume : CTVolume
    hidden : ndarray of bool, shape of `volume.hu`
        Of `hidden_by`.
    """
    columns, rows, _ = volume.spacing_mm
    hu = volume.hu.copy()
    sigma = (_FILL_MM / rows, _FILL_MM / columns)
    reach = [int(_SEEN_SIGMAS * side) + 2 for side in sigma]
    for picture, behind in zip(hu, hidden, strict=True):
        box = bounding_box(behind, reach)
        if box is not None:
            part, taken = picture[box], behind[box]
            part[taken] = _filled(part, taken, sigma)[taken]
    return volume.with_hu(hu)


def _filled(
    hu: NDArray[np.float32], taken: NDArray[np.bool_], sigma: tuple[float, float]
) -> NDArray[np.float32]:
    """Average what is not taken around each pixel, wider where nothing is near."""
    result = np.zeros_like(hu)
    known = np.zeros_like(hu)
    for wider in _WIDER:
        around = tuple(s * wider for s in sigma)
        weight = ndimage.gaussian_filter((~taken).astype(np.float32), around)
        mean = ndimage.gaussian_filter(np.where(taken, np.float32(0), hu), around)
        sure = np.clip(weight / 0.05, 0.0, 1.0)
        result = sure * mean / np.maximum(weight, 1e-6) + (1 - sure) * result
        known = np.maximum(known, sure)
    return np.asarray(np.where(known > 0, result, hu), np.float32)
