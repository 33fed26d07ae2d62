"""Soft tissue that moved: demons away from bone and metal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.io.itk import quiet_itk
from spinemar.registration.field import DisplacementField
from spinemar.registration.grids import Float, Mask, Picture, UprightGrid

_WINDOW_HU = (-200.0, 250.0)
_BONE_RIM_MM = 10.0
_ITERATIONS = (30, 20)
_SMOOTH_VOXELS = 2.0
_MOST_MM = 15.0


def tissue_drift(
    scan: tuple[Float, Mask],
    earlier: Picture,
    field: DisplacementField,
    bone: Mask,
) -> NDArray[np.float32]:
    """Find how soft tissue drifted beyond what the vertebrae say.

    Parameters
    ----------
    scan : (hu, usable)
        On the field's grid.
    earlier : Picture
    field : DisplacementField
    bone : ndarray of bool, shape of the grid
        Vertebrae, which stay rigid.

    Returns
    -------
    ndarray of float32, shape (3, s, a, r)
        Millimetres along R, A and S, in the scan.
    """
    grid = field.grid
    there, seen = sampled(earlier, field, grid)
    low, high = _WINDOW_HU
    fixed, moving = np.clip(scan[0], low, high), np.clip(there, low, high)
    away = ndimage.distance_transform_edt(~bone, sampling=grid.step_mm)
    compared = scan[1] & seen & (away > grid.step_mm)
    # Where nothing can be compared nothing pulls.
    fixed = np.where(compared, fixed, moving).astype(np.float32)
    drift = _demons(grid, fixed, moving.astype(np.float32))
    drift *= np.clip(away / _BONE_RIM_MM, 0.0, 1.0).astype(np.float32)
    length = np.sqrt((drift**2).sum(axis=0))
    return np.asarray(drift * np.minimum(1.0, _MOST_MM / np.maximum(length, 1e-3)), np.float32)


def _demons(grid: UprightGrid, fixed: Float, moving: Float) -> NDArray[np.float32]:
    with quiet_itk() as sitk:
        whole = [grid.to_itk(sitk, image) for image in (fixed, moving)]
        halves = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, grid.step_mm), [2, 2, 2])
            if min(grid.shape) >= 8
            else image
            for image in whole
        ]
        field = None
        for images, iterations in zip((halves, whole), _ITERATIONS, strict=True):
            method = sitk.FastSymmetricForcesDemonsRegistrationFilter()
            method.SetNumberOfIterations(iterations)
            method.SetSmoothDisplacementField(True)
            method.SetStandardDeviations(_SMOOTH_VOXELS)
            method.SetNumberOfWorkUnits(4)
            if field is None:
                field = method.Execute(*images)
            else:
                start = sitk.Resample(
                    field, images[0], sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID()
                )
                field = method.Execute(*images, start)
        found = sitk.GetArrayFromImage(field)
    return np.asarray(np.moveaxis(found, -1, 0), dtype=np.float32)


def sampled(earlier: Picture, field: DisplacementField, grid: UprightGrid) -> tuple[Float, Mask]:
    """Return the earlier CT as the field lays it over a grid of the scan."""
    points = field.to_earlier(grid.points())
    low, high = points.reshape(-1, 3).min(axis=0), points.reshape(-1, 3).max(axis=0)
    there = UprightGrid.over(low - grid.step_mm, high + grid.step_mm, grid.step_mm)
    hu, usable = earlier.on(there)
    index = there.index(points)
    values = ndimage.map_coordinates(hu, index, order=1, mode="nearest")
    share = ndimage.map_coordinates(usable.astype(np.float32), index, order=1, mode="constant")
    return values, share > 0.99
