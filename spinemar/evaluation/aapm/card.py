"""From quantities to scores: 0 is no relevant difference from the truth, 4 no improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.errors import GeometryError, InputError
from spinemar.evaluation.aapm.measures import Measures, edge, measure
from spinemar.evaluation.aapm.regions import Image, card_regions
from spinemar.evaluation.regions import axial_layout
from spinemar.volume import CTVolume

_WORST = 4.0
_BLURS_PX = (0.0, 0.4, 0.5, 0.75, 1.0)
_WORST_RANGE_SHIFT = 0.02
# Where the scan itself is hardly spoiled, 4 is not a hair's breadth from 0.
_LEAST_SPAN = {"rmse_hu": 20.0, "streak_hu": 40.0, "ssim": 0.01, "change": 0.05, "dice": 0.05}


@dataclass(frozen=True)
class AapmScores:
    """The eight scores, 0 (as the truth) to 4; NaN where a slice has no region for one."""

    ct_number: float
    noise: float
    sharpness: float
    streaks: float
    integrity: float
    bone: float
    metal: float
    proton_range: float

    @property
    def total(self) -> float:
        """Sum of the eight, 0 to 32."""
        return float(sum(vars(self).values()))


@dataclass(frozen=True)
class AapmCard:
    """Scores and the quantities behind them, means over slices.

    Parameters
    ----------
    scores : AapmScores
    result, uncorrected, truth : Measures
    slices : tuple of int
    """

    scores: AapmScores
    result: Measures
    uncorrected: Measures
    truth: Measures
    slices: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None for NaN."""
        groups = ("scores", "result", "uncorrected", "truth")
        facts: dict[str, Any] = {
            name: {k: v if np.isfinite(v) else None for k, v in vars(getattr(self, name)).items()}
            for name in groups
        }
        total = self.scores.total
        return {**facts, "total": total if np.isfinite(total) else None, "slices": self.slices}


def aapm_card(
    truth: CTVolume,
    result: CTVolume,
    metal: NDArray[np.bool_],
    uncorrected: CTVolume,
    *,
    nmar: CTVolume | None = None,
    slices: Sequence[int] | None = None,
) -> AapmCard:
    """Score a result by the eight scores.

    Parameters
    ----------
    truth, result, uncorrected : CTVolume
        Without metal; corrected, with the metal in it; as scanned. Of one grid.
    metal : ndarray of bool, shape (k, j, i)
        The true metal.
    nmar : CTVolume, optional
        What NMAR makes of the scan: 2 in the scores that have it as a mark. Without it they go
        straight from 0 (truth) to 4 (uncorrected).
    slices : sequence of int, optional
        Which axial slices; by default those with metal.

    Raises
    ------
    GeometryError
        If the volumes do not share one grid.
    InputError
        If no slice holds metal.
    """
    volumes = [truth, result, uncorrected, *([nmar] if nmar else [])]
    for volume in volumes[1:]:
        if not truth.geometry.same_as(volume.geometry):
            raise GeometryError(
                "The volumes of a card lie on different grids.", "Give volumes of the same scan."
            )
    if np.shape(metal) != truth.hu.shape:
        raise GeometryError(
            f"The metal has {np.shape(metal)} voxels, the volumes {truth.hu.shape}.",
            "Give the metal of this scan.",
        )
    axis, pixel_mm = axial_layout(truth)
    masks = np.moveaxis(np.asarray(metal, bool), axis, 0)
    stacks = [np.moveaxis(volume.hu, axis, 0) for volume in volumes]
    chosen = [
        int(k) for k in (np.flatnonzero(masks.any(axis=(1, 2))) if slices is None else slices)
    ]
    if not chosen or not masks[chosen].any():
        raise InputError("No slice holds metal.", "Give the true metal of this scan.")
    cards = [_slice_card([stack[k] for stack in stacks], masks[k], pixel_mm) for k in chosen]
    scores, found, before, ideal = (list(column) for column in zip(*cards, strict=True))
    return AapmCard(
        AapmScores(*_means(scores)),
        Measures(*_means(found)),
        Measures(*_means(before)),
        Measures(*_means(ideal)),
        tuple(chosen),
    )


