"""Scores of corrected slices against truth, a slice at a time, on the GPU."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from spinemar.evaluation.regions import BODY_HU, METAL_MARGIN_PX, NEAR_MM
from spinemar.mar.pipeline.interpolation.prior_image import BONE_THRESHOLD_HU
from spinemar_training.networks.features import near_metal

_EDGE_SHARE = 0.1
_FEWEST_PX = 500


def outside_metal(metal: Tensor) -> Tensor:
    """Pixels more than two pixels from metal, (b, h, w) float."""
    return 1 - near_metal(metal, METAL_MARGIN_PX)


def close_to_metal(metal: Tensor, pixel_mm: Tensor) -> Tensor:
    """Pixels within about 20 mm of metal (a square's reach), metal excluded, (b, h, w) float."""
    return _within_reach(metal, pixel_mm) * outside_metal(metal)


def _within_reach(metal: Tensor, pixel_mm: Tensor) -> Tensor:
    """Pixels within `NEAR_MM` of metal by a square's reach, (b, h, w) float."""
    regions = [
        near_metal(metal[n : n + 1], max(1, round(NEAR_MM / float(pixel_mm[n]))))
        for n in range(len(metal))
    ]
    return torch.cat(regions)


def masked_rmse(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Root mean square error in HU a slice, (b,)."""
    square = (image - truth) ** 2 * weight
    return torch.sqrt(square.sum((1, 2)) / weight.sum((1, 2)).clamp(min=1) + 1e-6)


def bone_near_metal(truth: Tensor, metal: Tensor, pixel_mm: Tensor) -> Tensor:
    """Bone within about 20 mm of metal, metal excluded, (b, h, w) float."""
    return close_to_metal(metal, pixel_mm) * (truth > BONE_THRESHOLD_HU)


def gradient_rmse(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Root mean square difference of the gradients in HU a pixel, a slice, (b,)."""
    parts = [
        masked_rmse(found, wanted, weight).square()
        for found, wanted in zip(
            torch.gradient(image, dim=(1, 2)), torch.gradient(truth, dim=(1, 2)), strict=True
        )
    ]
    return torch.sqrt(parts[0] + parts[1])


def far_from_metal(truth: Tensor, metal: Tensor, pixel_mm: Tensor) -> Tensor:
    """Pixels of tissue more than about 20 mm from metal, (b, h, w) float."""
    return (1 - _within_reach(metal, pixel_mm)) * (truth > BODY_HU)


def steepness(image: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Steepness of the truth's edges in an image, (b,): 1 as sharp, below 1 blurred.

    As `spinemar.evaluation.metrics.sharpness_ratio`: the steepest tenth of the region's
    gradients, those of the image projected on those of the truth. Differentiable in `image`.
    """
    (wanted_y, wanted_x), (found_y, found_x) = (
        torch.gradient(values, dim=(1, 2)) for values in (truth, image)
    )
    strength = wanted_y.square() + wanted_x.square()
    shares = []
    for n in range(len(truth)):
        inside = strength[n][region[n] > 0]
        if inside.numel() < _FEWEST_PX:
            shares.append(image.new_ones(()))
            continue
        least = inside.kthvalue(int((1 - _EDGE_SHARE) * inside.numel())).values
        edges = (strength[n] >= least) & (region[n] > 0)
        along = (wanted_y[n] * found_y[n] + wanted_x[n] * found_x[n])[edges]
        shares.append(along.sum() / strength[n][edges].sum().clamp(min=1.0))
    return torch.stack(shares)


def summarise(scores: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Mean RMSE, geometric-mean ratio to NMAR and share of slices worse than the input."""
    table = {}
    for name, values in scores.items():
        ratio = np.exp(np.mean(np.log(values / scores["nmar"])))
        table[name] = {
            "rmse_hu": float(values.mean()),
            "median_hu": float(np.median(values)),
            "ratio_to_nmar": float(ratio),
            "worse_than_input": float(np.mean(values > 1.01 * scores["input"])),
        }
    return table
