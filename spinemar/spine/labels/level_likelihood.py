"""How likely the names of a column of vertebrae are: by ribs, sacrum and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.labels.levels import LUMBAR, SACRUM, THORACIC, USUAL_LENGTHS_MM

_STATURE_SPREAD, _LENGTH_SPREAD = 0.10, 0.06
_ALA_SHARE = 0.33


@dataclass(frozen=True)
class LevelSigns:
    """What tells levels apart, one entry a vertebra from feet to head.

    Parameters
    ----------
    length : ndarray, shape (m,)
        mm; NaN where the volume's end cuts it.
    ribs : ndarray, shape (m, 2)
        1 where a rib was traced to the vertebra (left, right), 0 where there is none, NaN where
        the field does not show it.
    ala : ndarray, shape (m,)
        Share of bone beside the body, as beside the sacrum.
    """

    length: NDArray[np.float64]
    ribs: NDArray[np.float64]
    ala: NDArray[np.float64]


def naming_likelihood(names: Sequence[str], signs: LevelSigns) -> float:
    """Return the log-likelihood of the signs under names from feet to head."""
    total = 0.0
    for n, name in enumerate(names):
        chance = _rib_chance(name)
        for traced in signs.ribs[n]:
            if np.isfinite(traced):
                total += float(np.log(chance if traced else 1 - chance))
        wing = signs.ala[n] > _ALA_SHARE
        winged = 0.9 if name == SACRUM else (0.15 if name == "L5" else 0.02)
        total += float(np.log(winged if wing else 1 - winged))
        if n and name == SACRUM and names[n - 1] == SACRUM:
            total -= 0.5
    known = np.isfinite(signs.length) & np.array([name != SACRUM for name in names])
    if known.any():
        expected = np.array([USUAL_LENGTHS_MM[name] for name in names])[known]
        misfit = np.log(signs.length[known] / expected)
        # Stature shifts all lengths together; what is left is each vertebra's own.
        count, own = known.sum(), _LENGTH_SPREAD**2
        stature = misfit.sum() / (count + own / _STATURE_SPREAD**2)
        total -= 0.5 * float(((misfit - stature) ** 2).sum() / own)
        total -= 0.5 * float(stature**2) / _STATURE_SPREAD**2
    return total


def _rib_chance(name: str) -> float:
    if name in THORACIC[:11]:
        return 0.96
    if name == "T12":
        return 0.85
    if name == "L1":
        return 0.06
    if name in LUMBAR or name == SACRUM:
        return 0.03
    return 0.10 if name == "C7" else 0.03
