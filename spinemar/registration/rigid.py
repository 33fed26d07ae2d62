"""Rigid registration by mutual information, with ITK doing the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spinemar.io.itk import quiet_itk
from spinemar.registration.grids import Float, Mask, UprightGrid
from spinemar.registration.motions import FloatArray

_BINS = 40


@dataclass(frozen=True)
class RigidSteps:
    """How a rigid registration goes from coarse to fine.

    Parameters
    ----------
    shrink : tuple of int
        Factors of the grid, one a level.
    smooth_mm : tuple of float
        Standard deviation of the blur, one a level.
    samples : int
        Voxels that are compared, about, a level.
    first_step_mm : float
        Largest move of a point in the first step.
    iterations : int
    """

    shrink: tuple[int, ...]
    smooth_mm: tuple[float, ...]
    samples: int
    first_step_mm: float
    iterations: int


def rigid_motion(
    scan: tuple[Float, Mask],
    scan_grid: UprightGrid,
    earlier: tuple[Float, Mask],
    earlier_grid: UprightGrid,
    start: FloatArray,
    centre: FloatArray,
    steps: RigidSteps,
) -> FloatArray:
    """Refine the rigid motion of a part of the scan.

    Parameters
    ----------
    scan, earlier : (hu, usable)
        The scan's mask says what is compared.
    scan_grid, earlier_grid : UprightGrid
    start : ndarray, shape (4, 4)
        From RAS mm of the scan to RAS mm of the earlier CT.
    centre : ndarray, shape (3,)
        RAS mm in the scan; rotations turn about it.
    steps : RigidSteps

    Returns
    -------
    ndarray, shape (4, 4)
        `start` where ITK finds nothing to compare.
    """
    with quiet_itk() as sitk:
        fixed = scan_grid.to_itk(sitk, scan[0])
        moving = earlier_grid.to_itk(sitk, earlier[0])
        transform = _as_itk(sitk, start, centre)
        method = sitk.ImageRegistrationMethod()
        # Threads add up the metric in an order of their own, and a step follows the last digit:
        # the same two CTs would lie 0.2 mm elsewhere every time.
        method.SetNumberOfThreads(1)
        method.SetNumberOfWorkUnits(1)
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricFixedMask(scan_grid.to_itk(sitk, scan[1].astype(np.uint8)))
        method.SetMetricMovingMask(earlier_grid.to_itk(sitk, earlier[1].astype(np.uint8)))
        inside = int(scan[1].sum())
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentagePerLevel(
            [_share(steps.samples, inside, shrink) for shrink in steps.shrink], 1
        )
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            steps.first_step_mm, 0.01, steps.iterations, 0.6, 1e-6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel(list(steps.shrink))
        method.SetSmoothingSigmasPerLevel(list(steps.smooth_mm))
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetInitialTransform(transform, True)
        try:
            method.Execute(fixed, moving)
        except RuntimeError:  # all samples outside the earlier CT
            return start
        return _as_matrix(transform)


def _share(samples: int, inside: int, shrink: int) -> float:
    return float(np.clip(samples / max(inside / shrink**3, 1.0), 0.01, 1.0))


def _as_itk(sitk: Any, motion: FloatArray, centre: FloatArray) -> Any:
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(x) for x in centre])
    transform.SetMatrix([float(x) for x in motion[:3, :3].ravel()], 1e-6)
    shift = motion[:3, :3] @ centre + motion[:3, 3] - centre
    transform.SetTranslation([float(x) for x in shift])
    return transform


def _as_matrix(transform: Any) -> FloatArray:
    motion = np.eye(4)
    motion[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    centre = np.array(transform.GetCenter())
    motion[:3, 3] = centre + np.array(transform.GetTranslation()) - motion[:3, :3] @ centre
    return motion
