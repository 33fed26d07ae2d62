"""The generator behind a frozen prior: batches, losses, both stages, kills and resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spinemar_training.correction.refinement import Refinement, refine, score, summary
from spinemar_training.data.prefilled import (
    PatchStream,
    PrefilledCache,
    PrefilledSlice,
    PrefilledStream,
    collate,
    mirrored,
)
from spinemar_training.lightning.adversarial import AdversarialTraining
from spinemar_training.lightning.schedule import Budget
from spinemar_training.lightning.sinogram import SinogramTraining
from spinemar_training.networks.discriminator import PatchDiscriminator
from spinemar_training.networks.generator import PAD_VIEWS, SinogramGenerator
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.run_settings import RunOptions, RunSettings
from spinemar_training.runs.running import fit, seed_everything

from spinemar.errors import InputError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import difference_to_hu, hu_to_mu
from Testing.training.cut_stream import CutStream, KilledError

pytestmark = pytest.mark.training
SIZE, VIEWS, BINS = 64, 48, 96
PATCH = (24, 64)


def _slice(seed: int) -> PrefilledSlice:
    """A disc with a rod; the "prior" is wrong by a smooth wave along the trace."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    truth = np.where(x**2 + y**2 < 28**2, 40.0, -1000.0).astype(np.float32)
    metal = (x - rng.uniform(-9, 9)) ** 2 + (y - rng.uniform(-9, 9)) ** 2 < 6
    radon = RadonTransform((SIZE, SIZE), (1.0, 1.0), SinogramGeometry(VIEWS, BINS, 1.0))
    target = radon.forward(hu_to_mu(truth))
    trace = radon.forward(metal.astype(np.float32)) > 0.5
    measured = target + 0.5 * trace
    filled = np.where(trace, target + 0.06, target)
    prior_hu = truth + difference_to_hu(radon.fbp(filled - target))
    three = [np.repeat(a[None], 3, axis=0) for a in (filled, measured, trace)]
    near = ~metal & ((x**2 + y**2) < 20**2)
    return PrefilledSlice(
        *three, target, truth + 300 * metal, prior_hu, truth, metal, ~metal, near, 1.0,
        {"case": str(seed), "metal": "316L"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prefilled")
    for seed in range(6):
        _slice(seed).save(path / f"{seed}.npz")
    return path


@pytest.fixture(scope="module")
def refinement() -> Refinement:
    return Refinement(NufftRadon(SIZE, VIEWS, BINS).fbp, bins=BINS)


def _generator(seed: int = 1) -> SinogramGenerator:
    seed_everything(seed)
    return SinogramGenerator((8, 12), (1, 1), sees_measured=True)


def test_a_slice_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    one = _slice(3)
    one.save(tmp_path / "one.npz")
    back = PrefilledCache(tmp_path)[0]
    for field in dataclasses.fields(PrefilledSlice):
        ours, theirs = getattr(one, field.name), getattr(back, field.name)
        if field.name.endswith("_hu"):
            assert np.abs(ours - theirs).max() <= 0.5
        elif field.name in ("filled", "measured", "target"):
            assert np.abs(ours - theirs).max() <= 0.5 / 1024
        elif isinstance(ours, np.ndarray):
            assert np.array_equal(ours, theirs)
        else:
            assert ours == theirs
    with pytest.raises(InputError, match="no prefilled slices"):
        PrefilledCache(tmp_path / "nothing")


@pytest.mark.parametrize("rows", [True, False])
def test_a_mirrored_slice_is_the_projection_of_its_mirrored_image(rows: bool) -> None:
    radon = RadonTransform((SIZE, SIZE), (1.0, 1.0), SinogramGeometry(VIEWS, BINS, 1.0))
    turned = mirrored(_slice(2), rows=rows)
    np.testing.assert_allclose(turned.target, radon.forward(hu_to_mu(turned.truth_hu)), atol=2e-4)


def test_patches_go_on_beyond_half_a_turn_and_hold_the_trace(folder: Path) -> None:
    stream = PatchStream(folder, 6, 7, PATCH, PAD_VIEWS)
    for number in range(4):
        batch = stream.batch(number)
        assert batch.filled.shape == (6, 3, PATCH[0] + 2 * PAD_VIEWS, PATCH[1])
        assert batch.target.shape == (6, 1, *PATCH)
        inner = batch.trace[:, 1, PAD_VIEWS:-PAD_VIEWS]
        assert (inner.sum((1, 2)) > 0).all()
        outside = inner == 0
        assert torch.equal(
            batch.target[:, 0][outside], batch.filled[:, 1, PAD_VIEWS:-PAD_VIEWS][outside]
        )


def test_the_generator_changes_the_trace_alone(folder: Path, refinement: Refinement) -> None:
    generator = _generator()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    batch = PrefilledStream(folder, 2, 1).batch(0)
    inpainted = refine(generator, batch).detach()
    trace = batch.trace[:, 1] > 0.5
    assert torch.equal(inpainted[~trace], batch.filled[:, 1][~trace])
    assert not torch.equal(inpainted[trace], batch.filled[:, 1][trace])
    untouched = refinement.image(batch, batch.filled[:, 1])
    assert torch.equal(untouched, batch.prior_hu)


def _settings(steps: int, **options: Any) -> RunSettings:
    budget = Budget(max_steps=steps, learning_rate=5e-3, warmup_steps=2, ema_decay=0.5)
    return RunSettings(
        budget=budget, options=RunOptions(log_every=1, precision="32-true", **options)
    )


@pytest.mark.slow
@pytest.mark.parametrize("patches", [True, False])
def test_training_mends_what_the_prior_left(
    folder: Path, refinement: Refinement, tmp_path: Path, patches: bool
) -> None:
    settings = _settings(60)
    module = SinogramTraining(_generator(), settings.budget, refinement)
    stream = (
        PatchStream(folder, 6, 7, PATCH, PAD_VIEWS) if patches else PrefilledStream(folder, 3, 7)
    )
    before = summary(score(PrefilledCache(folder), module.generator, refinement))
    assert before["ratio_hu"] == pytest.approx(1, abs=1e-3)  # it starts by changing nothing
    fit(module, stream, tmp_path, settings, "cpu")
    after = summary(score(PrefilledCache(folder), module.generator, refinement))
    assert after["ratio_hu"] < 0.6
    assert (tmp_path / "curves" / "version_0" / "metrics.csv").is_file()
    assert list((tmp_path / "tensorboard").rglob("events.out*"))


def _adversarial(settings: RunSettings, **options: Any) -> AdversarialTraining:
    generator = _generator()
    return AdversarialTraining(
        generator, PatchDiscriminator(8, 2), settings.budget, weight_l2=100.0, **options
    )


@pytest.mark.slow
def test_a_killed_adversarial_run_resumes_exactly(folder: Path, tmp_path: Path) -> None:
    settings = _settings(5, checkpoint_steps=1)

    def stream() -> PatchStream:
        return PatchStream(folder, 2, 7, PATCH, PAD_VIEWS)

    whole = _adversarial(settings)
    fit(whole, stream(), tmp_path / "whole", settings, "cpu")
    with pytest.raises(KilledError):
        fit(_adversarial(settings), CutStream(stream(), 3), tmp_path / "cut", settings, "cpu")
    resumed = _adversarial(settings)
    seed_everything(99)  # a new process starts with another random state
    fit(resumed, stream(), tmp_path / "cut", settings, "cpu")
    assert resumed.steps_taken == whole.steps_taken == 5
    for ours, theirs in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_the_critic_comes_first_and_the_encoder_last(folder: Path, tmp_path: Path) -> None:
    """Watch which weights move: critic alone, then the decoder too, then all."""
    settings = _settings(6)
    module = _adversarial(settings, warm_share=0.3, frozen_share=0.6)
    moved: list[set[str]] = []
    parts = {
        "critic": module.discriminator.network,
        "encoder": module.generator.unet.encoders,
        "head": module.generator.unet.head,
    }
    known = {name: _flat(part) for name, part in parts.items()}

    def watch() -> None:
        found = {name: _flat(part) for name, part in parts.items()}
        moved.append({name for name in parts if not torch.equal(found[name], known[name])})
        known.update(found)

    step_taken = module.step_taken
    module.step_taken = lambda: (step_taken(), watch())  # type: ignore[assignment, method-assign]
    fit(module, PatchStream(folder, 2, 7, PATCH, PAD_VIEWS), tmp_path, settings, "cpu")
    assert moved[:2] == [{"critic"}] * 2
    assert moved[2:4] == [{"critic", "head"}] * 2
    assert moved[-1] == {"critic", "encoder", "head"}


def _flat(part: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in part.parameters()])


def test_collating_keeps_flipped_views_together(folder: Path) -> None:
    batch = collate(PrefilledCache(folder)[:2], context=4, multiple=8)
    side = (BINS - batch.filled.shape[-1]) // 2
    whole = PrefilledCache(folder)[0]
    cut = whole.filled[..., side : BINS - side]
    assert batch.filled.shape[-1] % 8 == 0
    assert torch.equal(batch.filled[0], torch.from_numpy(cut))
    assert not whole.trace[..., :side].any()
