"""Stage two: the conditional GAN, from pre-trained weights, on prefilled slices.

L_cGAN(G, D) = E[log D(x, y)] + E[log(1 - D(x, G(x)))], and G minimises
L_cGAN + lambda * L2 (Isola et al. 2017, with L2 for L1); G's part is the non-saturating
-log D(x, G(x)). L2 is the mean square over the trace in nepers^2. A prior leaves 0.001 to 0.02 of
it, so the two terms weigh the same at a lambda of some hundreds, not at the 100 of pictures whose
values fill the range from -1 to 1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar_training.correction.refinement import Refinement, refine, refine_patches
from spinemar_training.correction.scores import masked_rmse
from spinemar_training.data.prefilled import PatchBatch, PrefilledBatch
from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.discriminator import PatchDiscriminator
from spinemar_training.networks.generator import PAD_VIEWS, SinogramGenerator

_REAL_LABEL = 0.9
"""One-sided label smoothing (Salimans et al. 2016)."""


class AdversarialTraining(ScheduledModule):
    """Generator against discriminator behind a frozen prior.

    Parameters
    ----------
    generator : SinogramGenerator
        Pre-trained.
    discriminator : PatchDiscriminator
    budget : Budget
    refinement : Refinement, optional
        For the image loss, which whole slices need.
    weight_l2 : float
        The lambda of the loss.
    image_weight : float
        Weight of the image-domain loss through FBP (share of the prior's error), 0 to leave it
        out; patches have none.
    warm_share : float
        Share of the budget in which only the discriminator learns, on the frozen generator.
    frozen_share : float
        Share of the budget after which the generator's encoder is released.
    discriminator_rate : float
        Its learning rate relative to the generator's.
    """

    def __init__(
        self,
        generator: SinogramGenerator,
        discriminator: PatchDiscriminator,
        budget: Budget,
        refinement: Refinement | None = None,
        *,
        weight_l2: float,
        image_weight: float = 0.0,
        warm_share: float = 0.15,
        frozen_share: float = 0.4,
        discriminator_rate: float = 2.0,
    ) -> None:
        super().__init__(budget)
        self.automatic_optimization = False
        self.generator, self.discriminator = generator, discriminator
        self.refinement = refinement
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

    def training_step(self, batch: PrefilledBatch | PatchBatch, batch_idx: int) -> None:
        optimizer_g, optimizer_d = self.optimizers()
        learn_generator = self.progress >= self.warm_share
        self._freeze_encoder(self.progress < self.frozen_share)
        with torch.set_grad_enabled(learn_generator):
            fake = self._inpainted(batch)[:, None]
        condition, mask = self._condition(batch)
        self._discriminator_step(optimizer_d, condition, batch.target, fake.detach(), mask)
        if learn_generator:
            self._generator_step(optimizer_g, batch, condition, fake, mask)
        self.step_taken()

    def _inpainted(self, batch: PrefilledBatch | PatchBatch) -> Tensor:
        if isinstance(batch, PatchBatch):
            return refine_patches(self.generator, batch)
        return refine(self.generator, batch)

    def _condition(self, batch: PrefilledBatch | PatchBatch) -> tuple[Tensor, Tensor]:
        """Return what D sees beside the candidate: x and the trace, (b, 1, views, bins)."""
        inner = slice(PAD_VIEWS, -PAD_VIEWS) if isinstance(batch, PatchBatch) else slice(None)
        return batch.filled[:, 1:2, inner], batch.trace[:, 1:2, inner]

    def _discriminator_step(
        self, optimizer: Any, condition: Tensor, real: Tensor, fake: Tensor, mask: Tensor
    ) -> None:
        logits_real = self.discriminator(condition, real, mask)
        logits_fake = self.discriminator(condition, fake, mask)
        weight = _near_trace(mask, logits_real)
        loss = 0.5 * (_judged(logits_real, _REAL_LABEL, weight) + _judged(logits_fake, 0.0, weight))
        self._step(optimizer, loss, self.discriminator)
        self.log("gan/d_real", _mean(torch.sigmoid(logits_real), weight))
        self.log("gan/d_fake", _mean(torch.sigmoid(logits_fake), weight))
        self.log("gan/loss_d", loss)

    def _generator_step(
        self,
        optimizer: Any,
        batch: PrefilledBatch | PatchBatch,
        condition: Tensor,
        fake: Tensor,
        mask: Tensor,
    ) -> None:
        logits = self.discriminator(condition, fake, mask)
        fool = _judged(logits, 1.0, _near_trace(mask, logits))
        l2 = ((fake.float() - batch.target) ** 2 * mask).sum() / mask.sum().clamp(min=1)
        loss = fool + self.weight_l2 * l2
        if self.image_weight > 0 and isinstance(batch, PrefilledBatch):
            assert self.refinement is not None
            weight = batch.scored.float()
            with torch.autocast(mask.device.type, enabled=False):
                image = self.refinement.image(batch, fake[:, 0].float())
                error = masked_rmse(image, batch.truth_hu, weight)
                before = masked_rmse(batch.prior_hu, batch.truth_hu, weight)
                share = (error / before.clamp(min=1)).mean()
            self.log("gan/ratio_to_prior", share)
            loss = loss + self.image_weight * share
        self._step(optimizer, loss, self.generator)
        self.log("gan/fool", fool)
        self.log("gan/l2", l2)

    def _step(self, optimizer: Any, loss: Tensor, network: torch.nn.Module) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    def _freeze_encoder(self, frozen: bool) -> None:
        unet = self.generator.unet
        for part in (unet.stem, unet.encoders, unet.down):
            part.requires_grad_(not frozen)


def _near_trace(mask: Tensor, logits: Tensor) -> Tensor:
    """Patches that hold rays of the trace: in the others real and generated are the same."""
    return F.adaptive_max_pool2d(mask, logits.shape[-2:])


def _judged(logits: Tensor, label: float, weight: Tensor) -> Tensor:
    wanted = torch.full_like(logits, label)
    return _mean(F.binary_cross_entropy_with_logits(logits, wanted, reduction="none"), weight)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)
