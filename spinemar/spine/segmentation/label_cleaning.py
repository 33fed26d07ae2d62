"""Close, fill and prune the labels of single vertebrae in the straightened spine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.straight import StraightSpine

_CLOSE_MM = 2.5
_MARROW_HU = -60.0
_HOLE_MM2 = 150.0
_PIECE_MM3, _NEAR_MM = 40, 4.0
_SMOOTH_MM = 0.6


def clean_labels(
    spine: StraightSpine, labels: NDArray[np.int16], keep_out: NDArray[np.bool_]
) -> NDArray[np.int16]:
    """Return labels whose marrow is filled, whose stray pieces are gone, with smooth surfaces.

    Parameters
    ----------
    spine : StraightSpine
    labels : ndarray of int16, shape (n, na, nr)
    keep_out : ndarray of bool, shape (n, na, nr)
        Voxels that no vertebra may take (ribs, the canal).
    """
    result = np.zeros_like(labels)
    strength = np.full(labels.shape, 0.5, np.float32)
    boxes: list[Any] = ndimage.find_objects(labels)
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        wide = tuple(
            slice(max(edge.start - 4, 0), min(edge.stop + 4, size))
            for edge, size in zip(box, labels.shape, strict=True)
        )
        own = labels[wide] == number
        other = ((labels[wide] > 0) & ~own) | keep_out[wide]
        mask = _filled(own, ~other & (spine.hu[wide] > _MARROW_HU))
        mask = _joined(mask)
        soft = ndimage.gaussian_filter(mask.astype(np.float32), _SMOOTH_MM)
        # Where two smoothed labels meet, the stronger one takes the voxel.
        better = (soft > strength[wide]) & ~keep_out[wide]
        result[wide][better] = number
        strength[wide][better] = soft[better]
    return result


def _filled(own: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close gaps and fill small holes, only where allowed."""
    padded = np.pad(own, 4)
    # Closing with a ball by distances: fast, and round in three dimensions.
    grown = ndimage.distance_transform_edt(~padded) <= _CLOSE_MM
    closed = ndimage.distance_transform_edt(grown) > _CLOSE_MM
    mask = own | (closed[4:-4, 4:-4, 4:-4] & allowed)
    for axis in (0, 2):
        for index in range(mask.shape[axis]):
            part: list[slice | int] = [slice(None)] * 3
            part[axis] = index
            image = mask[tuple(part)]
            holes, count = ndimage.label(ndimage.binary_fill_holes(image) & ~image)
            if count:
                small = np.bincount(holes.ravel()) <= _HOLE_MM2
                small[0] = False
                image |= small[holes] & allowed[tuple(part)]
    return mask


def _joined(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop pieces that are small or far from the main part."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    main = int(sizes.argmax())
    far = ndimage.distance_transform_edt(parts != main)
    nearest = ndimage.minimum(far, parts, np.arange(count + 1))
    keep = (sizes >= _PIECE_MM3) & (np.asarray(nearest) <= _NEAR_MM)
    keep[main], keep[0] = True, False
    result: NDArray[np.bool_] = keep[parts]
    return result
