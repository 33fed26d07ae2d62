"""The border of one vertebra's labels, and how much of it lies on an edge of bone in the CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.anatomy.shape import VertebraShape
from spinemar.volume import CTVolume, LabelVolume

FloatArray = NDArray[np.float64]

_POINTS = 300
#: HU are compared so far inside and outside of the border, mm; they count between these limits.
_STEP_MM = 1.5
_COUNTED_HU = (-200.0, 500.0)
#: A fall by so many HU is most of an edge; much more of it says no more.
_FALL_HU = 150.0
#: A fall by so many HU from inside to outside is an edge at all.
_EDGE_HU = 50.0
#: No bone is so dense, HU: of what metal covers nobody knows where the bone ends.
_METAL_HU = 2000.0
#: The outer side must not lie in the neighbour: joints and fused bodies have no edge to look for.
_FREE_MM = 3.0


@dataclass(frozen=True)
class Border:
    """Points on the surface of labels.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        RAS mm.
    normals : ndarray, shape (n, 3)
        Unit vectors out of the bone.
    """

    points: FloatArray
    normals: FloatArray

    def mirrored(self, middle: FloatArray, right: FloatArray) -> Border:
        """Return its mirror image.

        Parameters
        ----------
        middle, right : ndarray, shape (3,)
            A point of the mirror's plane, RAS mm, and its unit normal.
        """
        points, normals = self.points - middle, self.normals
        return Border(
            middle + points - 2.0 * (points @ right)[:, None] * right,
            normals - 2.0 * (normals @ right)[:, None] * right,
        )


def border_of(shape: VertebraShape, labels: LabelVolume) -> Border:
    """Return points spread evenly over a vertebra's surface, away from its neighbours.

    Parameters
    ----------
    shape : VertebraShape
    labels : LabelVolume
        All vertebrae, to tell which side of the surface is a neighbour.
    """
    rng = np.random.default_rng(0)
    spacing = np.array(labels.geometry.spacing_mm)
    directions = labels.geometry.ijk_to_ras[:3, :3] / spacing
    voxels = shape.points_ras
    near = voxels[np.abs(shape.distance(voxels)) <= spacing.max()]
    if len(near) == 0:
        return Border(np.zeros((0, 3)), np.zeros((0, 3)))
    chosen = near[rng.choice(len(near), 6 * _POINTS)]
    points = chosen + (rng.random((len(chosen), 3)) - 0.5) * spacing @ directions.T
    for _ in range(3):
        points = points - _outwards(shape, points) * shape.distance(points)[:, None]
    normals = _outwards(shape, points)
    kept = np.abs(shape.distance(points)) < 0.4
    kept &= _label_at(labels, points + _FREE_MM * normals) == 0
    points, normals = points[kept][:_POINTS], normals[kept][:_POINTS]
    return Border(points, normals)


def _outwards(shape: VertebraShape, points: FloatArray) -> FloatArray:
    steps = np.eye(3)
    slope = np.stack([shape.distance(points + s) - shape.distance(points - s) for s in steps], -1)
    length = np.linalg.norm(slope, axis=-1, keepdims=True)
    return np.asarray(slope / np.maximum(length, 1e-6), np.float64)


def _label_at(labels: LabelVolume, ras: FloatArray) -> NDArray[np.integer]:
    index = np.rint(labels.geometry.to_ijk(ras)).astype(int)[:, ::-1]
    index = np.clip(index, 0, np.array(labels.labels.shape) - 1)
    found: NDArray[np.integer] = labels.labels[tuple(index.T)]
    return found


class EdgeScore:
    """How well a border lies on edges of bone, anywhere near where it is.

    Parameters
    ----------
    border : Border
    volume : CTVolume
    """

    def __init__(self, border: Border, volume: CTVolume) -> None:
        self._border, self._volume = border, volume

    def falls(self, shifts: FloatArray, grown_mm: float = 0.0) -> FloatArray:
        """Fall in HU from inside to outside of every point.

        Parameters
        ----------
        shifts : ndarray, shape (m, 3)
            By which the border is moved, RAS mm.
        grown_mm : float
            By which it is moved outwards.

        Returns
        -------
        ndarray, shape (m, n)
            NaN where the CT does not show the place, or metal on one of its sides.
        """
        at = self._border.points + shifts[:, None] + grown_mm * self._border.normals
        step = _STEP_MM * self._border.normals
        inside, outside = (self._bone_or_tissue_hu(p) for p in (at - step, at + step))
        return np.asarray(inside - outside, dtype=np.float64)

    def _bone_or_tissue_hu(self, ras: FloatArray) -> NDArray[np.float32]:
        hu = self._hu(ras)
        return np.clip(np.where(hu < _METAL_HU, hu, np.float32(np.nan)), *_COUNTED_HU)

    def _hu(self, ras: FloatArray) -> NDArray[np.float32]:
        index = np.moveaxis(self._volume.geometry.to_ijk(ras)[..., ::-1], -1, 0)
        found: NDArray[np.float32] = ndimage.map_coordinates(
            self._volume.hu, index, output=np.float32, order=1, mode="constant", cval=np.nan
        )
        return found

    def score(self, shifts: FloatArray, grown_mm: float = 0.0) -> FloatArray:
        """Mean over the border of how much of an edge each point lies on, -1 to 1, shape (m,)."""
        return _mean(np.tanh(self.falls(shifts, grown_mm) / _FALL_HU))

    def share(self) -> float:
        """Share of the border that lies on an edge; NaN where the CT does not show it."""
        falls = self.falls(np.zeros((1, 3)))
        return float(_mean(np.where(np.isnan(falls), np.nan, falls > _EDGE_HU))[0])


def _mean(values: FloatArray) -> FloatArray:
    """Mean of the last axis without what is not shown; NaN where less than half is."""
    shown = np.isfinite(values)
    count = shown.sum(axis=-1)
    total = np.where(shown, values, 0.0).sum(axis=-1)
    enough = count >= max(0.5 * values.shape[-1], 20)
    return np.where(enough, total / np.maximum(count, 1), np.nan)
