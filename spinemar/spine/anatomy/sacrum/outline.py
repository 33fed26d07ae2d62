"""The outline of the sacrum in a CT: what its cortex encloses, cut from the hips at the joints.

Fatty marrow in the alae is as dark as the fat around them, so that no threshold finds the bone. A
ball that rolls over the cortex from outside and through the canal does not get into it; the
foramina are wide enough for the ball, and stay open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.spine.anatomy.sacrum.endplate import SacralPlate
from spinemar.spine.anatomy.shape import LocalGrid
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from spinemar.volume import CTVolume, GridGeometry, LabelVolume

FloatArray = NDArray[np.float64]

_STEP_MM = 1.0
#: To both sides, to the back and front, down and up from the middle of the plate, mm.
_REACH_MM = ((-80.0, 80.0), (-75.0, 35.0), (-85.0, 15.0))
_SMOOTH = 0.6
#: Cortex, partly filled voxels too.
_BONE_HU = 130.0
_BALL_MM = 4.0
#: Beside the canal a smaller ball gets into the recesses of the roots, behind the body of S1.
_SMALL_BALL_MM = 1.5
_RECESS_BELOW_MM, _RECESS_DEPTH_MM = 35.0, 20.0
#: The body of S1 is no wider than this from the middle; beside it are the alae.
_BODY_HALF_MM = 27.0
#: What bone encloses further from the middle is marrow of an ala. The first foramina lie nearer,
#: and so far below the plate; above them alae begin beside the canal.
_ALA_MM, _UPPER_ALA_MM = 28.0, 22.0
_FORAMINA_BELOW_MM = 20.0
#: Surely sacrum below the plate, and surely hip, from the middle.
_SURELY_SACRUM_MM, _SURELY_HIP_MM = 18.0, 70.0


@dataclass(frozen=True)
class _Scene:
    """The surroundings of the sacrum in the axes of its plate, index (superior, anterior, right).

    Parameters
    ----------
    grid : LocalGrid
    hu : ndarray of float32
        Smoothed.
    taken : ndarray of bool
        What is no sacrum for sure: other vertebrae, the disc.
    unseen : ndarray of bool
        What the CT does not show.
    """

    plate: SacralPlate
    grid: LocalGrid
    hu: NDArray[np.float32]
    taken: NDArray[np.bool_]
    unseen: NDArray[np.bool_]

    def index_of(self, ras: FloatArray) -> FloatArray:
        """Fractional index (..., 3) of points (..., 3), RAS mm."""
        local = (ras - self.plate.centre_ras) @ self.plate.axes.T
        first = [self.grid.right[0], self.grid.anterior[0], self.grid.superior[0]]
        return np.asarray((local - first)[..., ::-1] / _STEP_MM, np.float64)


def outlined_sacrum(
    labels: LabelVolume, volume: CTVolume, plate: SacralPlate, canal_ras: FloatArray
) -> LabelVolume:
    """Return the labels with the sacrum drawn anew.

    Parameters
    ----------
    labels : LabelVolume
        VerSe numbers, with a rough sacrum.
    volume : CTVolume
        On the grid of the labels.
    plate : SacralPlate
        Of the rough sacrum.
    canal_ras : ndarray, shape (n, 3)
        Centre line of the canal, through the sacrum.
    """
    scene = _scene(labels, volume, plate)
    solid = _with_marrow(_enclosed(scene, canal_ras), scene)
    return _with_sacrum(labels, scene, _cut_from_hips(solid, scene))


def _scene(labels: LabelVolume, volume: CTVolume, plate: SacralPlate) -> _Scene:
    grid = LocalGrid.box(*_REACH_MM, _STEP_MM)
    ras = grid.points() @ plate.axes + plate.centre_ras
    kji = volume.geometry.to_ijk(ras)[..., ::-1]
    beyond = (kji < -0.5) | (kji > np.array(volume.hu.shape) - 0.5)
    unseen = np.asarray(beyond.any(axis=-1))
    hu = ndimage.gaussian_filter(sampled(volume.hu, volume.geometry, ras, 1, -1000.0), _SMOOTH)
    found = sampled(labels.labels, labels.geometry, ras, 0, 0.0)
    others = (found > 0) & (found != VERSE_IDS[SACRUM])
    body = (grid.anterior > -plate.depth_mm / 2 - 1.0)[:, None] & (
        np.abs(grid.right) < _BODY_HALF_MM
    )
    disc = (grid.superior > 0.0)[:, None, None] & body
    return _Scene(plate, grid, hu, ndimage.binary_dilation(others) | disc, unseen)


def sampled(
    array: NDArray[Any], geometry: GridGeometry, ras: FloatArray, order: int, outside: float
) -> NDArray[np.float32]:
    """Sample an array (k, j, i) at points (..., 3), RAS mm; `outside` beyond it."""
    index = np.moveaxis(geometry.to_ijk(ras)[..., ::-1], -1, 0)
    # scipy's stubs know no output array of another type than the input's
    sample: Any = ndimage.map_coordinates
    found: NDArray[np.float32] = sample(
        array, index, output=np.float32, order=order, mode="constant", cval=outside
    )
    return found


def _enclosed(scene: _Scene, canal_ras: FloatArray) -> NDArray[np.bool_]:
    """Return what balls from outside, or from the canal, do not reach, and all bone.

    Where the CT ends they do not pass: a sacrum that it cuts is open there, down to its marrow.
    """
    bone = (scene.hu > _BONE_HU) & ~scene.taken
    seeds = np.pad(np.zeros(np.subtract(bone.shape, 2), bool), 1, constant_values=True)
    index = np.rint(scene.index_of(canal_ras)).astype(int)
    index = index[((index >= 0) & (index < bone.shape)).all(axis=1)]
    seeds[tuple(index.T)] = True
    outside = _rolled(bone | scene.unseen, _BALL_MM, seeds & ~scene.unseen)
    recesses = _beside_canal(scene) & ~scene.unseen
    outside |= _rolled(bone | ~recesses, _SMALL_BALL_MM, outside)
    return np.asarray((bone | ~outside) & ~scene.taken & ~scene.unseen)


def _rolled(
    solid: NDArray[np.bool_], radius_mm: float, seeds: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return what a ball covers that rolls from the seeds without cutting the solid."""
    free = ndimage.distance_transform_edt(~solid, sampling=_STEP_MM) > radius_mm
    parts, count = ndimage.label(free)
    reached = np.zeros(count + 1, bool)
    reached[parts[seeds]] = True
    reached[0] = False
    gap = ndimage.distance_transform_edt(~reached[parts], sampling=_STEP_MM)
    return np.asarray(gap <= radius_mm)