def _slice_card(
    pictures: Sequence[Image], metal: NDArray[np.bool_], pixel_mm: tuple[float, float]
) -> tuple[AapmScores, Measures, Measures, Measures]:
    truth, result, uncorrected = pictures[:3]
    regions = card_regions(truth, uncorrected, metal, pixel_mm)
    found, before, ideal = (
        measure(truth, picture, regions, pixel_mm) for picture in (result, uncorrected, truth)
    )
    middle = measure(truth, pictures[3], regions, pixel_mm) if len(pictures) > 3 else None

    def by_marks(name: str, perfect: float, kind: str, mark: Measures | None = middle) -> float:
        values = [getattr(m, name) for m in (found, before, *([mark] if mark else []))]
        if kind == "change":  # glow may be thrice the metal; none at all is as bad as can be
            values[1] = min(values[1], 1.0)
        return marked(values[0], perfect, *values[1:], least=_LEAST_SPAN[kind])

    scores = AapmScores(
        ct_number=by_marks("rmse_hu", 0.0, "rmse_hu"),
        noise=float(np.clip(_WORST * (found.noise_hu / ideal.noise_hu - 1.0), 0.0, _WORST))
        if ideal.noise_hu > 0
        else float("nan"),
        sharpness=_mean(
            [
                sharpness(truth, getattr(found, f"{name}_edge"), getattr(regions, f"{name}_edges"))
                for name in ("bone", "fat")
            ]
        ),
        streaks=by_marks("streak_hu", 0.0, "streak_hu"),
        integrity=by_marks("ssim", 1.0, "ssim"),
        bone=_mean([by_marks("bone_change", 0.0, "change"), by_marks("bone_dice", 1.0, "dice")]),
        metal=_mean(
            [
                by_marks("metal_change", 0.0, "change", None),
                by_marks("metal_dice", 1.0, "dice", None),
            ]
        ),
        proton_range=float(np.clip(_WORST * found.range_shift / _WORST_RANGE_SHIFT, 0.0, _WORST)),
    )
    return scores, found, before, ideal


def marked(
    value: float,
    perfect: float,
    uncorrected: float,
    nmar: float | None = None,
    *,
    least: float = 0.0,
) -> float:
    """Score a quantity between marks: 0 as in the truth, 2 as NMAR, 4 as uncorrected or worse.

    Parameters
    ----------
    value, perfect, uncorrected : float
        Of the result, the truth and the scan; lower or higher may be better.
    nmar : float, optional
        Counts where it lies between the two.
    least : float
        The mark of 4 lies at least so far from `perfect`.
    """
    away = abs(value - perfect)
    worst = max(abs(uncorrected - perfect), least)
    if not np.isfinite(away + worst) or worst == 0.0:
        return float("nan")
    half = worst / 2 if nmar is None else abs(nmar - perfect)
    half = half if 0.0 < half < worst else worst / 2
    return float(np.interp(away, (0.0, half, worst), (0.0, _WORST / 2, _WORST)))


def sharpness(truth: Image, gradient: float, region: NDArray[np.bool_]) -> float:
    """Score a gradient (HU) in a region of the truth (rows, columns) against blurred truths."""
    if not region.any():
        return float("nan")
    blurred = [edge(ndimage.gaussian_filter(truth.astype(float), s), region) for s in _BLURS_PX]
    if not np.all(np.diff(blurred) < 0):
        return float("nan")
    return float(np.interp(gradient, blurred[::-1], np.arange(_WORST, -1.0, -1.0)))


def _means(records: Sequence[AapmScores | Measures]) -> list[float]:
    return [_mean(column) for column in zip(*(vars(r).values() for r in records), strict=True)]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
