"""Outlines of pedicles: labels say where the bone is, the CT where its cortex ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.volume import CTVolume

#: The CT may shrink the labels' outline, and move it outwards by this much, mm.
_OUTWARDS_MM = 0.75
_DEEP_MM = 2.0
_SOFT_HU = 40.0
_OUTLINE_HU = (160.0, 400.0)
#: A section this much wider than usual may hold a rib; its joint lies at these shares of the usual
#: width from the canal's side, and is darker than both bones by this share.
_TOO_WIDE = 1.3
_JOINT = (0.8, 1.7)
_JOINT_DEPTH = 0.08


class Density:
    """CT values at any point, as the pedicles' outlines need them."""

    def __init__(self, volume: CTVolume) -> None:
        self._hu, self._geometry = volume.hu, volume.geometry

    def at(self, ras: NDArray[np.float64]) -> NDArray[np.float32]:
        """HU at RAS points (..., 3)."""
        ijk = self._geometry.to_ijk(ras)
        result: NDArray[np.float32] = ndimage.map_coordinates(
            self._hu, np.moveaxis(ijk[..., ::-1], -1, 0), order=1, mode="nearest", output=np.float32
        )
        return result


class BoneSections:
    """Inside or outside of the vertebra: by its labels, and by the CT where there is one."""

    def __init__(self, shape: VertebraShape, density: Density | None) -> None:
        self._shape, self._density = shape, density

    def cut(self, ras: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Masks of sections, shape (sections, height, width), at points (..., 3), and their HU."""
        distance = self._shape.distance(ras)
        within: NDArray[np.bool_] = np.less(distance, 0)
        if self._density is None or within.sum() < 20:
            return within, None
        hu = self._density.at(ras)
        # Half-way up the cortex is where its outline lies.
        cortex = float(np.percentile(hu[within], 85))
        limit = np.clip((cortex + _SOFT_HU) / 2, *_OUTLINE_HU)
        dense = (distance < _OUTWARDS_MM) & (hu > limit)
        result = np.zeros_like(dense)
        for n, image in enumerate(dense):
            closed = ndimage.binary_closing(np.pad(image, 3), iterations=2)[3:-3, 3:-3]
            result[n] = ndimage.binary_fill_holes(closed | image)
            # Filling must not bridge a canal or a joint: only marrow inside the labels.
            result[n] &= (distance[n] < 0) | image
            # Thin cortices break in coarse or noisy CTs; deep inside the labels is bone.
            result[n] |= distance[n] < -_DEEP_MM
        return np.asarray(result, dtype=np.bool_), hu


def calipers(mask: NDArray[np.bool_], step_mm: float) -> tuple[float, float]:
    """Smallest caliper width of a section and its extent square to it, mm.

    `mask` has the shape (rows, columns), pixels of `step_mm`.
    """
    rows, columns = np.nonzero(mask)
    angles = np.radians(np.arange(-40, 41, 5))
    widths, heights = [], []
    for angle in angles:
        across = columns * np.cos(angle) + rows * np.sin(angle)
        upright = -columns * np.sin(angle) + rows * np.cos(angle)
        # Percentiles, so that one stray corner does not count; +1 pixel for the pixel itself.
        widths.append(np.percentile(across, 99.5) - np.percentile(across, 0.5) + 1)
        heights.append(np.percentile(upright, 99.5) - np.percentile(upright, 0.5) + 1)
    best = int(np.argmin(widths))
    return float(widths[best] * step_mm), float(heights[best] * step_mm)


def without_rib(
    mask: NDArray[np.bool_], hu: NDArray[np.float32], step_mm: float, usual_mm: float
) -> NDArray[np.bool_]:
    """Cut a section (height, width; sideways to the right) that is far too wide for a pedicle.

    The neck of a rib may lie against a pedicle without a gap. The joint between them is still
    darker than both; the cut goes there, and nowhere if there is no such valley.

    `mask` and `hu` have the shape (rows, columns).
    """
    columns = np.flatnonzero(mask.any(axis=0))
    width = len(columns) * step_mm
    if width < _TOO_WIDE * usual_mm:
        return mask
    rows = mask.sum(axis=0)
    profile = np.where(mask, hu, 0).sum(axis=0) / np.maximum(rows, 1)
    first, last = columns[0], columns[-1]
    inside = slice(first, last + 1)
    profile[inside] = ndimage.gaussian_filter1d(profile[inside], 1.0, mode="nearest")
    low = first + round(_JOINT[0] * usual_mm / step_mm)
    high = min(first + round(_JOINT[1] * usual_mm / step_mm), last - round(1.0 / step_mm))
    if high <= low:
        return mask
    valley = low + int(profile[low : high + 1].argmin())
    rim = min(profile[first:valley].max(initial=0), profile[valley + 1 : last + 1].max(initial=0))
    if profile[valley] > rim - _JOINT_DEPTH * (rim - _SOFT_HU):
        return mask
    result = mask.copy()
    result[:, valley + 1 :] = False
    return result