def _beside_canal(scene: _Scene) -> NDArray[np.bool_]:
    """Canal of S1 and its narrow recesses, where the roots leave for the first foramina."""
    grid = scene.grid
    behind = -scene.plate.depth_mm / 2 + 2.0 - grid.anterior
    return np.asarray(
        ((grid.superior > -_RECESS_BELOW_MM) & (grid.superior < 12.0))[:, None, None]
        & ((behind > 0.0) & (behind < _RECESS_DEPTH_MM))[:, None]
        & (np.abs(grid.right) < _UPPER_ALA_MM)
    )


def _with_marrow(solid: NDArray[np.bool_], scene: _Scene) -> NDArray[np.bool_]:
    """Fill the alae where the ball came in through a gap: holes in a plane along the plate."""
    above = scene.grid.superior > -_FORAMINA_BELOW_MM
    limits = np.where(above, _UPPER_ALA_MM, _ALA_MM)
    beside = np.abs(scene.grid.right)
    filled = np.stack(
        [
            plane | (ndimage.binary_fill_holes(plane) & (beside > limit))
            for plane, limit in zip(solid, limits, strict=True)
        ]
    )
    return np.asarray(filled & ~scene.taken)


def _cut_from_hips(solid: NDArray[np.bool_], scene: _Scene) -> NDArray[np.bool_]:
    """Leave the hips out: from both sides bone is flooded along its cortex up to the joint."""
    from skimage.segmentation import watershed

    beside = np.abs(scene.grid.right)
    below = (scene.grid.superior < 0.0)[:, None, None]
    seeds = np.zeros(solid.shape, np.int32)
    seeds[solid & (beside < _SURELY_SACRUM_MM) & below] = 1
    seeds[solid & (beside > _SURELY_HIP_MM)] = 2
    own = watershed(-scene.hu, seeds, mask=solid) == 1
    parts, count = ndimage.label(own)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        own = parts == sizes.argmax()
    return np.asarray(own)


def _with_sacrum(labels: LabelVolume, scene: _Scene, own: NDArray[np.bool_]) -> LabelVolume:
    """Return the labels with this sacrum (on the scene's grid) in place of the rough one."""
    numbers = labels.labels.copy()
    numbers[numbers == VERSE_IDS[SACRUM]] = 0
    corners = np.array(
        [[r, a, s] for r in _REACH_MM[0] for a in _REACH_MM[1] for s in _REACH_MM[2]]
    )
    ras = corners @ scene.plate.axes + scene.plate.centre_ras
    kji = labels.geometry.to_ijk(ras)[:, ::-1]
    low = np.maximum(np.floor(kji.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(kji.max(axis=0)).astype(int) + 1, numbers.shape)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    index = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)
    where = np.moveaxis(scene.index_of(labels.geometry.to_ras(index[..., ::-1])), -1, 0)
    inside = ndimage.map_coordinates(own.astype(np.float32), where, order=1, cval=0.0) > 0.5
    crop = numbers[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    crop[inside & (crop == 0)] = VERSE_IDS[SACRUM]
    return LabelVolume(numbers, labels.ijk_to_ras, labels.names)
