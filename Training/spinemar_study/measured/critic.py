"""A discriminator that looks at the corrected picture near metal, and the game with it.

L_cGAN(G, D) = E[log D(x, y)] + E[log(1 - D(x, R(G(x))))], R the reconstruction, x the scan and the
prior's picture; G minimises L_cGAN + lambda * L2 of the picture within 20 mm of metal, in units of
(100 HU)^2. Two stages as for sinograms: D alone on the frozen generator, then both, the encoder
frozen at first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from spinemar_training.correction.refinement import Refinement
from spinemar_training.correction.scores import masked_rmse
from torch import Tensor, nn

from spinemar_study.measured.generator import EvidenceGenerator
from spinemar_study.measured.samples import Sample, Samples
from spinemar_study.measured.training import Told, follow, keep, refined, stepped

_SIDE = 224
_LOW_HU, _HIGH_HU, _SCALE_HU = -1000.0, 2000.0, 500.0
_MOST_DETAIL_HU, _DETAIL_HU = 600.0, 100.0
_REAL_LABEL = 0.9
_DECAY = 0.95


@dataclass(frozen=True)
class CriticSettings:
    """One game.

    Parameters
    ----------
    weight_l2 : float
        The lambda of the loss.
    seconds : float
        By the clock.
    learning_rate : float
        Of the generator; the discriminator's is three times as large.
    warm_share, frozen_share : float
        Shares of the time in which only D learns, and until which the encoder is frozen.
    seed : int
    """

    weight_l2: float
    seconds: float
    learning_rate: float = 3e-4
    warm_share: float = 0.2
    frozen_share: float = 0.5
    seed: int = 1


@dataclass(frozen=True)
class _Crop:
    """What D is shown of a sample, (1, side, side) each; the metal is hidden."""

    scan: Tensor
    prior: Tensor
    metal: Tensor
    near: Tensor

    def hidden(self, picture: Tensor) -> Tensor:
        return torch.where(self.metal > 0.5, self.prior, picture)


class PictureCritic(nn.Module):
    """MONAI's patch discriminator on scan, prior, what a candidate changes of it, and metal."""

    def __init__(self, channels: int = 32, layers: int = 3) -> None:
        super().__init__()
        from monai.networks.nets import PatchDiscriminator

        self.network = PatchDiscriminator(
            spatial_dims=2, channels=channels, in_channels=4, num_layers_d=layers, norm="INSTANCE"
        )

    def forward(self, crop: _Crop, candidate: Tensor) -> Tensor:
        """Logits of patches (1, 1, h, w) for a candidate (1, side, side) in HU."""
        ground = [image.clamp(_LOW_HU, _HIGH_HU) / _SCALE_HU for image in (crop.scan, crop.prior)]
        detail = crop.hidden(candidate) - crop.prior
        detail = detail.clamp(-_MOST_DETAIL_HU, _MOST_DETAIL_HU) / _DETAIL_HU
        logits: Tensor = self.network(torch.stack([*ground, detail, crop.metal], 1))[-1]
        return logits


