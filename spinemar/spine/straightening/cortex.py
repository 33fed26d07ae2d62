"""Draw vertebrae to the outer surface of their cortex, on the CT's own voxels.

What is found in the straightened spine is bone by a fixed number of HU, on voxels of 1 mm that were
interpolated twice: its outline lies in the blur of the cortex, outside of it. Where a cortex ends
is where the CT has fallen half-way from it to soft tissue; what lies beyond is peeled off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.track import without_metal
from spinemar.volume import CTVolume, LabelVolume

_SOFT_HU = 40.0
# Half-way up: cortex of 280 HU in a blurred osteopenic spine, of 1160 in a sharp one.
_LIMITS_HU = (160.0, 600.0)
# The cortex that ends at a voxel is the densest bone so near to it in its slice, or above and below
# it in slices so near, which are blurred by their thickness; noise alone would be that too.
_CORTEX_MM, _ABOVE_MM, _SMOOTH_MM = 2.0, 2.5, 0.5
_STRAIGHT_ABOVE_MM = 1.0
#: No more than this is taken off: where a cortex is lost in thick slices marrow would go on and on.
MOST_PEELED_MM = 1.6
# A slice counts as no thicker: one that holds less than half of a bone's height is taken off whole.
_THICKEST_MM = 1.5
_MARGIN = 4


def peeled_to_cortex(labels: LabelVolume, volume: CTVolume) -> LabelVolume:
    """Return the labels without the soft tissue that their outlines take in.

    Parameters
    ----------
    labels : LabelVolume
        Vertebrae, none of whose bone lies outside of them.
    volume : CTVolume
        On the same grid.
    """
    spacing = labels.geometry.spacing_mm[::-1]
    hu = without_metal(volume.hu)
    result = labels.labels.copy()
    boxes: list[Any] = ndimage.find_objects(labels.labels)
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        wide = tuple(slice(max(side.start - _MARGIN, 0), side.stop + _MARGIN) for side in box)
        own = labels.labels[wide] == number
        result[wide][_beyond_cortex(own, hu[wide], spacing)] = 0
    return LabelVolume(result, labels.ijk_to_ras)


def _beyond_cortex(
    own: NDArray[np.bool_], hu: NDArray[np.float32], spacing: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Tell which voxels (k, j, i) of a vertebra lie outside of its cortex: reached from outside."""
    sigma = (0.0, *(_SMOOTH_MM / mm for mm in spacing[1:]))
    smooth = ndimage.gaussian_filter(hu, sigma)
    bone = np.where(own, smooth, np.float32(_SOFT_HU))
    cortex = ndimage.maximum_filter(bone, footprint=_disc(spacing))
    limit = np.clip((cortex + _SOFT_HU) / 2, *_LIMITS_HU)
    # The edge of the volume is no surface of a bone: it goes on there.
    outside = np.pad(~own, 1, mode="edge")
    steps = (min(spacing[0], _THICKEST_MM), *spacing[1:])
    depth = ndimage.distance_transform_edt(~outside, sampling=steps)[1:-1, 1:-1, 1:-1]
    soft = own & (hu < limit) & (depth <= MOST_PEELED_MM)
    first = soft & ndimage.binary_dilation(~own)
    return np.asarray(ndimage.binary_propagation(first, mask=soft), dtype=np.bool_)


def _disc(spacing: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return the neighbours (k, j, i) in which a voxel's cortex is looked for."""
    above = max(1, round(_ABOVE_MM / spacing[0]))
    reach = [above, *(int(np.ceil(_CORTEX_MM / mm)) for mm in spacing[1:])]
    k, j, i = (np.arange(-n, n + 1) for n in reach)
    away = np.hypot(j[:, None] * spacing[1], i * spacing[2])
    near = np.where(k == 0, _CORTEX_MM, _STRAIGHT_ABOVE_MM)[:, None, None]
    return np.asarray(away <= near, dtype=np.bool_)
