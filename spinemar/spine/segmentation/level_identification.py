"""Which level each vertebra is: from ribs, sacrum and the lengths of the vertebrae.

A guess: with neither the last rib, the first rib nor the sacrum in the field only the lengths
speak, and the margin between the best and the next naming is then small. It is reported as
confidence, and shifting a whole spine by one level is a single call (`segment.shift_levels`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.labels.level_likelihood import LevelSigns, naming_likelihood
from spinemar.spine.labels.levels import LEVELS
from spinemar.spine.segmentation.posterior import Arches
from spinemar.spine.straightening.straight import StraightSpine

_RIB_HU = 180.0
_RIB_FAR_MM = 48.0
_RIB_ROOT_MM = 30.0
_RIB_LEAST_MM3 = 150
#: Lead in log-likelihood that counts as fairly sure; the signs are not independent.
_MARGIN = 6.0


@dataclass(frozen=True)
class LevelGuess:
    """Names from feet to head, and how much the best naming leads (0 to 1)."""

    levels: tuple[str, ...]
    confidence: float


def read_signs(
    spine: StraightSpine, arches: Arches, boundaries: NDArray[np.intp], ribs: NDArray[np.int16]
) -> LevelSigns:
    """Measure the signs on a straightened spine with its rib voxels.

    `boundaries` (discs,) are the disc centres, `ribs` (s, a, r) the labels of ribs.
    """
    count = len(arches.centre)
    length = np.full(count, np.nan)
    length[1:-1] = np.diff(boundaries)
    traced = np.zeros((count, 2))
    for column, sign in enumerate((-1, 1)):
        for label in _rib_roots(spine, arches, ribs, sign):
            traced[label - 1, column] = 1
        seen = _field_shows(spine, arches, sign)
        traced[~seen & (traced[:, column] == 0), column] = np.nan
    right = np.abs(spine.right)
    beside = (right > 26) & (right < 42)
    front = (spine.anterior > 0) & (spine.anterior < 25)
    ala = np.zeros(count)
    for n in range(count):
        low = max(int(arches.centre[n] - 0.9 * arches.length[n]), 0)
        high = max(int(arches.centre[n] + 0.3 * arches.length[n]), low)
        part = spine.hu[low:high][:, front][:, :, beside]
        ala[n] = float((part > 130).mean()) if part.size else 0.0
    return LevelSigns(length, traced, ala)


def _field_shows(spine: StraightSpine, arches: Arches, sign: int) -> NDArray[np.bool_]:
    """Whether the volume shows where each vertebra's rib would be (not cut by field or end)."""
    far = np.abs(spine.right - sign * _RIB_FAR_MM).argmin()
    back = (spine.anterior > -20) & (spine.anterior < 0)
    inside = (spine.hu[:, back, far] > -1000).mean(axis=1) > 0.5
    n = len(spine)
    low = np.clip((arches.centre - 0.5 * arches.length).astype(int), 0, n - 1)
    high = np.clip((arches.centre + 0.2 * arches.length).astype(int), 0, n - 1)
    first, last = spine.margin + 2, n - spine.margin - 4
    whole = (arches.centre - 0.5 * arches.length > first) & (arches.centre < last)
    result: NDArray[np.bool_] = whole & inside[low] & inside[high]
    return result


def _rib_roots(
    spine: StraightSpine, arches: Arches, ribs: NDArray[np.int16], sign: int
) -> list[int]:
    """Labels of the vertebrae that ribs on one side spring from."""
    side = spine.right * sign
    back = spine.anterior < 4
    bone = (ribs > 0) & (spine.hu > _RIB_HU)
    bone &= back[None, :, None] & (side > 18)[None, None, :]
    parts, count = ndimage.label(bone, structure=np.ones((3, 3, 3)))
    found = []
    boxes = ndimage.find_objects(parts)
    for number in range(1, count + 1):
        box = boxes[number - 1]
        s, _, r = np.nonzero(parts[box] == number)
        away = side[box[2]][r]
        if len(s) < _RIB_LEAST_MM3 or away.max() < _RIB_FAR_MM or away.min() > 46:
            continue
        root = s[away < away.min() + 6].mean() + box[0].start
        if away.min() < _RIB_ROOT_MM:
            # Heads and necks of ribs lie at the height of their pedicle or a little above.
            gap = np.abs(root - (arches.centre + 0.1 * arches.length))
        else:
            gap = np.abs(root + 0.3 * (away.min() - _RIB_ROOT_MM) - arches.centre)
        found.append(int(gap.argmin()) + 1)
    return found


def guess_levels(signs: LevelSigns) -> LevelGuess:
    """Name all vertebrae at once: the naming that the signs make most likely."""
    count = len(signs.length)
    scores = []
    # The uppermost vertebra may be any level; what runs past S1 is sacrum too.
    for top in range(len(LEVELS)):
        names = [LEVELS[min(top + n, len(LEVELS) - 1)] for n in range(count)][::-1]
        scores.append(naming_likelihood(names, signs))
    order = np.argsort(scores)[::-1]
    best, second = scores[order[0]], scores[order[1]]
    top = int(order[0])
    names = [LEVELS[min(top + n, len(LEVELS) - 1)] for n in range(count)][::-1]
    return LevelGuess(tuple(names), float(1 - np.exp(-(best - second) / _MARGIN)))
