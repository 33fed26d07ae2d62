"""The generator's part of the correction: refine prefilled rays, carry the change to the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinemar.evaluation.metrics import rmse_hu, sharpness_ratio
from spinemar.evaluation.regions import slice_regions
from spinemar.evaluation.texture import fine_noise_ratio, noise_power, texture_distance
from spinemar.tomography.geometry import BINS_PER_FOV, STANDARD_BINS
from spinemar.tomography.units import MU_WATER_PER_MM
from spinemar_training.data.prefilled import (
    PatchBatch,
    PrefilledBatch,
    PrefilledSlice,
    collate,
)
from spinemar_training.networks.generator import PAD_VIEWS, SinogramGenerator

SIZE, BINS = BINS_PER_FOV, STANDARD_BINS  # bins as wide as the pixels of a whole image
METHODS = ("input", "prior", "generator")


class Refinement:
    """Carries what the generator changed into the image, differentiably.

    Parameters
    ----------
    fbp : callable
        (n, views, bins) in pixels -> (n, size, size): `NufftRadon.fbp`, or `TorchRadon.fbp`
        where there is a GPU.
    bins : int
        Detector bins.
    """

    def __init__(self, fbp: Callable[[Tensor], Tensor], bins: int = BINS) -> None:
        self._fbp, self._bins = fbp, bins

    def image(self, batch: PrefilledBatch, inpainted: Tensor) -> Tensor:
        """Corrected HU (b, rows, columns) of inpainted sinograms (b, views, r)."""
        change = inpainted - batch.filled[:, 1]
        side = (self._bins - change.shape[-1]) // 2
        whole = torch.nn.functional.pad(change, (side, side))
        scale = 1000 / MU_WATER_PER_MM / batch.pixel_mm
        return batch.prior_hu + self._fbp(whole) * scale[:, None, None]


def refine(generator: SinogramGenerator, batch: PrefilledBatch) -> Tensor:
    """Inpainted sinograms (b, views, r) of the middle slices, float32."""
    inpainted = generator(batch.filled, batch.trace, batch.measured)[:, 0].float()
    return torch.where(batch.trace[:, 1] > 0.5, inpainted, batch.filled[:, 1])


def refine_patches(generator: SinogramGenerator, batch: PatchBatch) -> Tensor:
    """Inpainted blocks (b, views, r) of the middle slices, without the views of context."""
    residual = generator.residual(batch.filled, batch.trace, batch.measured)[:, 0].float()
    inner = slice(PAD_VIEWS, -PAD_VIEWS)
    filled = batch.filled[:, 1, inner]
    return filled + residual * batch.trace[:, 1, inner]


@torch.no_grad()
def score(
    slices: Iterable[PrefilledSlice], generator: SinogramGenerator, refinement: Refinement
) -> list[dict[str, object]]:
    """Score input, prior alone and generator without a gate, a slice a row.

    RMSE in HU everywhere and near metal, with the regions of the evaluation; near metal also
    sharpness, the distance of the noise texture from the truth's, and the share of fine noise.
    """
    rows: list[dict[str, object]] = []
    generator.eval()
    for one in slices:
        image = refinement.image(batch := collate([one]), refine(generator, batch))[0].numpy()
        row: dict[str, object] = dict(one.facts)
        for name, found in (("input", one.input_hu), ("prior", one.prior_hu), ("generator", image)):
            row |= {f"{name}_{key}": value for key, value in _scores(one, found).items()}
        rows.append(row)
    return rows


@torch.no_grad()
def score_shares(
    slices: Iterable[PrefilledSlice],
    generator: SinogramGenerator,
    refinement: Refinement,
    shares: Sequence[float],
) -> dict[float, dict[str, float]]:
    """Score the generator with a share of its residual: shrinkage against overfitting.

    For each share the mean RMSE in HU everywhere and near metal, sharpness beyond 20 mm of it,
    and the geometric-mean ratios of RMSE to the prior alone.
    """
    found: dict[float, list[tuple[float, ...]]] = {share: [] for share in shares}
    generator.eval()
    for one in slices:
        batch = collate([one])
        change = refinement.image(batch, refine(generator, batch))[0].numpy() - one.prior_hu
        far = slice_regions(one.truth_hu, one.metal, (one.pixel_mm, one.pixel_mm)).far
        before = [rmse_hu(one.truth_hu, one.prior_hu, where) for where in (one.scored, one.near)]
        for share, rows in found.items():
            image = one.prior_hu + np.float32(share) * change
            after = [rmse_hu(one.truth_hu, image, where) for where in (one.scored, one.near)]
            sharp = sharpness_ratio(one.truth_hu, image, far)
            logs = (float(np.log(a / b)) for a, b in zip(after, before, strict=True))
            rows.append((*after, sharp, *logs))
    table = {}
    for share, rows in found.items():
        hu, near, sharp, ratio, ratio_near = np.nanmean(rows, axis=0)
        table[share] = {
            "rmse_hu": float(hu),
            "rmse_near_hu": float(near),
            "sharpness": float(sharp),
            "ratio_to_prior": float(np.exp(ratio)),
            "ratio_to_prior_near": float(np.exp(ratio_near)),
        }
    return table


def _scores(one: PrefilledSlice, image: NDArray[np.float32]) -> dict[str, float]:
    image = np.asarray(image, np.float32)
    pixel = (one.pixel_mm, one.pixel_mm)
    grain, wanted = (noise_power(i, one.near, pixel) for i in (image, one.truth_hu))
    known = grain is not None and wanted is not None
    return {
        "hu": rmse_hu(one.truth_hu, image, one.scored),
        "near_hu": rmse_hu(one.truth_hu, image, one.near),
        "sharpness": sharpness_ratio(one.truth_hu, image, one.near),
        "texture": texture_distance(wanted, grain) if known else float("nan"),  # type: ignore[arg-type]
        "fine_noise": fine_noise_ratio(wanted, grain) if known else float("nan"),  # type: ignore[arg-type]
    }


def summary(rows: Sequence[dict[str, object]]) -> dict[str, float]:
    """Means by method, and the generator's geometric-mean ratio of RMSE to the prior alone."""
    names = [key for key in rows[0] if key.split("_")[0] in METHODS]
    means = {key: float(np.nanmean([row[key] for row in rows])) for key in names}
    for near in ("hu", "near_hu"):
        ratio = [row[f"generator_{near}"] / row[f"prior_{near}"] for row in rows]  # type: ignore[operator]
        means[f"ratio_{near}"] = float(np.exp(np.nanmean(np.log(ratio))))
    return means
