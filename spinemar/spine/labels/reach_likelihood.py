"""How likely a level is by how far its bone reaches to a side: ribs, and transverse processes.

Ribs of T12 may be short or missing, and L1 may have some; but the transverse processes of T12 are
much shorter than those of L1, and from L1 to L3 they grow with every level. Means were measured on
the training CTs (acrin_flt_breast_001_abd T12 to L5, crlm_1004 T12 to L4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spinemar.spine.labels.levels import CERVICAL, LUMBAR, THORACIC

#: What reaches so far from the middle is a long rib: nothing farther is looked at, mm.
LONG_RIB_MM = 60.0
#: Where bone is looked for at the least, mm.
NEAREST_MM = 16.0
#: Tips of transverse processes from the middle, mm.
_PROCESS_MM = {"T11": 25.0, "T12": 25.0, "L1": 36.0, "L2": 39.5, "L3": 43.5, "L4": 42.0, "L5": 48.0}
_PROCESS_SPREAD_MM = 4.0
#: A rib that is no long one ends anywhere from here on, mm.
_SHORT_RIB_MM = 28.0
_RIB_CHANCE = {"T12": 0.93, "L1": 0.02}
_RIB_CHANCE |= dict.fromkeys(THORACIC[:11], 0.99) | dict.fromkeys(LUMBAR[1:], 0.003)
_RIB_CHANCE |= dict.fromkeys(CERVICAL, 0.03)
#: Ribs of T1 to T11 are long but where the search loses them, those of T12 in every second.
_LONG_CHANCE, _LONG_CHANCE_T12 = 0.94, 0.5
#: What is measured wrongly lies anywhere; the share of it.
_WRONG = 0.03
#: Both sides of a vertebra say partly the same.
_SIDE_WEIGHT = 0.75


def reach_likelihood(names: Sequence[str], reach_mm: NDArray[np.float64]) -> float:
    """Return the log-likelihood of how far bone reaches under names.

    Parameters
    ----------
    names : sequence of str
        Regular levels, in the order of the rows.
    reach_mm : ndarray, shape (m, 2)
        How far from the middle the bone at the height of the pedicles reaches, left and right;
        NaN where that is not seen.
    """
    seen = [
        _density(name, float(mm))
        for name, row in zip(names, reach_mm, strict=True)
        for mm in row
        if np.isfinite(mm)
    ]
    return _SIDE_WEIGHT * float(np.log(seen).sum())


def _density(name: str, mm: float) -> float:
    """Return the density of a reach in 1/mm; of a long rib, its chance."""
    rib = _RIB_CHANCE.get(name, 0.003)
    chance = _LONG_CHANCE if name in THORACIC[:11] else _LONG_CHANCE_T12
    span = LONG_RIB_MM - NEAREST_MM
    if mm >= LONG_RIB_MM:
        return _WRONG * 0.3 + (1.0 - _WRONG) * rib * chance
    short = (mm >= _SHORT_RIB_MM) / (LONG_RIB_MM - _SHORT_RIB_MM)
    mean = _PROCESS_MM.get(name)
    bell = np.exp(-0.5 * ((mm - (mean or 0.0)) / _PROCESS_SPREAD_MM) ** 2)
    # Of the other levels no mean was measured.
    process = bell / (_PROCESS_SPREAD_MM * np.sqrt(2 * np.pi)) if mean else 1.0 / span
    known = rib * (1.0 - chance) * short + (1.0 - rib) * process
    return float(_WRONG * 0.7 / span + (1.0 - _WRONG) * known)
