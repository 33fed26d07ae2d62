"""What can be scored only where the true metal is known: in simulated scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.seen import SeenScores, metal_dice, seen_scores
from spinemar.evaluation.widths import ImplantWidth, WidthErrors, implant_widths, width_errors
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
    widths : WidthErrors
        Of shafts and rods, in mm.
    """

    seen: tuple[SeenScores, ...]
    metal_dice: float
    widths: WidthErrors

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None for NaN."""
        return {
            "seen": [one.to_json() for one in self.seen],
            "metal_dice": self.metal_dice if np.isfinite(self.metal_dice) else None,
            "widths": self.widths.to_json(),
        }


def true_metal_scores(truth: CTVolume, result: CTVolume, metal: TrueMetal) -> TrueMetalScores:
    """Score a result where the true metal is known.

    Raises
    ------
    GeometryError
        If the arrays do not share one grid.
    """
    seen = seen_scores(truth, result, metal.fraction, metal.mask)
    dice = float("nan")
    if metal.put_back is not None:
        dice = metal_dice(metal.put_back, metal.fraction)
    widths: tuple[ImplantWidth, ...] = ()
    if metal.plan is not None:
        widths = implant_widths(result.hu, metal.fraction, truth.geometry, metal.plan)
    return TrueMetalScores(seen, dice, width_errors(widths))
