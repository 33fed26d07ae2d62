"""What the network that fuses a prior picture with the earlier CT sees, and what it may do.

It sees both pictures, the scan, where metal is, and what the measured rays say against either
picture: each is projected, compared with the rays that are not lost, and what it misses is
reconstructed. It answers with three maps: how far to believe the earlier CT's coarse and its fine
structure, and a small correction of its own. So most of what it makes is taken from one of two
pictures that somebody can look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.earlier.fusion import Earlier, local_mean, missed, reach_of
from spinemar.mar.pipeline.slice_cache import SliceCache

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

N_FEATURES = 9
REACH, METAL, NEARNESS = 4, 5, 6
"""Features: how far the earlier CT may be used; the mask; the distance from metal."""
NEARNESS_MM = 50.0
"""One unit of that distance."""
PIXEL_MM = 0.8
"""What the network is trained on."""
N_MAPS = 3
COARSE_MM = 8.0
"""Full width of the mean that parts coarse from fine."""
OWN_HU = 200.0
"""HU of one unit of the network's own correction."""
_LOW_HU, _HIGH_HU = -1024.0, 3071.0
_MOST_HU = 2000.0
_HU_UNIT, _MISSES_UNIT, _MOST_UNITS = 500.0, 100.0, 5.0
_FWHM = 2.3548
_MISSES_MM = 2.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """One slice of both pictures, on the scan's pixels.

    Parameters
    ----------
    ground : ndarray of float32, shape (rows, columns)
        The prior network's picture, HU.
    coarse, fine : ndarray of float32, same shape
        What the earlier CT has more, HU; 0 where it is not used.
    reach : ndarray of float32, same shape
        How far it may be used, from 0 to 1.
    features : ndarray of float32, shape (9, rows, columns)
    """

    ground: Float
    coarse: Float
    fine: Float
    reach: Float
    features: Float

    def fused(self, maps: Float) -> tuple[Float, Float]:
        """Return the picture (HU) and the weight of the earlier CT, by the network's three maps.

        Parameters
        ----------
        maps : ndarray of float32, shape (3, rows, columns)
            Shares of coarse and fine, 0 to 1, and the own correction in units of `OWN_HU`.
        """
        coarse, fine, own = maps
        lent = coarse * self.coarse + fine * self.fine
        picture = self.ground + lent + self.reach * np.float32(OWN_HU) * own
        weight = self.reach * np.maximum(coarse, fine)
        return np.asarray(picture, np.float32), np.asarray(weight, np.float32)


def candidates(
    slice_cache: SliceCache,
    ks: Sequence[int],
    grounds: Sequence[Float],
    earlier: Sequence[Earlier],
    traces: Sequence[Mask],
) -> list[Candidate]:
    """Lay both pictures of slices that share a transform beside each other.

    Parameters
    ----------
    slice_cache : SliceCache
    ks : sequence of int
    grounds : sequence of ndarray of float32, shape (rows, columns)
        The prior network's pictures, HU.
    earlier : sequence of Earlier
    traces : sequence of ndarray of bool, shape (views, bins)
        The lost rays.
    """
    pixel = slice_cache.radon.pixel_mm
    near = slice_cache.get("nearness", ks)
    reaches = [reach_of(n, e.shown, pixel) for n, e in zip(near, earlier, strict=True)]
    parts = [
        _parts(np.clip(e.hu - g, -_MOST_HU, _MOST_HU), e.shown, r, pixel)
        for g, e, r in zip(grounds, earlier, reaches, strict=True)
    ]
    differences = [coarse + fine for coarse, fine in parts]
    misses = missed(slice_cache, ks, grounds, differences, traces)
    scans, metal = slice_cache.get("hu", ks), [slice_cache.metal_slices[k] for k in ks]
    found = []
    for n in range(len(ks)):
        seen = np.stack([
            _units(grounds[n]),
            _units(np.where(reaches[n] > 0, earlier[n].hu, grounds[n])),
            _units(scans[n]),
            np.clip(differences[n] / np.float32(_HU_UNIT), -_MOST_UNITS, _MOST_UNITS),
            reaches[n],
            metal[n].astype(np.float32),
            np.clip(near[n] / np.float32(NEARNESS_MM), 0.0, 2.0),
            *_smooth_units(misses[n], pixel),
        ])  # fmt: skip
        found.append(Candidate(grounds[n], *parts[n], reaches[n], seen.astype(np.float32)))
    return found


def _parts(
    difference: Float, shown: Mask, reach: Float, pixel_mm: tuple[float, float]
) -> tuple[Float, Float]:
    """Part what the earlier CT has more in coarse and fine, as far as it reaches."""
    coarse = local_mean(difference, shown, COARSE_MM, pixel_mm)
    parts = reach * coarse, reach * (difference - coarse)
    return np.asarray(parts[0], np.float32), np.asarray(parts[1], np.float32)


def _units(hu: Float) -> Float:
    return (np.clip(hu, _LOW_HU, _HIGH_HU) + np.float32(1000.0)) / np.float32(2 * _HU_UNIT)


def _smooth_units(wrong: Float, pixel_mm: tuple[float, float]) -> Float:
    """Return what pictures miss (2, rows, columns) without its grain, in the network's units."""
    sigma = (0.0, *(_MISSES_MM / _FWHM / side for side in pixel_mm))
    smooth = ndimage.gaussian_filter(wrong, sigma, truncate=3.0)
    units = np.clip(smooth / np.float32(_MISSES_UNIT), -_MOST_UNITS, _MOST_UNITS)
    return np.asarray(units, np.float32)
