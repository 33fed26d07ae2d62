"""Stage one: the prior network learns to clean images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.features import (
    HIGH_HU,
    LOW_HU,
    PIXEL_MM,
    SCALE_HU,
    apply_matrices,
    input_of,
    metal_of,
    near_metal,
    nmar_of,
    resampling_matrix,
    stack,
    truth_of,
)
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.simulate.stream import Batch

NEAR_MM = 18.0
_BETA = 0.1


class PriorTraining(ScheduledModule):
    """Smooth L1 on the residual to NMAR, heavier near metal, on crops at the prior's pixel.

    Parameters
    ----------
    network : PriorNetwork
    budget : Budget
    crop_px : int
        Side of the crops at `PIXEL_MM`.
    near_weight : float
        Further weight of pixels within `NEAR_MM` of metal.
    """

    def __init__(
        self, network: PriorNetwork, budget: Budget, crop_px: int = 384, near_weight: float = 2.0
    ) -> None:
        super().__init__(budget)
        self.network = network
        self.crop_px, self.near_weight = crop_px, near_weight
        self.track(network=network)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.adamw(
            [{"params": list(self.network.parameters()), "lr": self.budget.learning_rate}]
        )

    def _crop_centre(self, metal: Tensor, pixel_mm: Tensor) -> tuple[Tensor, Tensor]:
        """Centre the crop near the metal, mm from the image's centre (rows, columns)."""
        weight = metal.float() + 1e-6
        total = weight.sum((1, 2))
        axis = torch.arange(metal.shape[1], device=metal.device) - (metal.shape[1] - 1) / 2
        rows = (weight.sum(2) * axis).sum(1) / total * pixel_mm
        columns = (weight.sum(1) * axis).sum(1) / total * pixel_mm
        jitter = torch.randn(2, len(metal), device=metal.device) * 45.0
        slack = (metal.shape[1] * pixel_mm - self.crop_px * PIXEL_MM).clamp(min=0) / 2
        return (
            torch.clamp(rows + jitter[0], -slack, slack),
            torch.clamp(columns + jitter[1], -slack, slack),
        )

    def crops(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Features; truth, input and NMAR in `SCALE_HU` above air; weight of random crops."""
        window, pixel = batch.slabs, batch.pixel_mm
        metal = metal_of(window)
        size = window.shape[-1]
        new = torch.full_like(pixel, PIXEL_MM)
        centre_rows, centre_columns = self._crop_centre(metal, pixel)
        rows = resampling_matrix(size, pixel, self.crop_px, new, centre_rows)
        columns = resampling_matrix(size, pixel, self.crop_px, new, centre_columns)
        images = [truth_of(window), input_of(window).clamp(LOW_HU, HIGH_HU), nmar_of(window)]
        images = [(i.clamp(-3000, 4000) + 1000) / SCALE_HU for i in images]
        everything = torch.cat(
            [stack(window), *(i[:, None] for i in images), metal[:, None].float()], 1
        )
        resampled = apply_matrices(everything, rows, columns)
        near = near_metal(resampled[:, -1] > 0.1, round(NEAR_MM / PIXEL_MM))
        return resampled[:, :-4], resampled[:, -4:-1], 1 + self.near_weight * near[:, None]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        loss = self.weighted_error(*self.crops(batch))
        self.log("prior/loss", loss, prog_bar=True)
        return loss if bool(torch.isfinite(loss)) else None

    def weighted_error(self, features: Tensor, images: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of crops as `crops` makes them."""
        truth, raw, nmar = images.split(1, 1)
        residual, blend = (
            self.network(features.contiguous(memory_format=torch.channels_last)).float().split(1, 1)
        )
        cleaned = nmar + blend * (raw - nmar) + residual
        error = F.smooth_l1_loss(cleaned, truth, beta=_BETA, reduction="none")
        return (error * weight).sum() / weight.sum()

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
