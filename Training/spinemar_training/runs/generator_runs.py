"""Runs on prefilled slices: the generator alone, and the conditional GAN that starts from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from spinemar_training.correction.refinement import BINS, SIZE, Refinement, score, summary
from spinemar_training.data.prefill import VIEWS
from spinemar_training.data.prefilled import PatchStream, PrefilledCache, PrefilledStream
from spinemar_training.lightning.adversarial import AdversarialTraining
from spinemar_training.lightning.sinogram import SinogramTraining
from spinemar_training.networks.discriminator import PatchDiscriminator
from spinemar_training.networks.generator import PAD_VIEWS
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.run_settings import RunSettings
from spinemar_training.runs.running import (
    averaged,
    build_generator,
    fit,
    pick_device,
    save_weights,
    seed_everything,
)


def make_refinement(device: str) -> Refinement:
    """Build what carries the generator's changes into images."""
    if device == "cuda":
        return Refinement(TorchRadon(SIZE, VIEWS, BINS, device=device).fbp)
    return Refinement(NufftRadon(SIZE, VIEWS, BINS, threads=torch.get_num_threads()).fbp)


def _prefilled_stream(settings: RunSettings) -> PatchStream | PrefilledStream:
    """Batches of patches or of whole slices, as the settings say."""
    folder, size = Path(settings.prefilled), settings.stream.batch_size
    if settings.patch:
        views, bins = settings.patch
        return PatchStream(folder, size, settings.seed, (views, bins), PAD_VIEWS)
    return PrefilledStream(folder, size, settings.seed)


def train_generator(settings: RunSettings, output: Path, start: Path | None = None) -> Path:
    """Train the generator on prefilled slices. Returns the file of averaged weights."""
    seed_everything(settings.seed)
    device = pick_device()
    module = SinogramTraining(
        build_generator(settings, start).to(memory_format=torch.channels_last),
        settings.budget,
        make_refinement(device),
        **settings.options.sinogram,
    )
    return _trained(module, settings, output, device)


def train_adversarial(
    settings: RunSettings, output: Path, start: Path, weight_l2: float | None = None
) -> Path:
    """Stage two: the conditional GAN. `weight_l2` overrides the configured lambda."""
    seed_everything(settings.seed)
    device = pick_device()
    options = dict(settings.options.adversarial)
    if weight_l2 is not None:
        options["weight_l2"] = weight_l2
    module = AdversarialTraining(
        build_generator(settings, start).to(memory_format=torch.channels_last),
        PatchDiscriminator(),
        settings.budget,
        make_refinement(device),
        **options,
    )
    return _trained(module, settings, output, device)


def _trained(module: Any, settings: RunSettings, output: Path, device: Any) -> Path:
    """Fit a generator to prefilled slices and write its averaged weights."""
    fit(module, _prefilled_stream(settings), output, settings, device)
    weights = output / "weights.pt"
    save_weights(weights, generator=averaged(module, "generator"))
    return weights


def validate_generator(settings: RunSettings, weights: Path, output: Path) -> dict[str, Any]:
    """Score a generator on the prefilled validation slices and write the table."""
    cache = PrefilledCache(Path(settings.prefilled_validation))
    refinement = Refinement(NufftRadon(SIZE, VIEWS, BINS).fbp)
    rows = score(cache, build_generator(settings, weights), refinement)
    table = {"summary": summary(rows), "slices": rows}
    output.mkdir(parents=True, exist_ok=True)
    (output / "validation.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    return table["summary"]
