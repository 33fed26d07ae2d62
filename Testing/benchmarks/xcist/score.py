"""Correct the judge's scans as `spinemar correct` does, and score them against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.seen import SeenScores, metal_dice, seen_scores
from spinemar.evaluation.widths import ImplantWidth, implant_widths, width_errors
from spinemar.mar.correct import correct_volume
from spinemar.mar.settings import Method
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.cases import SLICES, Case

MIDDLE = SLICES // 2
"""The slices are equal; only this one is scored."""


@dataclass(frozen=True)
class Picture:
    """What was made of a scan.

    Parameters
    ----------
    volume : CTVolume
    mask : ndarray of bool or None
        The generous mask: every ray through it was replaced.
    put_back : ndarray of bool or None
        Where the scan's own values stand in the picture.
    """

    volume: CTVolume
    mask: NDArray[np.bool_] | None = None
    put_back: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Row:
    """Scores of one picture of one case."""

    case: str
    screws: str
    rods: str
    scale: str
    method: str
    seen: tuple[SeenScores, ...]
    dice: float
    widths: tuple[ImplantWidth, ...]
    mask_widths: tuple[ImplantWidth, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        facts = {
            name: getattr(self, name) for name in ("case", "screws", "rods", "scale", "method")
        }
        return {
            **facts,
            "dice": self.dice if np.isfinite(self.dice) else None,
            "seen": [one.to_json() for one in self.seen],
            **{
                name: [{**vars(one), "error_mm": one.error_mm} for one in getattr(self, name)]
                for name in ("widths", "mask_widths")
            },
        }


def score_picture(case: Case, picture: Picture, scale: str, method: str) -> Row:
    """Score one picture of a case."""
    middle = slice(MIDDLE, MIDDLE + 1)
    put_back = None if picture.put_back is None else picture.put_back[middle]
    widths = implant_widths(picture.volume.hu, case.metal_fraction, case.truth.geometry, case.plan)
    return Row(
        case=case.name,
        screws=case.facts["screws"],
        rods=case.facts["rods"],
        scale=scale,
        method=method,
        seen=seen_scores(
            case.truth,
            picture.volume,
            case.metal_fraction,
            picture.mask,
            body=case.body,
            slices=[MIDDLE],
        ),
        dice=float("nan")
        if put_back is None
        else metal_dice(put_back, case.metal_fraction[middle]),
        widths=widths,
        mask_widths=()
        if picture.put_back is None
        else implant_widths(picture.put_back, case.metal_fraction, case.truth.geometry, case.plan),
    )


def correct(scan: CTVolume, method: Method) -> Picture:
    """Correct a scan with a method and the default settings."""
    result = correct_volume(scan, method=method)
    return Picture(result.volume, result.metal_mask, result.metal_outline)


def score_cases(
    cases: Iterable[Case],
    methods: Sequence[Method],
    scales: Sequence[str],
    told: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Score the scans themselves ("input") and what each method makes of them."""
    rows = []
    for case in cases:
        for scale in scales:
            scan = case.scans[scale]
            pictures = [("input", Picture(scan)), *((m, correct(scan, m)) for m in methods)]
            mask = pictures[-1][1].mask
            pictures[0] = ("input", Picture(scan, mask))
            for name, picture in pictures:
                rows.append(score_picture(case, picture, scale, name))
                told(rows[-1])
    return rows


def line(row: Row) -> str:
    """One row as text: RMSE / within 20 mm, as seen and outside the masks; Dice; widths."""
    strict, faint = row.seen
    mask, errors = width_errors(row.mask_widths), width_errors(row.widths)
    return (
        f"{row.case:28} {row.scale:8} {row.method:10}"
        f" {strict.rmse_hu:6.1f} /{strict.rmse_near_hu:6.1f}"
        f"  {faint.rmse_hu:6.1f} /{faint.rmse_near_hu:6.1f}"
        f"  {strict.rmse_outside_masks_hu:6.1f} /{strict.rmse_near_outside_masks_hu:6.1f}"
        f"  {row.dice:5.2f}  {mask.mean_mm:5.2f}  {errors.mean_mm:5.2f} {errors.worst_mm:5.2f}"
    )


HEADING = (
    f"{'case':28} {'scale':8} {'method':10} {'seen, metal > 50%':>14}"
    f"  {'metal > 5%':>14}  {'outside masks':>14}  {'Dice':>5}  width error, mm: mask, mean, worst"
)


def summary(rows: Sequence[Row]) -> list[str]:
    """Means over cases, by scale and method: all, and by alloy."""
    lines = [HEADING]
    alloys = sorted({row.screws for row in rows})
    for scale, method in dict.fromkeys((row.scale, row.method) for row in rows):
        for alloy in ("all", *alloys):
            chosen = [r for r in rows if (r.scale, r.method) == (scale, method)]
            chosen = [r for r in chosen if alloy in ("all", r.screws)]
            lines.append(line(_mean(chosen, f"{alloy} ({len(chosen)})", scale, method)))
    return lines


def _mean(rows: Sequence[Row], name: str, scale: str, method: str) -> Row:
    seen = tuple(
        SeenScores(share[0].metal_share, *(_nanmean([getattr(s, f) for s in share])
                   for f in list(SeenScores.__dataclass_fields__)[1:]))
        for share in zip(*(row.seen for row in rows), strict=True)
    )  # fmt: skip
    widths = tuple(width for row in rows for width in row.widths)
    masks = tuple(width for row in rows for width in row.mask_widths)
    return Row(name, "", "", scale, method, seen, _nanmean([r.dice for r in rows]), widths, masks)


def _nanmean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