class Game:
    """Generator against a critic of pictures.

    Parameters
    ----------
    generator : EvidenceGenerator
    refinement : Refinement
    settings : CriticSettings
    """

    def __init__(
        self, generator: EvidenceGenerator, refinement: Refinement, settings: CriticSettings
    ) -> None:
        self.generator, self.critic = generator, PictureCritic()
        self._refinement, self._settings = refinement, settings
        rate = settings.learning_rate
        self._for_generator = torch.optim.AdamW(generator.parameters(), rate, weight_decay=1e-4)
        self._for_critic = torch.optim.AdamW(self.critic.parameters(), 3 * rate, weight_decay=1e-4)

    def play(self, sample: Sample, spent_share: float) -> list[float]:
        """Take one step of each that learns; probabilities real and fake, G's term, its error."""
        learns = spent_share >= self._settings.warm_share
        unet = self.generator.unet
        for part in (unet.stem, unet.encoders, unet.down):
            part.requires_grad_(spent_share >= self._settings.frozen_share)
        with torch.set_grad_enabled(learns):
            image = self._refinement.image(sample.batch, refined(self.generator, sample))
        box = _box_around(sample.batch.metal[0])
        crop = _crop(sample, box)
        picture, truth = _cut(image, box), _cut(sample.batch.truth_hu, box)
        row = self._teach_critic(crop, truth, picture.detach())
        if not learns:
            return [*row, np.nan, np.nan]
        return row + self._teach_generator(crop, sample, image, picture)

    def _teach_critic(self, crop: _Crop, truth: Tensor, picture: Tensor) -> list[float]:
        real, fake = self.critic(crop, truth), self.critic(crop, picture)
        weight = _near_patches(crop, real)
        loss = 0.5 * (_judged(real, _REAL_LABEL, weight) + _judged(fake, 0.0, weight))
        _step(self._for_critic, loss, self.critic)
        return [float(_mean(torch.sigmoid(one.detach()), weight)) for one in (real, fake)]

    def _teach_generator(
        self, crop: _Crop, sample: Sample, image: Tensor, picture: Tensor
    ) -> list[float]:
        logits = self.critic(crop, picture)
        fool = _judged(logits, 1.0, _near_patches(crop, logits))
        truth, near = sample.batch.truth_hu, sample.near
        l2 = (((image - truth) / 100.0) ** 2 * near).sum() / near.sum().clamp(min=1)
        _step(self._for_generator, fool + self._settings.weight_l2 * l2, self.generator)
        error = masked_rmse(image.detach(), truth, near)
        before = masked_rmse(sample.batch.prior_hu, truth, near)
        return [float(fool.detach()), float((error / before).mean())]


def train_with_critic(
    generator: EvidenceGenerator,
    samples: Samples,
    refinement: Refinement,
    settings: CriticSettings,
    output: Path,
    told: Told = lambda text: None,
) -> Path:
    """Play for a while and write the averaged weights; returns their file."""
    torch.manual_seed(settings.seed)
    average = EvidenceGenerator(generator.state_dict())
    game = Game(generator, refinement, settings)
    started, rows = time.monotonic(), []
    while (spent := time.monotonic() - started) < settings.seconds:
        rows.append(game.play(samples.draw(), spent / settings.seconds))
        if np.isfinite(rows[-1][2]):
            follow(average, generator, _DECAY)
        if len(rows) % 20 == 0:
            means = np.nanmean(rows[-40:], axis=0)
            told(f"{len(rows)} steps, {spent:.0f} s: D real, D fake, fool, error {means.round(3)}")
    return keep(average, output)


def _box_around(metal: Tensor) -> tuple[slice, slice]:
    rows, columns = (torch.nonzero(metal.any(axis)).flatten() for axis in (1, 0))
    parts = []
    for used, size in ((rows, metal.shape[0]), (columns, metal.shape[1])):
        middle = (int(used[0]) + int(used[-1])) // 2 if used.numel() else size // 2
        first = int(np.clip(middle - _SIDE // 2, 0, max(0, size - _SIDE)))
        parts.append(slice(first, first + _SIDE))
    return parts[0], parts[1]


def _crop(sample: Sample, box: tuple[slice, slice]) -> _Crop:
    batch = sample.batch
    return _Crop(
        _cut(sample.input_hu, box),
        _cut(batch.prior_hu, box),
        _cut(batch.metal, box).float(),
        _cut(sample.near, box),
    )


def _cut(images: Tensor, box: tuple[slice, slice]) -> Tensor:
    return images[:, box[0], box[1]]


def _near_patches(crop: _Crop, logits: Tensor) -> Tensor:
    """Patches near metal: in the others real and generated are nearly the same."""
    return F.adaptive_max_pool2d(crop.near[:, None], logits.shape[-2:])


def _judged(logits: Tensor, label: float, weight: Tensor) -> Tensor:
    wanted = torch.full_like(logits, label)
    return _mean(F.binary_cross_entropy_with_logits(logits, wanted, reduction="none"), weight)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
    optimizer.zero_grad()
    loss.backward()
    stepped(optimizer, network)
