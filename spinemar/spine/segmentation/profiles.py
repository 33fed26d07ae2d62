"""What changes along the straightened spine: posterior wall, pedicles, discs.

Beside the canal a vertebra shows its pedicles and then, below them, a foramen; that profile
rises and falls once a vertebra even where the bodies have lost their contrast. In front of the
canal a disc shows as a valley between two endplates, or, where it is thin or the slices thick,
as one bright band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.straightening.straight import StraightSpine

_BEHIND_BODY = np.arange(4.0, 21.0, 2.0)
_ACROSS_BODY = np.arange(-12.0, 13.0, 2.0)
_HALF_DISCS_MM = (2, 3, 4, 5)
_CONTRAST_HU = 60.0


@dataclass(frozen=True)
class Profiles:
    """Functions of s (n,), 1 mm apart.

    Parameters
    ----------
    wall : ndarray
        Anterior coordinate of the bodies' posterior wall, mm.
    pedicles : ndarray
        0 at foramina to 1 at pedicles.
    disc : ndarray
        Evidence for a disc's centre, about -0.3 to 1.6.
    disc_tilt : ndarray, shape (n, 2)
        Slope of that disc to the front and to the right.
    """

    wall: NDArray[np.float64]
    pedicles: NDArray[np.float64]
    disc: NDArray[np.float64]
    disc_tilt: NDArray[np.float64]

    def with_margin(self, margin: int) -> Profiles:
        """Continue all profiles unchanged by `margin` at both ends, without evidence of discs."""
        ends = (margin, margin)
        return Profiles(
            np.pad(self.wall, ends, mode="edge"),
            np.pad(self.pedicles, ends, mode="edge"),
            np.pad(self.disc, ends, constant_values=-0.3),
            np.pad(self.disc_tilt, (ends, (0, 0))),
        )


def measure_profiles(spine: StraightSpine) -> Profiles:
    """Measure all profiles of a straightened spine."""
    wall = _posterior_wall(spine)
    pedicles = _stretched(_pedicle_bone(spine, wall), 71)
    disc, tilt = _disc_evidence(spine, wall)
    return Profiles(wall, pedicles, np.clip(disc, -0.3, 1.6), tilt)


def _posterior_wall(spine: StraightSpine) -> NDArray[np.float64]:
    middle = np.abs(spine.right) <= 6
    ahead = (spine.anterior >= 3) & (spine.anterior <= 16)
    bone = np.clip((spine.hu[:, ahead][:, :, middle] - 80) / 120, 0, 1).mean(axis=-1)
    edge = ndimage.gaussian_filter1d(bone, 1.0, axis=1, order=1).argmax(axis=1)
    wall = ndimage.median_filter(spine.anterior[ahead][edge], 41, mode="nearest")
    smooth: NDArray[np.float64] = ndimage.gaussian_filter1d(wall, 10.0, mode="nearest")
    return smooth


def _pedicle_bone(spine: StraightSpine, wall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the brightest 6 mm beside the canal, both sides, HU."""
    result = np.zeros(len(spine))
    beside = (np.abs(spine.right) >= 5) & (np.abs(spine.right) <= 19)
    for n in range(len(spine)):
        layer = (spine.anterior >= -2) & (spine.anterior <= max(wall[n] - 1, 3))
        across = np.clip(spine.hu[n][layer], -100, 450).mean(axis=0)
        for side in (spine.right > 0, spine.right < 0):
            result[n] += 0.5 * np.sort(across[beside & side])[-6:].mean()
    return result


def _stretched(profile: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Stretch a profile to 0..1 between its running extremes."""
    low = ndimage.minimum_filter1d(profile, window, mode="nearest")
    high = ndimage.maximum_filter1d(profile, window, mode="nearest")
    low = ndimage.gaussian_filter1d(low, window / 4, mode="nearest")
    high = ndimage.gaussian_filter1d(high, window / 4, mode="nearest")
    result: NDArray[np.float64] = np.clip((profile - low) / np.maximum(high - low, 1), 0, 1)
    return result


def _disc_evidence(
    spine: StraightSpine, wall: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evidence for a disc centred at each s, the best over tilts, and that tilt (n, 2)."""
    n = len(spine)
    s = np.arange(n)
    columns = spine.at(
        s[:, None, None].astype(np.float64),
        wall[:, None, None] + _BEHIND_BODY[:, None],
        _ACROSS_BODY[None, None, :],
    )
    columns = ndimage.gaussian_filter1d(np.clip(columns, -100, 500), 0.6, axis=0, mode="nearest")
    best, best_tilt = np.full(n, -np.inf), np.zeros((n, 2))
    front = (_BEHIND_BODY - _BEHIND_BODY.mean())[:, None]
    for forward in np.tan(np.radians(np.arange(-20, 21, 4))):
        for sideways in np.tan(np.radians(np.arange(-12, 13, 4))):
            shift = forward * front + sideways * _ACROSS_BODY
            profile = _sheared_median(columns, shift)
            score = _disc_score(profile) - 1.5 * (forward**2 + sideways**2)
            better = score > best
            best[better], best_tilt[better] = score[better], (forward, sideways)
    return best, best_tilt


def _sheared_median(
    columns: NDArray[np.float32], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Median over columns (n, a, r), each read `shift` (a, r) further along s."""
    n = len(columns)
    place = np.clip(np.arange(n)[:, None, None] + shift, 0, n - 1.001)
    low = np.floor(place).astype(np.intp)
    part = place - low
    a, r = np.indices(shift.shape)
    values = columns[low, a, r] * (1 - part) + columns[low + 1, a, r] * part
    result: NDArray[np.float64] = np.median(values, axis=(1, 2))
    return result


def _disc_score(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much a profile looks like endplate, disc, endplate around each place."""
    n = len(profile)

    def at(offset: int) -> NDArray[np.float64]:
        return profile[np.clip(np.arange(n) + offset, 0, n - 1)]

    unlike = np.mean([np.abs(at(k) - at(-k)) for k in (1, 2, 3, 4, 5, 6, 8)], axis=0) / 150
    centre = (at(-1) + at(0) + at(1)) / 3
    best = np.full(n, -np.inf)
    for half in _HALF_DISCS_MM:
        above, below = (np.maximum(at(k * half), at(k * (half + 1))) for k in (1, -1))
        endplates = np.minimum(above, below)
        beyond = np.maximum(at(half + 5) + at(half + 7), at(-half - 5) + at(-half - 7)) / 2
        valley = np.tanh(np.clip(endplates - centre, -40, None) / _CONTRAST_HU)
        band = np.tanh((endplates - beyond) / _CONTRAST_HU)
        best = np.maximum(best, valley + 0.8 * band)
    result: NDArray[np.float64] = best - unlike
    return result
