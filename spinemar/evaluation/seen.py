"""Errors as a reader sees them: in the body, with the true metal left out, twice.

The metal that is put back is part of the picture: an automatic mask that is too wide is an error
beside the implant, and a score that leaves the mask out cannot see it. What *is* metal is known
from the simulator, as the share of each voxel that metal fills; whether faint metal (threads,
edges) counts as metal changes figures near implants, so both answers are given, with their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import GeometryError
from spinemar.evaluation.regions import NEAR_MM, axial_layout, filled_body, with_margin
from spinemar.volume import CTVolume

METAL_SHARES = (0.5, 0.05)
"""A voxel counts as metal from this share of its volume: as drawn, and faint metal too."""


@dataclass(frozen=True)
class SeenScores:
    """Root mean square errors over the body, pooled over slices; NaN where a region is empty.

    Parameters
    ----------
    metal_share : float
        From which share on a voxel counted as metal.
    rmse_hu, rmse_near_hu : float
        What a reader sees: true metal and 2 px around it left out; the same within 20 mm of the
        true metal.
    rmse_outside_masks_hu, rmse_near_outside_masks_hu : float
        What a correction can influence: the correction's own mask and 2 px left out as well.
    """

    metal_share: float
    rmse_hu: float
    rmse_near_hu: float
    rmse_outside_masks_hu: float
    rmse_near_outside_masks_hu: float

    @property
    def metal(self) -> str:
        """What counted as metal, for headings."""
        return f"metal > {self.metal_share:.0%}"

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None for NaN."""
        return {k: v if np.isfinite(v) else None for k, v in vars(self).items()}


def seen_scores(
    truth: CTVolume,
    result: CTVolume,
    metal_fraction: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    *,
    body: NDArray[np.bool_] | None = None,
    slices: Sequence[int] | None = None,
) -> tuple[SeenScores, ...]:
    """Score a result for each meaning of metal in `METAL_SHARES`.

    Parameters
    ----------
    truth, result : CTVolume
        Of one grid; the truth without metal.
    metal_fraction : ndarray, shape (k, j, i)
        True share of each voxel that metal fills, 0 to 1.
    mask : ndarray of bool, same shape, optional
        The correction's generous mask; without it the last two figures are NaN.
    body : ndarray of bool, same shape, optional
        By default the largest object above -300 HU in the truth, filled.
    slices : sequence of int, optional
        Which axial slices; by default those with metal.

    Raises
    ------
    GeometryError
        If the arrays do not share one grid.
    """
    _check_grids(truth, result, metal_fraction, *(a for a in (mask, body) if a is not None))
    axis, pixel_mm = axial_layout(truth)
    turned = [
        None if a is None else np.moveaxis(np.asarray(a), axis, 0)
        for a in (truth.hu, result.hu, metal_fraction, mask, body)
    ]
    fraction = np.moveaxis(np.asarray(metal_fraction), axis, 0)
    chosen = slices if slices is not None else with_metal(fraction)
    return tuple(_scores(share, turned, chosen, pixel_mm) for share in METAL_SHARES)


def with_metal(fraction: NDArray[np.floating]) -> list[int]:
    """Which slices of a fraction (slices, rows, columns) hold a voxel that is half metal."""
    return [int(k) for k in np.flatnonzero((fraction >= METAL_SHARES[0]).any(axis=(1, 2)))]


def _scores(
    share: float,
    turned: Sequence[NDArray[Any] | None],
    slices: Sequence[int],
    pixel_mm: tuple[float, float],
) -> SeenScores:
    truth, result, fraction, mask, given = turned
    assert truth is not None
    assert result is not None
    assert fraction is not None
    sums = np.zeros((4, 2))
    for k in slices:
        metal = fraction[k] >= share
        body = filled_body(truth[k]) if given is None else given[k]
        seen = body & ~with_margin(metal)
        near = ndimage.distance_transform_edt(~metal, sampling=pixel_mm) <= NEAR_MM
        free = seen & ~with_margin(mask[k]) if mask is not None else np.zeros_like(seen)
        squares = np.subtract(result[k], truth[k], dtype=np.float64) ** 2
        for n, where in enumerate((seen, seen & near, free, free & near)):
            sums[n] += squares[where].sum(), np.count_nonzero(where)
    with np.errstate(invalid="ignore", divide="ignore"):
        return SeenScores(share, *(float(v) for v in np.sqrt(sums[:, 0] / sums[:, 1])))


def _check_grids(truth: CTVolume, result: CTVolume, *arrays: NDArray[Any]) -> None:
    if not truth.geometry.same_as(result.geometry):
        raise GeometryError(
            "Truth and result lie on different grids.",
            "Compare volumes of the same scan; resample one to the other first.",
        )
    for array in arrays:
        if np.shape(array) != truth.hu.shape:
            raise GeometryError(
                f"The metal has {np.shape(array)} voxels, the volumes {truth.hu.shape}.",
                "Give the metal of this scan.",
            )


def metal_dice(mask: NDArray[np.bool_], metal_fraction: NDArray[np.floating]) -> float:
    """Dice overlap of a mask with the voxels that metal fills by half, any shape."""
    true = np.asarray(metal_fraction) >= METAL_SHARES[0]
    total = np.count_nonzero(mask) + np.count_nonzero(true)
    return 2.0 * np.count_nonzero(mask & true) / total if total else float("nan")
