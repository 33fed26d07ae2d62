"""Stage two: the conditional GAN, from pre-trained weights.

L_cGAN(G, D) = E[log D(x, y)] + E[log(1 - D(x, G(x)))], and G minimises
L_cGAN + lambda * L2 (Isola et al. 2017, with L2 for L1); G's part is the non-saturating
-log D(x, G(x)). L2 is the mean square over the trace in nepers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar_training.features import SCALE_HU, metal_of, slice_windows, truth_of
from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.discriminator import PatchDiscriminator
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.pipeline import Prefilled, corrected, neighbours, prefill
from spinemar_training.radon import TorchRadon
from spinemar_training.scores import masked_rmse, outside_metal
from spinemar_training.simulate.classical import project
from spinemar_training.stream import Batch


class AdversarialTraining(ScheduledModule):
    """Generator against discriminator; the prior stays frozen.

    Parameters
    ----------
    prior, generator, discriminator : networks
    budget : Budget
    radon : TorchRadon
    grid : (rows, columns)
    weight_l2 : float
        The lambda of the loss.
    image_weight : float
        Weight of the image-domain loss through FBP, 0 to leave it out.
    warm_share : float
        Share of the budget in which only the discriminator learns.
    frozen_share : float
        Share of the budget after which the generator's encoder is released.
    discriminator_rate : float
        Its learning rate relative to the generator's.
    """

    def __init__(
        self,
        prior: PriorNetwork,
        generator: SinogramGenerator,
        discriminator: PatchDiscriminator,
        budget: Budget,
        radon: TorchRadon,
        *,
        grid: tuple[int, int],
        weight_l2: float = 100.0,
        image_weight: float = 0.0,
        warm_share: float = 0.1,
        frozen_share: float = 0.3,
        discriminator_rate: float = 2.0,
    ) -> None:
        super().__init__(budget)
        self.automatic_optimization = False
        self.prior, self.generator, self.discriminator = prior, generator, discriminator
        self.prior.requires_grad_(False)
        self.radon, self.grid = radon, grid
        self.weight_l2, self.image_weight = weight_l2, image_weight
        self.warm_share, self.frozen_share = warm_share, frozen_share
        self.discriminator_rate = discriminator_rate
        self.track(generator=generator)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        rate = self.budget.learning_rate
        critic = list(self.discriminator.parameters())
        return [
            self.adamw([{"params": list(self.generator.parameters()), "lr": rate}]),
            self.adamw([{"params": critic, "lr": rate * self.discriminator_rate}]),
        ]

    @torch.no_grad()
    def _examples(self, batch: Batch) -> tuple[Prefilled, Tensor, Tensor]:
        windows = slice_windows(batch.slabs)
        pixels = batch.pixel_mm.repeat_interleave(batch.slabs.shape[1])
        prior_hu = self.prior.clean(windows, pixels, self.grid).float()
        before = prefill(prior_hu, windows, pixels, self.radon)
        target = project(truth_of(windows), self.radon, pixels)
        # Real examples differ from generated ones in the trace only.
        return before, torch.where(before.trace, target, before.measured), pixels

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer_g, optimizer_d = self.optimizers()  # type: ignore[misc]
        before, target, pixels = self._examples(batch)
        count = batch.slabs.shape[1]
        trace = before.trace.float()
        x = neighbours(before.filled, count)
        learn_generator = self.progress > self.warm_share
        self._freeze_encoder(self.progress < self.frozen_share)
        with torch.set_grad_enabled(learn_generator):
            fake = self.generator(x, neighbours(trace, count))
        condition, real = before.filled[:, None], target[:, None]
        mask = trace[:, None]

        logits_real = self.discriminator(condition, real, mask)
        logits_fake = self.discriminator(condition, fake.detach(), mask)
        loss_d = 0.5 * (
            F.binary_cross_entropy_with_logits(logits_real, torch.full_like(logits_real, 0.9))
            + F.binary_cross_entropy_with_logits(logits_fake, torch.zeros_like(logits_fake))
        )
        self._step(optimizer_d, loss_d, self.discriminator)
        self.log("gan/d_real", torch.sigmoid(logits_real).mean())
        self.log("gan/d_fake", torch.sigmoid(logits_fake).mean())
        self.log("gan/loss_d", loss_d)
        if learn_generator:
            self._generator_step(optimizer_g, batch, before, fake, condition, real, mask, pixels)
        self.step_taken()

    def _generator_step(
        self,
        optimizer: Any,
        batch: Batch,
        before: Prefilled,
        fake: Tensor,
        condition: Tensor,
        real: Tensor,
        mask: Tensor,
        pixels: Tensor,
    ) -> None:
        logits = self.discriminator(condition, fake, mask)
        fool = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        l2 = ((fake.float() - real) ** 2 * mask).sum() / mask.sum().clamp(min=1)
        loss = fool + self.weight_l2 * l2
        if self.image_weight > 0:
            windows = slice_windows(batch.slabs)
            image = corrected(windows, before, fake[:, 0].float(), pixels, self.radon)
            weight = outside_metal(metal_of(windows))
            rmse = masked_rmse(image, truth_of(windows), weight).mean()
            self.log("gan/rmse_hu", rmse)
            loss = loss + self.image_weight * rmse / SCALE_HU
        self._step(optimizer, loss, self.generator)
        self.log("gan/fool", fool)
        self.log("gan/l2", l2)

    def _step(self, optimizer: Any, loss: Tensor, network: torch.nn.Module) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    def _freeze_encoder(self, frozen: bool) -> None:
        for part in (
            self.generator.unet.stem,
            self.generator.unet.encoders,
            self.generator.unet.down,
        ):
            part.requires_grad_(not frozen)
