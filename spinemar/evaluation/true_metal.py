"""What can be scored only where the true metal is known: in simulated scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.seen import SeenScores, metal_dice, seen_scores
from spinemar.evaluation.widths import (
    ImplantWidth,
    Shown,
    WidthErrors,
    implant_widths,
    width_errors,
)
from spinemar.implants.placement import Construct
from spinemar.volume import CTVolume


@dataclass(frozen=True)
class TrueMetal:
    """What is known of a scan's metal; arrays (k, j, i).

    Parameters
    ----------
    fraction : ndarray
        Share of each voxel that metal fills, 0 to 1.
    mask : ndarray of bool, optional
        The correction's own, generous mask: what it left out of consideration.
    put_back : ndarray of bool, optional
        Where the scan's values stand in the result, as metal.
    plan : Construct, optional
        The implants, for their widths.
    """

    fraction: NDArray[np.floating]
    mask: NDArray[np.bool_] | None = None
    put_back: NDArray[np.bool_] | None = None
    plan: Construct | None = None


@dataclass(frozen=True)
class TrueMetalScores:
    """Scores against the true metal; NaN where something was not given.

    Parameters
    ----------
    seen : tuple of SeenScores
        One for each meaning of metal (`METAL_SHARES`: half of a voxel, faint metal too).
    metal_dice : float
        Overlap of what was put back with the voxels that metal fills by half, in slices with metal.
    widths, mask_widths : WidthErrors
        Of shafts and rods in the picture, and of what was put back; mm.
    """

    seen: tuple[SeenScores, ...]
    metal_dice: float
    widths: WidthErrors
    mask_widths: WidthErrors

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None for NaN."""
        return {
            "seen": [one.to_json() for one in self.seen],
            "metal_dice": self.metal_dice if np.isfinite(self.metal_dice) else None,
            "widths": self.widths.to_json(),
            "mask_widths": self.mask_widths.to_json(),
        }


def true_metal_scores(
    truth: CTVolume, result: CTVolume, metal: TrueMetal, slices: Sequence[int] | None = None
) -> TrueMetalScores:
    """Score a result where the true metal is known.

    Parameters
    ----------
    truth, result : CTVolume
        Of one grid.
    metal : TrueMetal
    slices : sequence of int, optional
        Which axial slices count for the errors; by default those with metal. Overlap and widths
        take all.

    Raises
    ------
    GeometryError
        If the arrays do not share one grid.
    """
    seen = seen_scores(truth, result, metal.fraction, metal.mask, slices=slices)
    dice = float("nan")
    if metal.put_back is not None:
        dice = metal_dice(metal.put_back, metal.fraction)
    picture, mask = (
        width_errors(_widths(shown, truth, metal)) for shown in (result.hu, metal.put_back)
    )
    return TrueMetalScores(seen, dice, picture, mask)


def _widths(shown: Shown | None, truth: CTVolume, metal: TrueMetal) -> tuple[ImplantWidth, ...]:
    if shown is None or metal.plan is None:
        return ()
    return implant_widths(shown, metal.fraction, truth.geometry, metal.plan)
