"""Whether the names of labelled vertebrae fit what the CT shows of them.

How far ribs and transverse processes reach is measured beside each vertebra, in its own frame; with
the distances of the bodies that makes one naming of the whole column more likely than those that
are one or two levels off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.anatomy.pedicle_outlines import Density
from spinemar.spine.labels.level_likelihood import LevelSigns, naming_likelihood
from spinemar.spine.labels.levels import (
    LEVELS,
    SACRUM,
    UNCONFIRMED_LEVELS,
    level_position,
    shift_level,
)
from spinemar.spine.labels.reach_likelihood import LONG_RIB_MM, NEAREST_MM, reach_likelihood
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume

#: Namings are compared that are so many levels off.
_STEPS = (-2, -1, 1, 2)
#: A lead of one naming over another by this log-likelihood counts. A T12 without ribs, which does
#: occur, makes 4.
CLEAR = 5.0
_GRID_MM = 1.5
_BONE_HU, _LEAST_MM3 = 180.0, 150.0
#: A rib or process starts so near the middle and the height of the pedicle, mm; it is looked for up
#: to here.
_ROOT_MM, _NEAR_PEDICLE_MM, _FARTHEST_MM = 24.0, 12.0, 64.0
#: The field has to show where a long rib would be: what it cuts off looks short.
_SHOWN_MM = LONG_RIB_MM


def with_level_evidence(model: SpineModel, volume: CTVolume) -> SpineModel:
    """Return the spine with what the CT says about the names of its levels.

    Every vertebra gets a `level_doubt` where another naming is clearly more likely, or a warning
    where nothing tells.
    """
    step, lead = naming_lead(model.vertebrae, volume)
    if lead <= -CLEAR:
        return model
    return replace(model, vertebrae=tuple(_doubted(f, step, lead) for f in model.vertebrae))


def _doubted(frame: VertebraFrame, step: int, lead: float) -> VertebraFrame:
    if lead < CLEAR:
        return replace(frame, warnings=(*frame.warnings, UNCONFIRMED_LEVELS))
    way = "downwards" if step > 0 else "upwards"
    count = "one level" if abs(step) == 1 else f"{abs(step)} levels"
    doubt = (
        f"By its ribs, processes and lengths in the CT this column is named wrongly: all names "
        f"move {count} {way}. Check them, and name the uppermost vertebra."
    )
    return replace(frame, level_doubt=doubt, warnings=(*frame.warnings, doubt))


def naming_lead(frames: Sequence[VertebraFrame], volume: CTVolume) -> tuple[int, float]:
    """Return by how many levels the likeliest other naming is off, and how far it leads.

    The lead is negative where the given names are the likeliest; 0 where nothing can be told.
    """
    # A sacrum's own shape, not ribs and lengths, says that it is one.
    frames = [frame for frame in frames if frame.level != SACRUM]
    whole = [frame for frame in frames if frame.level in LEVELS]
    if len(whole) < 3 or len(whole) < len(frames):
        return 0, 0.0
    signs, reach = _lengths(whole[::-1]), _reaches(whole[::-1], volume)
    levels = [frame.level for frame in whole][::-1]

    def likelihood(names: Sequence[str]) -> float:
        return naming_likelihood(names, signs) + reach_likelihood(names, reach)

    given = likelihood(levels)
    others = {
        step: likelihood([shift_level(level, step) for level in levels])
        for step in _STEPS
        if level_position(levels[-1]) + step >= 0
        and level_position(levels[0]) + step < len(LEVELS) - 1
    }
    if not others:
        return 0, 0.0
    best = max(others, key=lambda step: others[step])
    return best, others[best] - given


def _lengths(frames: Sequence[VertebraFrame]) -> LevelSigns:
    """Measure lengths, from feet to head; ribs are told by how far they reach."""
    centres = np.array([frame.body_centre_ras for frame in frames])
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    length = np.full(len(frames), np.nan)
    length[1:-1] = (gaps[:-1] + gaps[1:]) / 2
    return LevelSigns(length, np.full((len(frames), 2), np.nan), np.zeros(len(frames)))


def _reaches(frames: Sequence[VertebraFrame], volume: CTVolume) -> NDArray[np.float64]:
    """Return how far bone reaches to the left and right of each vertebra (m, 2), mm."""
    density = Density(volume)
    return np.array([[_reach_mm(f, volume, density, sign) for sign in (-1, 1)] for f in frames])


def _reach_mm(frame: VertebraFrame, volume: CTVolume, density: Density, sign: int) -> float:
    """Return how far the rib or process of a side reaches; NaN where that cannot be seen."""
    heights = [float(p.isthmus_ras @ frame.superior) for p in frame.pedicles.values()]
    canal = float(frame.canal_centre_ras @ frame.superior)
    above = float(np.mean(heights)) - canal if heights else 0.0
    axes = (
        np.arange(-16.0, 24.0, _GRID_MM),
        np.arange(-34.0, 10.0, _GRID_MM),
        np.arange(NEAREST_MM, _FARTHEST_MM, _GRID_MM),
    )
    s, a, r = np.meshgrid(*axes, indexing="ij")
    local = np.stack([sign * r, a, s + above], axis=-1)
    points = local @ frame.axes_ras + frame.canal_centre_ras
    ijk = volume.geometry.to_ijk(points)
    inside = ((ijk > -0.5) & (ijk < np.array(volume.hu.shape)[::-1] - 0.5)).all(axis=-1)
    hu = np.where(inside, density.at(points), -2000.0)
    place = (np.abs(r - _SHOWN_MM) < 1) & (a > -20) & (a < 0) & (np.abs(s) < 8)
    if (hu[place] > -1000).mean() < 0.5:
        return float("nan")
    parts = (part for part in _parts(hu > _BONE_HU) if _starts_at_pedicle(part, s, r))
    return max((float(r[part].max()) for part in parts), default=float("nan"))


def _parts(bone: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    parts, _ = ndimage.label(bone, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel()) * _GRID_MM**3
    return [parts == n for n in range(1, len(sizes)) if sizes[n] >= _LEAST_MM3]


def _starts_at_pedicle(
    part: NDArray[np.bool_], s: NDArray[np.float64], r: NDArray[np.float64]
) -> bool:
    away, height = r[part], s[part]
    if away.min() > _ROOT_MM:
        return False
    root = height[away < away.min() + 6].mean()
    return bool(abs(root) <= _NEAR_PEDICLE_MM)
