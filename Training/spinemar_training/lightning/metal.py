"""Training of the metal network: cross-entropy with the fraction, and the overlap it gives."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar_training.lightning.schedule import Budget, OneNetwork
from spinemar_training.metal.crops import Crops
from spinemar_training.metal.encoding import encode
from spinemar_training.networks.metal import MetalNetwork

_FAR_WEIGHT = 0.05
_REACH_PX = 6
_BRIGHT_HU = 1800.0
_LARGEST_GRADIENT = 0.5
"""Without it one crop full of starved steel undid the rest."""


def outline_loss(logits: Tensor, fraction: Tensor, hu: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss, and Dice at one half, of logits (b, h, w) and true fractions.

    Pixels at and beside whatever is bright or metal count in full. Soft Dice by image keeps
    small metal from drowning.
    """
    bright = (hu > _BRIGHT_HU) | (fraction > 0)
    side = 2 * _REACH_PX + 1
    near = F.max_pool2d(bright[:, None].float(), side, 1, _REACH_PX)[:, 0]
    weight = near + (1 - near) * _FAR_WEIGHT
    entropy = F.binary_cross_entropy_with_logits(logits, fraction, reduction="none")
    entropy = (entropy * weight).sum() / weight.sum()
    share = torch.sigmoid(logits)
    both = (share * fraction).sum((1, 2))
    soft = 1 - (2 * both + 4) / (share.square().sum((1, 2)) + fraction.square().sum((1, 2)) + 4)
    found, true = share > 0.5, fraction > 0.5
    dice = 2 * (found & true).sum() / (found.sum() + true.sum()).clamp(min=1)
    return entropy + 0.3 * soft.mean(), dice


class MetalTraining(OneNetwork):
    """Trains `MetalNetwork` on crops."""

    def __init__(self, network: MetalNetwork, budget: Budget) -> None:
        super().__init__(network, budget, _LARGEST_GRADIENT)

    def training_step(self, batch: Crops, _: int) -> Tensor:
        features = encode(batch.hu, batch.pixel_mm, batch.top_hu)
        logits = self.network.logits(features.contiguous(memory_format=torch.channels_last))
        loss, dice = outline_loss(logits[:, 0].float(), batch.fraction, batch.hu[:, 1])
        self.log_dict({"loss": loss, "dice": dice})
        return loss
