"""Stage one, second half: generator and prior learn together through the reconstruction.

What is trained is what is used: the prior is reprojected and matched, the generator inpaints,
the difference is reconstructed, and the loss is taken on the corrected image.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from spinemar_training.correction.pipeline import Prefilled, correct_slabs
from spinemar_training.correction.scores import (
    bone_near_metal,
    close_to_metal,
    far_from_metal,
    gradient_rmse,
    masked_rmse,
    outside_metal,
    steepness,
)
from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.features import (
    SCALE_HU,
    grid_around_bodies,
    metal_of,
    slice_windows,
    truth_of,
)
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.projector import Projector
from spinemar_training.simulate.classical import project
from spinemar_training.simulate.stream import Batch

_ALONE_SHARE = 0.25
"""Share of batches whose slices stand alone, as in volumes of one slice."""


def sqrt_ramp(difference: Tensor) -> Tensor:
    """Weigh a sinogram difference (n, views, bins) by the root of the ramp, along the detector.

    The squared norm of the result is the energy that reaches the image through FBP.
    """
    length = 2 * difference.shape[-1]
    spectrum = torch.fft.rfft(difference, n=length, dim=-1)
    ramp = torch.linspace(0, 1, spectrum.shape[-1], device=difference.device).sqrt()
    return torch.fft.irfft(spectrum * ramp, n=length, dim=-1)[..., : difference.shape[-1]]


class JointTraining(ScheduledModule):
    """Image-domain loss through FBP, plus sqrt-ramp-weighted L2 on the trace.

    Parameters
    ----------
    prior, generator : networks
    budget : Budget
    radon : Projector
        At the views of the residual (360).
    grid : (rows, columns), optional
        Of the prior's image at its pixel size; None for a window around the bodies of a batch.
    prior_rate : float
        Learning rate of the prior relative to the generator's; 0 freezes it.
    sinogram_weight : float
        Weight of the sinogram loss.
    near_weight : float
        Further weight of the image error within 20 mm of metal.
    sharpness_weight : float
        Weight of what the truth's edges far from metal lost in steepness. Squared error alone
        blurs what it is not sure of; near its minimum some steepness costs next to nothing.
    bone_weight : float
        Further weight of the image error in bone within 20 mm of metal, which a mean over bodies
        draws too soft.
    gradient_weight : float
        Weight of the error of the image's gradient within 20 mm of metal.
    widening_mm : float
        By how much the lost-ray trace is widened.
    """

    def __init__(
        self,
        prior: PriorNetwork,
        generator: SinogramGenerator,
        budget: Budget,
        radon: Projector,
        *,
        grid: tuple[int, int] | None,
        prior_rate: float = 0.3,
        sinogram_weight: float = 0.5,
        near_weight: float = 0.5,
        sharpness_weight: float = 0.0,
        bone_weight: float = 0.0,
        gradient_weight: float = 0.0,
        widening_mm: float = 0.0,
    ) -> None:
        super().__init__(budget)
        self.prior, self.generator = prior, generator
        self.radon, self.grid = radon, grid
        self.prior_rate, self.sinogram_weight = prior_rate, sinogram_weight
        self.near_weight, self.widening_mm = near_weight, widening_mm
        self.sharpness_weight = sharpness_weight
        self.bone_weight, self.gradient_weight = bone_weight, gradient_weight
        self.track(prior=prior, generator=generator)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        rate = self.budget.learning_rate
        return self.adamw(
            [
                {"params": list(self.generator.parameters()), "lr": rate},
                {"params": list(self.prior.parameters()), "lr": rate * self.prior_rate},
            ]
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        with torch.autocast(batch.slabs.device.type, enabled=False):
            loss = self._loss(batch)
        return loss if bool(torch.isfinite(loss)) else None

    def _loss(self, batch: Batch) -> Tensor:
        pixels = batch.pixel_mm.repeat_interleave(batch.slabs.shape[1])
        final, first, before, inpainted = correct_slabs(
            batch.slabs,
            batch.pixel_mm,
            self.prior,
            self.generator,
            self.radon,
            self.grid or grid_around_bodies(batch.slabs, batch.pixel_mm),
            alone=random.random() < _ALONE_SHARE,
            widening_mm=self.widening_mm,
        )
        windows = slice_windows(batch.slabs)
        truth, metal = truth_of(windows), metal_of(windows)
        weight = outside_metal(metal)
        near = close_to_metal(metal, pixels)
        image = masked_rmse(final, truth, weight) + self.near_weight * masked_rmse(
            final, truth, near
        )
        early = masked_rmse(first, truth, weight) + self.near_weight * masked_rmse(
            first, truth, near
        )
        loss = (image.mean() + 0.5 * early.mean()) / SCALE_HU
        if self.sharpness_weight:
            loss = loss + self.sharpness_weight * self._blur(final, truth, metal, pixels)
        if self.bone_weight:
            bone = masked_rmse(final, truth, bone_near_metal(truth, metal, pixels)).mean()
            self.log("joint/bone_near_hu", bone)
            loss = loss + self.bone_weight * bone / SCALE_HU
        if self.gradient_weight:
            steps = gradient_rmse(final, truth, near).mean()
            self.log("joint/gradient_near_hu", steps)
            loss = loss + self.gradient_weight * steps / SCALE_HU
        sinogram = self._sinogram_loss(truth, before, inpainted, pixels)
        self.log("joint/rmse_hu", masked_rmse(final, truth, weight).mean(), prog_bar=True)
        self.log("joint/prior_only_hu", masked_rmse(first, truth, weight).mean())
        self.log("joint/sinogram", sinogram)
        return loss + self.sinogram_weight * sinogram

    def _blur(self, image: Tensor, truth: Tensor, metal: Tensor, pixels: Tensor) -> Tensor:
        """Share of steepness that edges far from metal lost, mean over slices."""
        steep = steepness(image, truth, far_from_metal(truth, metal, pixels))
        self.log("joint/sharpness", steep.mean())
        return (1 - steep).clamp(min=0).mean()

    def _sinogram_loss(
        self, truth: Tensor, before: Prefilled, inpainted: Tensor, pixels: Tensor
    ) -> Tensor:
        with torch.no_grad():
            target = project(truth, self.radon, pixels)
        difference = torch.where(before.trace, inpainted - target, torch.zeros_like(target))
        return sqrt_ramp(difference).square().sum() / before.trace.sum().clamp(min=1)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        torch.nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
