"""All metrics of one result against its truth, over the slices that hold metal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.evaluation import metrics
from spinemar.evaluation.regions import TISSUES_HU, SliceRegions, axial_layout, slice_regions
from spinemar.evaluation.true_metal import TrueMetal, TrueMetalScores, true_metal_scores
from spinemar.progress import (
    CancelToken,
    Progress,
    ProgressCallback,
    ignore_progress,
)
from spinemar.volume import CTVolume

_STAGE = "Comparing slices"


@dataclass(frozen=True)
class SliceScores:
    """Scores of one slice; NaN where a region is empty."""

    index: int
    rmse_hu: float
    rmse_near_hu: float
    ssim: float
    streak_hu: float


@dataclass(frozen=True)
class Scores:
    """Scores of a volume over its scored slices; NaN where a region is empty.

    Parameters
    ----------
    rmse_hu, rmse_near_hu : float
        Root mean square error in the body, outside the metal and 2 px around it; the same within
        20 mm of metal. HU.
    psnr_db, psnr_near_db, ssim, ssim_near : float
        For a data range of 5000 HU.
    streak_hu : float
        Amplitude of the streaks in soft tissue within 60 mm of metal, mean over slices.
    bone_dice : float
        Overlap of bone (200 HU and more) within 20 mm of metal.
    sharpness : float
        Steepness of the truth's edges in the result, farther than 20 mm from metal.
    bias_hu : mapping of str to float
        Mean error by tissue within 20 mm of metal.
    slices : tuple of SliceScores
    true_metal : TrueMetalScores or None
        Where the true metal is known.
    """

    rmse_hu: float
    rmse_near_hu: float
    psnr_db: float
    psnr_near_db: float
    ssim: float
    ssim_near: float
    streak_hu: float
    bone_dice: float
    sharpness: float
    bias_hu: dict[str, float]
    slices: tuple[SliceScores, ...]
    true_metal: TrueMetalScores | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what cannot be scored is None, as JSON has no NaN."""
        names = [
            n for n in self.__dataclass_fields__ if n not in ("bias_hu", "slices", "true_metal")
        ]
        facts: dict[str, Any] = {name: _plain(getattr(self, name)) for name in names}
        facts["bias_hu"] = {tissue: _plain(bias) for tissue, bias in self.bias_hu.items()}
        facts["slices"] = [{k: _plain(v) for k, v in vars(one).items()} for one in self.slices]
        if self.true_metal is not None:
            facts["true_metal"] = self.true_metal.to_json()
        return facts


@dataclass(frozen=True)
class _SliceSums:
    """What adds up over slices."""

    scores: SliceScores
    squares: float
    pixels: int
    squares_near: float
    pixels_near: int
    ssim_near: float
    bone: tuple[int, int]
    sharpness: tuple[float, float]
    bias: dict[str, tuple[float, int]]


