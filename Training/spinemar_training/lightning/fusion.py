"""Training of the fusion network: the error of the fused picture beside metal."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar.mar.earlier.candidates import NEARNESS, NEARNESS_MM, OWN_HU, REACH
from spinemar_training.data.lessons import Lessons
from spinemar_training.lightning.schedule import Budget, OneNetwork
from spinemar_training.networks.fusion import FusionNetwork

_UNIT_HU = 100.0
NEAR_MM = 20.0
_NEAR_WEIGHT, _CHANGED_WEIGHT = 2.0, 20.0
_COARSE_PX, _COARSE_WEIGHT = 8, 2.0
_LARGEST_GRADIENT = 0.5


def fused(maps: Tensor, lessons: Lessons) -> Tensor:
    """Return the picture (b, h, w) in HU, as `Candidate.fused` makes it."""
    coarse, fine, own = maps.unbind(1)
    lent = coarse * lessons.coarse + fine * lessons.fine
    return lessons.ground + lent + lessons.features[:, REACH] * OWN_HU * own


def near(lessons: Lessons) -> Tensor:
    """Return where metal is less than 20 mm away, (b, h, w)."""
    return lessons.features[:, NEARNESS] < NEAR_MM / NEARNESS_MM


def picture_loss(picture: Tensor, lessons: Lessons) -> Tensor:
    """Return smooth L1 of the picture and of its mean over 6 mm.

    It weighs most beside metal and where the operation changed something. Lost rays sum the
    picture up: what is wrong over millimetres costs more than grain.
    """
    error = (picture - lessons.truth) / _UNIT_HU
    weight = (lessons.features[:, REACH] > 0).float()
    weight = weight * (1.0 + _NEAR_WEIGHT * near(lessons).float())
    weight = weight * (1.0 + _CHANGED_WEIGHT * lessons.changed)
    fine = (weight * _smooth_l1(error)).sum() / weight.sum().clamp(min=1.0)
    pooled = F.avg_pool2d((weight.clamp(max=1.0) * error)[:, None], _COARSE_PX)[:, 0]
    heavy = F.avg_pool2d(weight[:, None], _COARSE_PX)[:, 0]
    coarse = (heavy * _smooth_l1(pooled)).sum() / heavy.sum().clamp(min=1.0)
    return fine + _COARSE_WEIGHT * coarse


def _smooth_l1(error: Tensor) -> Tensor:
    return F.smooth_l1_loss(error, torch.zeros_like(error), beta=1.0, reduction="none")


class FusionTraining(OneNetwork):
    """Trains `FusionNetwork` on lessons."""

    def __init__(self, network: FusionNetwork, budget: Budget) -> None:
        super().__init__(network, budget, _LARGEST_GRADIENT)

    def training_step(self, batch: Lessons, _: int) -> Tensor:
        features = batch.features.contiguous(memory_format=torch.channels_last)
        loss = picture_loss(fused(self.network(features).float(), batch), batch)
        self.log_dict({"loss": loss})
        return loss
