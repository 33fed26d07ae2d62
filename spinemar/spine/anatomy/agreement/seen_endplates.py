"""Endplates as the CT shows them: planes moved and turned to where bone ends best.

Labels follow an endplate to about a voxel; over its depth that is several degrees. Angles of a
spine are measured between planes that were fitted to the edge itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.model import Endplate, VertebraFrame
from spinemar.volume import CTVolume

FloatArray = NDArray[np.float64]

#: How far a plane may turn about the frame's axes, degrees (nodding, to the side), and move, mm;
#: then about the best of these.
_NOD_DEG, _SIDE_DEG, _SHIFT_MM = np.arange(-8.0, 8.1, 1.0), np.array([-4.0, 0.0, 4.0]), 4.0
_NOD_BESIDE_DEG, _SIDE_BESIDE_DEG = np.array([-0.5, 0.0, 0.5]), np.array([-2.0, 0.0, 2.0])
_STEP_MM = 0.5
#: A mean fall of fewer HU is no edge (training CTs: less in slices of 4 mm that blur a disc).
_LEAST_FALL_HU = 20.0
#: The plate is looked at from front to back and to both sides of its middle, mm: where angles are
#: read in the lateral projection, and not where the rims rise towards ribs and facets.
_DEPTH_MM, _WIDTH_MM, _SPACING_MM = 13.0, 6.0, 1.5
#: HU count between these limits; bone is compared so far inside with what lies so far outside, mm.
_COUNTED_HU, _ACROSS_MM = (-50.0, 600.0), 1.5
#: What a turn by a degree and a move by a millimetre cost, HU: both are unlikely from afar.
_TURN_COST, _SHIFT_COST = 0.4, 8.0


def with_seen_endplates(frame: VertebraFrame, volume: CTVolume) -> VertebraFrame:
    """Return the frame with those endplates whose edge the CT shows, fitted to it."""
    found = {
        name: seen_endplate(plate, frame, volume, 1.0 if name == "superior" else -1.0)
        for name, plate in frame.endplates.items()
    }
    return replace(frame, seen_endplates={n: p for n, p in found.items() if p is not None})


def seen_endplate(
    plate: Endplate, frame: VertebraFrame, volume: CTVolume, outwards: float
) -> Endplate | None:
    """Turn and move one endplate to where HU fall most from the bone to the disc.

    Parameters
    ----------
    plate : Endplate
        As the labels have it.
    frame : VertebraFrame
    volume : CTVolume
    outwards : float
        1 for an upper endplate, -1 for a lower one.

    Returns
    -------
    Endplate or None
        None where no edge is seen: in porous bone, between thick slices.
    """
    search = _Search.of(plate, frame, volume, outwards)
    nod, side = search.best(_NOD_DEG, _SIDE_DEG)[1]
    nods = np.clip(nod + _NOD_BESIDE_DEG, _NOD_DEG[0], _NOD_DEG[-1])
    sides = np.clip(side + _SIDE_BESIDE_DEG, _SIDE_DEG[0], _SIDE_DEG[-1])
    fall, _, found = search.best(nods, sides)
    return found if fall >= _LEAST_FALL_HU else None


@dataclass(frozen=True, eq=False)
class _Search:
    """Planes near an endplate, and how HU fall across them."""

    plate: Endplate
    axes: FloatArray  # the plate's own: right, front, up
    volume: CTVolume
    outwards: float

    @classmethod
    def of(
        cls, plate: Endplate, frame: VertebraFrame, volume: CTVolume, outwards: float
    ) -> _Search:
        up = np.asarray(plate.normal_ras)
        right = frame.right - up * (frame.right @ up)
        right /= np.linalg.norm(right)
        return cls(plate, np.stack([right, np.cross(up, right), up]), volume, outwards)

    def best(
        self, nods_deg: FloatArray, sides_deg: FloatArray
    ) -> tuple[float, tuple[float, float], Endplate]:
        """Return how far HU fall less its costs, both turns in degrees, and the plane."""
        reach = _SHIFT_MM + _ACROSS_MM + 1.0
        offsets = np.arange(-reach, reach + 0.1, _STEP_MM)
        best, turns, found = -np.inf, (0.0, 0.0), self.plate
        for nod in nods_deg:
            for side in sides_deg:
                normal, grid = self._plane(nod, side, offsets)
                cost = _TURN_COST * abs(nod) + _SHIFT_COST * np.abs(offsets)
                fall = _profile(_hu(self.volume, grid)) - cost
                score = np.where(np.abs(offsets) <= _SHIFT_MM, fall, -np.inf)
                n = int(score.argmax())
                if score[n] > best:
                    best, turns = float(score[n]), (float(nod), float(side))
                    point = self.plate.point_ras + self.outwards * offsets[n] * normal
                    found = Endplate(point, normal)
        return best, turns, found

    def _plane(
        self, nod_deg: float, side_deg: float, offsets: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the normal of a turned plane, and points (depth, width, offsets, 3) about it."""
        right, front, up = self.axes
        normal = up + np.tan(np.radians(nod_deg)) * front + np.tan(np.radians(side_deg)) * right
        normal /= np.linalg.norm(normal)
        along = np.arange(-_DEPTH_MM, _DEPTH_MM + 0.1, _SPACING_MM)
        across = np.arange(-_WIDTH_MM, _WIDTH_MM + 0.1, _SPACING_MM)
        grid = (
            self.plate.point_ras
            + along[:, None, None, None] * (front - normal * (front @ normal))
            + across[None, :, None, None] * (right - normal * (right @ normal))
            + self.outwards * offsets[:, None] * normal
        )
        return normal, grid


def _profile(hu: FloatArray) -> FloatArray:
    """Mean fall of HU across a plane for every offset, from (depth, width, offsets)."""
    k = round(_ACROSS_MM / _STEP_MM)
    total = np.cumsum(hu, axis=-1)
    mean = (total[..., k:] - total[..., :-k]) / k  # of the k places after each
    fall = np.full(hu.shape, np.nan)
    fall[..., k + 1 : -k] = mean[..., : -k - 1] - mean[..., k + 1 :]
    fall = np.tanh(fall / 150.0) * 150.0
    return np.asarray(fall.mean(axis=(0, 1)))


def _hu(volume: CTVolume, ras: FloatArray) -> FloatArray:
    index = np.moveaxis(volume.geometry.to_ijk(ras)[..., ::-1], -1, 0)
    found = ndimage.map_coordinates(volume.hu, index, output=np.float64, order=1, mode="nearest")
    return np.asarray(np.clip(found, *_COUNTED_HU))
