"""Whether the names of labelled vertebrae fit what the CT shows of ribs and lengths.

Ribs are looked for beside each vertebra, in its own frame; with the distances of the bodies they
make one naming of the whole column more likely than those that are one or two levels off.
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
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume

#: Namings are compared that are so many levels off.
_STEPS = (-2, -1, 1, 2)
#: A lead of one naming over another by this log-likelihood counts. A T12 without ribs, which does
#: occur, makes 4.
_CLEAR = 5.0
_GRID_MM = 1.5
_RIB_HU, _RIB_LEAST_MM3 = 180.0, 150.0
#: A rib starts near the pedicle and reaches this far from the middle, mm.
_ROOT_MM, _FAR_MM, _NEAR_PEDICLE_MM = 24.0, 52.0, 12.0
#: Where the field has to show the place of a rib, mm from the middle.
_SHOWN_MM = 48.0


def with_level_evidence(model: SpineModel, volume: CTVolume) -> SpineModel:
    """Return the spine with what the CT says about the names of its levels.

    Every vertebra gets a `level_doubt` where another naming is clearly more likely, or a warning
    where nothing tells.
    """
    step, lead = naming_lead(model.vertebrae, volume)
    if lead <= -_CLEAR:
        return model
    return replace(model, vertebrae=tuple(_doubted(f, step, lead) for f in model.vertebrae))


def _doubted(frame: VertebraFrame, step: int, lead: float) -> VertebraFrame:
    if lead < _CLEAR:
        return replace(frame, warnings=(*frame.warnings, UNCONFIRMED_LEVELS))
    way = "downwards" if step > 0 else "upwards"
    count = "one level" if abs(step) == 1 else f"{abs(step)} levels"
    doubt = (
        f"By its ribs and lengths in the CT this column is named wrongly: all names move {count} "
        f"{way}. Check them, and name the uppermost vertebra."
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
    signs = _signs(whole[::-1], volume)
    levels = [frame.level for frame in whole][::-1]
    given = naming_likelihood(levels, signs)
    others = {
        step: naming_likelihood([shift_level(level, step) for level in levels], signs)
        for step in _STEPS
        if level_position(levels[-1]) + step >= 0
        and level_position(levels[0]) + step < len(LEVELS) - 1
    }
    if not others:
        return 0, 0.0
    best = max(others, key=lambda step: others[step])
    return best, others[best] - given


def _signs(frames: Sequence[VertebraFrame], volume: CTVolume) -> LevelSigns:
    """Measure lengths and ribs, from feet to head."""
    centres = np.array([frame.body_centre_ras for frame in frames])
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    length = np.full(len(frames), np.nan)
    length[1:-1] = (gaps[:-1] + gaps[1:]) / 2
    density = Density(volume)
    ribs = np.array([[_rib(f, volume, density, sign) for sign in (-1, 1)] for f in frames])
    return LevelSigns(length, ribs, np.zeros(len(frames)))


def _rib(frame: VertebraFrame, volume: CTVolume, density: Density, sign: int) -> float:
    """1 where a rib springs from this side, 0 where none does, NaN where the field ends before."""
    heights = [float(p.isthmus_ras @ frame.superior) for p in frame.pedicles.values()]
    canal = float(frame.canal_centre_ras @ frame.superior)
    above = float(np.mean(heights)) - canal if heights else 0.0
    axes = (np.arange(-16, 24, _GRID_MM), np.arange(-34, 10, _GRID_MM), np.arange(16, 64, _GRID_MM))
    s, a, r = np.meshgrid(*axes, indexing="ij")
    local = np.stack([sign * r, a, s + above], axis=-1)
    points = local @ frame.axes_ras + frame.canal_centre_ras
    ijk = volume.geometry.to_ijk(points)
    inside = ((ijk > -0.5) & (ijk < np.array(volume.hu.shape)[::-1] - 0.5)).all(axis=-1)
    hu = np.where(inside, density.at(points), -2000.0)
    place = (np.abs(r - _SHOWN_MM) < 1) & (a > -20) & (a < 0) & (np.abs(s) < 8)
    if (hu[place] > -1000).mean() < 0.5:
        return float("nan")
    return float(any(_is_rib(part, s, r) for part in _parts(hu > _RIB_HU)))


def _parts(bone: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    parts, _ = ndimage.label(bone, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel()) * _GRID_MM**3
    return [parts == n for n in range(1, len(sizes)) if sizes[n] >= _RIB_LEAST_MM3]


def _is_rib(part: NDArray[np.bool_], s: NDArray[np.float64], r: NDArray[np.float64]) -> bool:
    away, height = r[part], s[part]
    if away.min() > _ROOT_MM or away.max() < _FAR_MM:
        return False
    root = height[away < away.min() + 6].mean()
    return bool(abs(root) <= _NEAR_PEDICLE_MM)
