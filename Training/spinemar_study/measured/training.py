"""Train a generator that sees the measured rays: the corrected picture, and findings in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from spinemar_training.correction.refinement import Refinement
from spinemar_training.correction.scores import masked_rmse
from spinemar_training.networks.precision import has_bf16
from torch import Tensor

from spinemar.base.atomic_files import atomic_path
from spinemar_study.measured.generator import EvidenceGenerator
from spinemar_study.measured.samples import Sample, Samples

_LEAST_HU = 5.0
"""Below this error a slice has nothing to gain."""
_MOST_CONTRAST_ERROR = 2.0
_SLICES_A_STEP = 2
_WARM_STEPS = 20
_KEEP_EVERY = 30

Told = Callable[[str], None]


@dataclass(frozen=True)
class TrainingSettings:
    """One run.

    Parameters
    ----------
    seconds : float
        By the clock.
    learning_rate : float
    contrast_weight : float
        Of what findings lack or have too much of, beside three shares of the prior's error
        (whole, near metal, near metal without what holds faint metal), half each.
    blind : bool
        Show no evidence: what the same training does without it.
    seed : int
    """

    seconds: float
    learning_rate: float = 8e-4
    contrast_weight: float = 0.3
    blind: bool = False
    seed: int = 1


def refined(generator: EvidenceGenerator, sample: Sample, blind: bool = False) -> Tensor:
    """Inpainted sinograms (1, views, bins) of a sample, float32."""
    batch, seen = sample.batch, sample.seen
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
        out = generator(
            batch.filled, batch.trace, batch.measured, torch.zeros_like(seen) if blind else seen
        )
    inpainted: Tensor = out[:, 0].float()
    return inpainted


def error_shares(image: Tensor, sample: Sample) -> Tensor:
    """Errors of an image as shares of the prior's: whole, near, faint metal left out; (3,)."""
    shares = []
    for region in (sample.whole, sample.near, sample.faint_out):
        found = masked_rmse(image, sample.batch.truth_hu, region)
        before = masked_rmse(sample.batch.prior_hu, sample.batch.truth_hu, region)
        shares.append((found / before.clamp(min=_LEAST_HU)).mean())
    return torch.stack(shares)


def contrast_errors(image: Tensor, templates: Sequence[Tensor], truth: Tensor) -> Tensor:
    """How much of each finding is missing or too much, as a share of it; (findings,)."""
    wrong = (image - truth)[0]
    return torch.stack([((wrong * one).sum() / (one * one).sum()).abs() for one in templates])


def train(
    generator: EvidenceGenerator,
    samples: Samples,
    refinement: Refinement,
    settings: TrainingSettings,
    output: Path,
    told: Told = lambda text: None,
) -> Path:
    """Train for a while and write the averaged weights; returns their file."""
    torch.manual_seed(settings.seed)
    average = EvidenceGenerator(generator.state_dict())
    optimizer = torch.optim.AdamW(
        generator.parameters(), lr=settings.learning_rate, weight_decay=1e-4
    )
    started, steps, seen = time.monotonic(), 0, []
    while (spent := time.monotonic() - started) < settings.seconds:
        rate = settings.learning_rate * min(1.0, (steps + 1) / _WARM_STEPS)
        rate *= 0.5 + 0.5 * np.cos(np.pi * spent / settings.seconds)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        for _ in range(_SLICES_A_STEP):
            sample = samples.draw()
            image = refinement.image(sample.batch, refined(generator, sample, settings.blind))
            loss, row = _loss(image, sample, settings.contrast_weight)
            (loss / _SLICES_A_STEP).backward()
            seen.append(row)
        if not stepped(optimizer, generator):
            continue
        steps += 1
        follow(average, generator, min(0.98, (steps + 1) / (steps + 10)))
        if steps % 10 == 0:
            means = np.nanmean(seen[-60:], axis=0)
            told(f"{steps} steps, {spent:.0f} s: whole, near, faint out, contrast {means.round(3)}")
        if steps % _KEEP_EVERY == 0:
            keep(average, output)
    return keep(average, output)


def _loss(image: Tensor, sample: Sample, contrast_weight: float) -> tuple[Tensor, list[float]]:
    shares = error_shares(image, sample)
    loss, contrast = 0.5 * shares.sum(), float("nan")
    if sample.templates:
        errors = contrast_errors(image, sample.templates, sample.batch.truth_hu)
        loss = loss + contrast_weight * errors.clamp(max=_MOST_CONTRAST_ERROR).mean()
        contrast = float(errors.detach().mean())
    return loss, [*shares.detach().tolist(), contrast]


def stepped(optimizer: torch.optim.Optimizer, network: torch.nn.Module) -> bool:
    """Take a step along gradients of at most 1; none, and False, where they are no numbers.

    16 bits can overflow; such a step teaches nothing.
    """
    finite = bool(torch.isfinite(torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)))
    if finite:
        optimizer.step()
    return finite


def follow(average: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """Move an average of weights towards a network's."""
    with torch.no_grad():
        for kept, new in zip(average.parameters(), network.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)


def keep(network: torch.nn.Module, output: Path) -> Path:
    """Write weights, at once or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "weights.pt"
    with atomic_path(path) as temporary:
        torch.save({"generator": network.state_dict()}, temporary)
    return path
