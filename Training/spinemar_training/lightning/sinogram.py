"""Stage one for the generator alone: a frozen prior's prefilled slices, the image as the judge.

On patches the loss is the distance on the trace, weighted by the root of the ramp (the energy
that reaches the image); on whole slices the error of the corrected image through FBP comes
beside it, outside metal and heavier near it. Patches first, whole slices to finish.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spinemar_training.correction.refinement import Refinement, refine, refine_patches
from spinemar_training.correction.scores import masked_rmse
from spinemar_training.data.prefilled import PatchBatch, PrefilledBatch
from spinemar_training.lightning.joint import sqrt_ramp
from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.generator import PAD_VIEWS, SinogramGenerator

_LEAST_HU = 5.0
"""Below this error a slice has nothing to gain."""


_LEAST_NEPERS = 2e-3


def _trace_loss(error: Tensor, before: Tensor, mask: Tensor) -> Tensor:
    """Weigh errors by the sqrt of the ramp; RMS on the trace as a share of what it was before.

    Slice by slice, so that a few with heavy metal do not speak for all. (b, views, r) each.
    """

    def rms(values: Tensor) -> Tensor:
        energy = sqrt_ramp(values * mask).square().sum((1, 2))
        return torch.sqrt(energy / mask.sum((1, 2)).clamp(min=1) + 1e-10)

    return (rms(error) / (rms(before) + _LEAST_NEPERS)).mean()


class SinogramTraining(ScheduledModule):
    """Generator on prefilled slices.

    Parameters
    ----------
    generator : SinogramGenerator
    budget : Budget
    refinement : Refinement
        Carries changes of sinograms into images.
    near_weight : float
        Further weight of the image error within 20 mm of metal.
    sinogram_weight : float
        Weight of the sinogram loss beside the image loss; patches have it alone.
    """

    def __init__(
        self,
        generator: SinogramGenerator,
        budget: Budget,
        refinement: Refinement,
        *,
        near_weight: float = 0.5,
        sinogram_weight: float = 0.5,
    ) -> None:
        super().__init__(budget)
        self.generator, self.refinement = generator, refinement
        self.near_weight = near_weight
        self.sinogram_weight = sinogram_weight
        self.track(generator=generator)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.adamw(
            [{"params": list(self.generator.parameters()), "lr": self.budget.learning_rate}]
        )

    def training_step(self, batch: PrefilledBatch | PatchBatch, batch_idx: int) -> Tensor | None:
        if isinstance(batch, PatchBatch):
            inner = slice(PAD_VIEWS, -PAD_VIEWS)
            inpainted = refine_patches(self.generator, batch)
        else:
            inner = slice(None)
            inpainted = refine(self.generator, batch)
        mask, filled = batch.trace[:, 1, inner], batch.filled[:, 1, inner]
        with torch.autocast(mask.device.type, enabled=False):
            target = batch.target[:, 0]
            sinogram = _trace_loss(inpainted - target, filled - target, mask)
            self.log("pretrain/sinogram", sinogram)
            if isinstance(batch, PatchBatch):
                loss = sinogram
            else:
                loss = self.sinogram_weight * sinogram + self._image_loss(batch, inpainted)
        self.log("pretrain/loss", loss)
        return loss if bool(torch.isfinite(loss)) else None

    def _image_loss(self, batch: PrefilledBatch, inpainted: Tensor) -> Tensor:
        """Error of the image as a share of the prior's, so that all slices count alike."""
        image = self.refinement.image(batch, inpainted)
        shares = []
        for weight in (batch.scored.float(), batch.near.float()):
            error = masked_rmse(image, batch.truth_hu, weight)
            before = masked_rmse(batch.prior_hu, batch.truth_hu, weight)
            shares.append((error / before.clamp(min=_LEAST_HU)).mean())
        self.log("pretrain/ratio_to_prior", shares[0])
        self.log("pretrain/ratio_to_prior_near", shares[1])
        return shares[0] + self.near_weight * shares[1]

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
