"""Real scans with metal: no truth, but the gate's decisions, and pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.result import CorrectionResult
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar.mar.settings import Method
from spinemar.volume import CTVolume
from spinemar_study.study_settings import RealCase, RealSettings

_METHODS: tuple[Method, ...] = ("nmar", "generator")
_SOFT_HU = (-150.0, 200.0)
_FAR_MM = 60.0
_REACH_MM = 40.0
_DRAWN_MM = 70.0
_QUANTILES = (0.05, 0.95)


def correct_real(settings: RealSettings, work: Path) -> list[dict[str, Any]]:
    """Correct every case as a user would, and draw its slices; one row a slice with metal."""
    from spinemar.io import read_volume
    from spinemar.mar.correct import correct_volume

    rows = []
    for case in settings.cases:
        volume = read_volume(case.ct)
        for method in _METHODS:
            result = correct_volume(
                volume, method=method, metal_threshold_hu=case.threshold_hu, device="cpu"
            )
            rows += slice_rows(case, method, volume, result)
            _draw_slices(volume, result, work / "real" / f"{case.name}-{method}")
            print(f"{case.name} {method}: {result.message}", flush=True)
    return rows


def slice_rows(
    case: RealCase, method: str, volume: CTVolume, result: CorrectionResult
) -> list[dict[str, Any]]:
    """Say for each slice with metal what the gate did, and how unquiet soft tissue is."""
    rows = []
    pixel = (volume.spacing_mm[1], volume.spacing_mm[0])
    for report in result.slices:
        k = report.index
        metal = result.metal_mask[k]
        before, after = volume.hu[k], result.volume.hu[k]
        distance = nearness_mm(metal, pixel)
        near = (distance > 2.0) & (distance < _REACH_MM) & _soft(0.5 * (before + after), pixel)
        rows.append(
            {
                "case": case.name,
                "method": method,
                "slice": k,
                "metal_mm2": report.metal_area_mm2,
                "strength": report.strength,
                "change_hu": report.change_hu,
                "far_change_hu": report.features.far_change_hu * report.strength,
                "span_before_hu": _span(before, near, pixel),
                "span_after_hu": _span(after, near, pixel),
                "reason": report.reason,
            }
        )
    return rows


def _soft(hu: NDArray[np.float32], pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    smooth = ndimage.gaussian_filter(hu, [3.0 / mm for mm in pixel_mm])
    return np.asarray((smooth > _SOFT_HU[0]) & (smooth < _SOFT_HU[1]))


def _span(
    hu: NDArray[np.float32], where: NDArray[np.bool_], pixel_mm: tuple[float, float]
) -> float:
    """Half the span from the 5th to the 95th percentile, noise smoothed away over 1 mm, HU."""
    if not where.any():
        return float("nan")
    smooth = ndimage.gaussian_filter(hu, [1.0 / mm for mm in pixel_mm])[where]
    low, high = np.quantile(smooth, _QUANTILES)
    return 0.5 * float(high - low)


def _draw_slices(volume: CTVolume, result: CorrectionResult, stem: Path) -> None:
    """Draw before, after and change about the metal of a few slices (never to be committed)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if not result.slices:
        return
    chosen = np.unique(np.linspace(0, len(result.slices) - 1, 6).round().astype(int))
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(len(chosen), 3, figsize=(12, 4 * len(chosen)), squeeze=False)
    for row, n in zip(axes, chosen, strict=True):
        report = result.slices[n]
        where = _about(result.metal_mask[report.index], volume.spacing_mm[0])
        before, after = (v.hu[report.index][where] for v in (volume, result.volume))
        row[0].imshow(before, cmap="gray", vmin=-160, vmax=240)
        row[1].imshow(after, cmap="gray", vmin=-160, vmax=240)
        row[2].imshow(after - before, cmap="gray", vmin=-100, vmax=100)
        row[0].set_title(f"slice {report.index}, strength {report.strength:.2f}", fontsize=8)
        for axis in row:
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(stem.with_suffix(".png"), dpi=70)
    plt.close(figure)


def _about(metal: NDArray[np.bool_], pixel_mm: float) -> tuple[slice, slice]:
    """Rows and columns within `_DRAWN_MM` of the middle of the metal."""
    reach = round(_DRAWN_MM / pixel_mm)
    j, i = (int(np.median(index)) for index in np.nonzero(metal))
    return slice(max(j - reach, 0), j + reach), slice(max(i - reach, 0), i + reach)


def summarise_real(settings: RealSettings, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Slices corrected and refused, and the span of soft tissue near metal before and after."""
    out: dict[str, Any] = {}
    for case in (one.name for one in settings.cases):
        out[case] = {}
        for method in _METHODS:
            chosen = [r for r in rows if r["case"] == case and r["method"] == method]
            strengths = np.array([r["strength"] for r in chosen])
            spans = np.array([(r["span_before_hu"], r["span_after_hu"]) for r in chosen], float)
            out[case][method] = {
                "slices": len(chosen),
                "corrected": int((strengths > 0).sum()),
                "mean_strength": float(strengths.mean()) if chosen else None,
                "span_before_hu": float(np.nanmean(spans[:, 0])) if chosen else None,
                "span_after_hu": float(np.nanmean(spans[:, 1])) if chosen else None,
                "largest_far_change_hu": max((r["far_change_hu"] for r in chosen), default=None),
            }
    return out