def evaluate(
    truth: CTVolume,
    result: CTVolume,
    metal: NDArray[np.bool_] | None = None,
    *,
    true_metal: TrueMetal | None = None,
    slices: Sequence[int] | None = None,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> Scores:
    """Score a result against the truth.

    Parameters
    ----------
    truth, result : CTVolume
        Of one grid.
    metal : ndarray of bool, shape (k, j, i), optional
        The metal; without it the whole body in every slice counts and there is no "near".
    true_metal : TrueMetal, optional
        What is known of the metal, for the scores that need it.
    slices : sequence of int, optional
        Which axial slices; by default those with metal, or all if there is none.
    progress, cancel
        See `spinemar.progress`.

    Returns
    -------
    Scores

    Raises
    ------
    GeometryError
        If the volumes or the mask lie on different grids.
    """
    if not truth.geometry.same_as(result.geometry):
        raise GeometryError(
            f"Truth ({_size(truth)}) and result ({_size(result)}) lie on different grids.",
            "Compare volumes of the same scan; resample one to the other first.",
        )
    mask = np.zeros(truth.hu.shape, dtype=bool) if metal is None else np.asarray(metal, bool)
    if mask.shape != truth.hu.shape:
        raise GeometryError(
            f"The metal mask has {mask.shape} voxels, the volumes {truth.hu.shape}.",
            "Give the mask of this scan.",
        )
    axis, pixel_mm = axial_layout(truth)
    wanted, found = np.moveaxis(truth.hu, axis, 0), np.moveaxis(result.hu, axis, 0)
    metal_slices = np.moveaxis(mask, axis, 0)
    chosen = _chosen_slices(metal_slices, slices)
    sums = []
    for done, k in enumerate(chosen):
        if cancel is not None:
            cancel.raise_if_cancelled()
        sums.append(_score_slice(k, wanted[k], found[k], metal_slices[k], pixel_mm))
        progress(Progress(_STAGE, done + 1, len(chosen)))
    known = None if true_metal is None else true_metal_scores(truth, result, true_metal, slices)
    return replace(_total(sums), true_metal=known)


def _chosen_slices(mask: NDArray[np.bool_], slices: Sequence[int] | None) -> list[int]:
    if slices is not None:
        chosen = [int(k) for k in slices]
        if not chosen or min(chosen) < 0 or max(chosen) >= mask.shape[0]:
            raise InputError("There are no such slices to compare.", "Choose slices of the volume.")
        return chosen
    with_metal = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    return with_metal or list(range(mask.shape[0]))


def _score_slice(
    k: int,
    truth: NDArray[np.float32],
    result: NDArray[np.float32],
    metal: NDArray[np.bool_],
    pixel_mm: tuple[float, float],
) -> _SliceSums:
    regions = slice_regions(truth, metal, pixel_mm)
    scored, near = regions.scored, regions.near
    rmse, rmse_near = (metrics.rmse_hu(truth, result, where) for where in (scored, near))
    similarity = metrics.ssim_map(truth, result, scored)
    bone, found = truth[near] >= metrics.BONE_HU, result[near] >= metrics.BONE_HU
    return _SliceSums(
        scores=SliceScores(
            index=k,
            rmse_hu=rmse,
            rmse_near_hu=rmse_near,
            ssim=_mean_over(similarity, scored),
            streak_hu=metrics.streak_amplitude_hu(truth, result, regions.streaks, pixel_mm),
        ),
        squares=rmse**2 * int(scored.sum()) if scored.any() else 0.0,
        pixels=int(scored.sum()),
        squares_near=rmse_near**2 * int(near.sum()) if near.any() else 0.0,
        pixels_near=int(near.sum()),
        ssim_near=_mean_over(similarity, near),
        bone=(2 * int((bone & found).sum()), int(bone.sum()) + int(found.sum())),
        sharpness=metrics.sharpness_sums(truth, result, regions.far),
        bias=_bias_sums(truth, result, regions),
    )


def _bias_sums(
    truth: NDArray[np.float32], result: NDArray[np.float32], regions: SliceRegions
) -> dict[str, tuple[float, int]]:
    sums = {}
    for tissue, (low, high) in TISSUES_HU.items():
        where = regions.near & (truth >= low) & (truth <= high)
        count = int(where.sum())
        sums[tissue] = (metrics.hu_bias(truth, result, where) * count if count else 0.0, count)
    return sums


def _total(sums: Sequence[_SliceSums]) -> Scores:
    rmse = _root(sum(s.squares for s in sums), sum(s.pixels for s in sums))
    near = _root(sum(s.squares_near for s in sums), sum(s.pixels_near for s in sums))
    overlap, bone = (sum(s.bone[n] for s in sums) for n in (0, 1))
    steep, wanted = (sum(s.sharpness[n] for s in sums) for n in (0, 1))
    bias = {}
    for tissue in TISSUES_HU:
        count = sum(s.bias[tissue][1] for s in sums)
        bias[tissue] = _ratio(sum(s.bias[tissue][0] for s in sums), count)
    return Scores(
        rmse_hu=rmse,
        rmse_near_hu=near,
        psnr_db=metrics.psnr_db(rmse),
        psnr_near_db=metrics.psnr_db(near),
        ssim=_mean([s.scores.ssim for s in sums], [s.pixels for s in sums]),
        ssim_near=_mean([s.ssim_near for s in sums], [s.pixels_near for s in sums]),
        streak_hu=_mean([s.scores.streak_hu for s in sums], [1] * len(sums)),
        bone_dice=_ratio(overlap, bone),
        sharpness=_ratio(steep, wanted),
        bias_hu=bias,
        slices=tuple(s.scores for s in sums),
    )


def _mean_over(image: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    return float(np.mean(image[where], dtype=np.float64)) if where.any() else float("nan")


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _root(squares: float, count: int) -> float:
    return float(np.sqrt(squares / count)) if count else float("nan")


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if np.isfinite(v) and w]
    return _ratio(sum(v * w for v, w in pairs), sum(w for _, w in pairs))


def _plain(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return value if np.isfinite(value) else None


def _size(volume: CTVolume) -> str:
    k, j, i = volume.hu.shape
    return f"{i} x {j} x {k} voxels"
