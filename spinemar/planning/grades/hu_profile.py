"""Hounsfield units along a screw's track: bone quality where the thread holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular
from spinemar.spine.model import VertebraFrame
from spinemar.volume import CTVolume

_STATION_MM = 0.5
_RINGS = ((0.0, 1), (0.5, 6), (1.0, 12))
# The pedicle reaches this far before and behind its isthmus along the track.
_PEDICLE_HALF_MM = 6.0


@dataclass(frozen=True)
class HuProfile:
    """HU averaged over the screw's cross-section, along its track.

    Parameters
    ----------
    depth_mm, hu : ndarray, shape (n,)
        From entry to tip. Where the track leaves the volume the HU is NaN.
    mean_hu, minimum_hu : float
        Of the whole track; NaN where the track lies outside the volume.
    pedicle_hu, body_hu : float
        Means in the pedicle and in the body; NaN where there is no frame.
    """

    depth_mm: FloatArray
    hu: FloatArray
    mean_hu: float
    minimum_hu: float
    pedicle_hu: float
    body_hu: float


def hu_profile(screw: Screw, volume: CTVolume, frame: VertebraFrame | None = None) -> HuProfile:
    """Measure a CT along a screw's track.

    Parameters
    ----------
    screw : Screw
    volume : CTVolume
        The CT without the screw.
    frame : VertebraFrame, optional
        Of the screw's vertebra; tells pedicle from body.
    """
    axis, entry = shank_axis(screw), np.asarray(screw.entry, float)
    depth = np.linspace(0.0, screw.length_mm, int(screw.length_mm / _STATION_MM) + 1)
    first = perpendicular(axis, (1.0, 0.0, 0.0))
    second = np.cross(axis, first)
    offsets = np.concatenate(
        [
            share
            * screw.diameter_mm
            / 2
            * (np.cos(a)[:, None] * first + np.sin(a)[:, None] * second)
            for share, count in _RINGS
            for a in [np.arange(count) * 2 * np.pi / count]
        ]
    )
    points = entry + depth[:, None, None] * axis + offsets
    hu = sample_hu(volume, points).mean(axis=1)
    pedicle = body = float("nan")
    if frame is not None and not screw.course and screw.side in frame.pedicles:
        isthmus = float((frame.pedicles[screw.side].isthmus_ras - entry) @ axis)
        pedicle = _mean(hu[np.abs(depth - isthmus) <= _PEDICLE_HALF_MM])
        body = _mean(hu[depth > isthmus + _PEDICLE_HALF_MM])
    seen = hu[np.isfinite(hu)]
    lowest = float(seen.min()) if len(seen) else float("nan")
    return HuProfile(depth, hu, _mean(hu), lowest, pedicle, body)


def sample_hu(volume: CTVolume, ras: FloatArray) -> FloatArray:
    """Return HU at points (..., 3), linear between voxels; NaN outside the volume."""
    ijk = volume.geometry.to_ijk(ras)
    kji = np.moveaxis(ijk[..., ::-1], -1, 0)
    found: FloatArray = ndimage.map_coordinates(
        volume.hu, kji, output=np.float64, order=1, mode="constant", cval=np.nan
    )
    return found


def _mean(values: FloatArray) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) else float("nan")
