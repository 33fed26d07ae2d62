"""From a CT to the canal's centre line: coarse path through the volume, then its true centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.progress import CancelToken
from spinemar.spine.straightening.canal import best_path, canal_score, ray_distances, smooth_track
from spinemar.spine.straightening.grid import PatientGrid
from spinemar.volume import CTVolume

#: Bone for the canal's walls: laminae and posterior walls are dense even in osteopenia.
_WALL_HU = 160.0
_PIXEL_MM = 2.0
_SLICE_MM = 3.0
#: What fills a canal (cord, cerebrospinal fluid, fat): HU around 30.
_FILLING_HU, _FILLING_SPREAD = 30.0, 200.0
#: A path with less score than this over a centimetre is no canal (end of the sacrum, air).
_LOST = 0.4
_FEWEST_MM = 25.0
_COARSEST_PIXEL_MM, _COARSEST_SLICE_MM = 2.5, 8.0
_SIDE_MM, _BACK_MM, _FRONT_MM, _END_MM = 75.0, 95.0, 75.0, 45.0


def usable(volume: CTVolume) -> CTVolume:
    """Refuse grids too coarse to show a pedicle; take values that are no numbers as air.

    Raises
    ------
    InputError
        If the voxels are too coarse.
    """
    fine, middle, coarse = sorted(volume.spacing_mm)
    if middle > _COARSEST_PIXEL_MM or coarse > _COARSEST_SLICE_MM:
        raise InputError(
            f"Voxels of {fine:.1f} x {middle:.1f} x {coarse:.1f} mm are too coarse to segment.",
            f"Load pixels up to {_COARSEST_PIXEL_MM} mm and slices up to {_COARSEST_SLICE_MM} mm.",
        )
    if np.isfinite(volume.hu).all():
        return volume
    return volume.with_hu(np.nan_to_num(volume.hu, nan=-1000.0, posinf=3071.0, neginf=-1000.0))


def coarse_canal(volume: CTVolume, cancel: CancelToken | None = None) -> NDArray[np.float64]:
    """Points along the canal, RAS mm (n, 3), from feet to head, one every slice or 3 mm.

    Raises
    ------
    InputError
        If no canal is seen anywhere.
    """
    slice_mm = max(_SLICE_MM, volume.spacing_mm[2])
    grid = PatientGrid.around(volume.geometry, (slice_mm, _PIXEL_MM, _PIXEL_MM))
    hu = grid.sample(volume.hu, volume.geometry, outside=-1000.0)
    bone = hu > _WALL_HU
    score = canal_score(ray_distances(bone, _PIXEL_MM, cancel), bone, _PIXEL_MM)
    score *= np.clip(1 - np.abs(hu - _FILLING_HU) / _FILLING_SPREAD, 0, 1)
    path = best_path(score, _PIXEL_MM, slice_mm)
    along = score[np.arange(len(path)), path[:, 0], path[:, 1]]
    smooth = ndimage.gaussian_filter1d(along, 10.0 / slice_mm, mode="nearest")
    runs, count = ndimage.label(smooth > _LOST)
    longest = np.bincount(runs)[1:].argmax() + 1 if count else 0
    slices = np.flatnonzero(runs == longest) if count else np.zeros(0, int)
    if len(slices) * slice_mm < _FEWEST_MM:
        raise InputError(
            "No spinal canal was found in this volume.",
            "Load a CT in Hounsfield units that shows at least two vertebrae.",
        )
    return grid.to_ras(np.column_stack([slices, path[slices]]).astype(np.float64))


def working_volume(
    volume: CTVolume, canal_ras: NDArray[np.float64]
) -> tuple[PatientGrid, NDArray[np.float32]]:
    """Resample the CT around the canal to 1 mm, metal taken out; its grid and HU (z, y, x)."""
    low = canal_ras.min(axis=0) - np.array([_SIDE_MM, _BACK_MM, _END_MM])
    high = canal_ras.max(axis=0) + np.array([_SIDE_MM, _FRONT_MM, _END_MM])
    grid = PatientGrid.around(volume.geometry, (1.0, 1.0, 1.0), (low, high))
    hu = without_metal(volume.hu)
    return grid, grid.sample(hu, volume.geometry, outside=-1000.0)


#: Nothing that lives is this dense over millimetres; dense cortex ends at 2000 HU.
METAL_HU = 2200.0
_INSTEAD_OF_METAL_HU = 300.0


def without_metal(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace metal and its bloom by a bone-like value, so that it leads no edge astray.

    `hu` has any shape, the result the same.
    """
    metal = hu > METAL_HU
    if not metal.any():
        return hu
    bloom = ndimage.binary_dilation(metal, iterations=2) & (hu > _INSTEAD_OF_METAL_HU)
    result = hu.copy()
    result[bloom] = _INSTEAD_OF_METAL_HU
    return result


def centred_canal(
    grid: PatientGrid, hu: NDArray[np.float32], coarse_ras: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move a coarse path to the centre of what its rays see of the canal; 1 mm apart in z.

    Parameters
    ----------
    grid, hu
        From `working_volume`.
    coarse_ras : ndarray, shape (n, 3)
        From feet to head.

    Returns
    -------
    ndarray, shape (m, 3)
        RAS mm, from feet to head.
    """
    zyx = grid.to_zyx(coarse_ras)
    first, last = np.ceil(max(zyx[0, 0], 0)), np.floor(min(zyx[-1, 0], hu.shape[0] - 1))
    z = np.arange(first, last + 1)
    centre = np.column_stack([np.interp(z, zyx[:, 0], zyx[:, axis]) for axis in (1, 2)])
    bone = np.clip((hu - 100) / 100, 0, 1).astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    for _ in range(4):
        radius = _seen_radius(bone, z, centre, angles)
        centre = centre + 0.7 * _polygon_centres(radius, angles)
        centre = smooth_track(centre, np.ones(len(z)), 1.0, 4.0)
    return grid.to_ras(np.column_stack([z, centre]))


def _seen_radius(
    bone: NDArray[np.float32],
    z: NDArray[np.float64],
    centre: NDArray[np.float64],
    angles: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Distance to bone along rays (n, rays); gaps take the radius seen nearby."""
    t = np.arange(0, 18, 0.5)
    y = centre[:, 0, None, None] + t * np.sin(angles)[:, None]
    x = centre[:, 1, None, None] + t * np.cos(angles)[:, None]
    places = [np.broadcast_to(z[:, None, None], y.shape), y, x]
    wall = ndimage.map_coordinates(bone, places, order=1) > 0.6
    radius = np.where(wall.any(axis=-1), t[wall.argmax(axis=-1)], 14.0)
    padded = np.concatenate([radius[:, -1:], radius, radius[:, :1]], axis=1)
    radius = ndimage.median_filter(padded, (9, 3), mode="nearest")[:, 1:-1]
    return np.minimum(radius, 1.4 * np.median(radius, axis=1, keepdims=True))


def _polygon_centres(
    radius: NDArray[np.float64], angles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Centroids (y, x) of star-shaped polygons given by their radii."""
    x, y = radius * np.cos(angles), radius * np.sin(angles)
    x2, y2 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    cross = x * y2 - x2 * y
    area = cross.sum(axis=1).clip(min=1e-3)
    cx = ((x + x2) * cross).sum(axis=1) / (3 * area)
    cy = ((y + y2) * cross).sum(axis=1) / (3 * area)
    return np.column_stack([cy, cx])
