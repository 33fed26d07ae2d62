"""What the core runs is what was trained: networks exported, run by both, results compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from spinemar_training.correction.pipeline import correct_slabs
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.run_settings import GeneratorSettings, RunSettings
from spinemar_training.runs.running import save_weights
from spinemar_training.shipping.export import export_model

from spinemar.mar.inpainters.learned import make_learned_inpainter
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.pipeline.slab import Slab
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.tomography.radon import RadonTransform

pytestmark = pytest.mark.training
SIZE, PIXEL = 512, 0.7
SMALL = GeneratorSettings((8, 16), (1, 1))
FACTS = {"version": "0", "licence": "test"}


def _restless(network: torch.nn.Module) -> torch.nn.Module:
    """Give a zero-initialised head something to say."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network


@pytest.fixture(scope="module")
def settings() -> RunSettings:
    return RunSettings(prior=SMALL, generator=SMALL)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, settings: RunSettings) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(
        path,
        prior=_restless(PriorNetwork(SMALL.widths, SMALL.blocks)),
        generator=_restless(SinogramGenerator(SMALL.widths, SMALL.blocks)),
    )
    return path


@pytest.fixture(scope="module")
def slab() -> Slab:
    """Three slices of a body with two rods and the streaks of a crude beam."""
    radon = RadonTransform((SIZE, SIZE), (PIXEL, PIXEL))
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * PIXEL
    hu = np.full((3, SIZE, SIZE), -1000.0, np.float32)
    hu[:, (x / 150) ** 2 + (y / 105) ** 2 < 1] = 50
    hu[:, (x / 25) ** 2 + ((y - 40) / 18) ** 2 < 1] = 400
    metal = np.zeros(hu.shape, bool)
    for k in range(3):
        metal[k] = ((x - 18 - k) ** 2 + (y - 62) ** 2 < 16) | ((x + 18) ** 2 + (y - 62) ** 2 < 16)
    hu[metal] = 3071
    lengths = radon.forward(metal.astype(np.float32))
    streaks = radon.fbp(-0.0004 * lengths**2)
    return Slab(
        SliceCache(hu + streaks * 52000 * ~metal, metal, radon), [0, 0, 1, 2, 2], slice(1, 4)
    )


def _window(slab: Slab) -> torch.Tensor:
    channels = [slab.hu, slab.nmar_hu, slab.li_hu, slab.metal, slab.saturated, slab.hu]
    return torch.from_numpy(np.stack([np.asarray(c, np.float32) for c in channels], 1))[None, 1:4]


def test_core_and_training_fill_the_same_rays(
    tmp_path: Path, settings: RunSettings, weights: Path, slab: Slab
) -> None:
    prior = PriorNetwork(SMALL.widths, SMALL.blocks)
    stored = torch.load(weights, weights_only=True)["prior"]
    prior.load_state_dict(stored)
    only = tmp_path / "prior.pt"
    torch.save({"prior": stored}, only)
    manifest = export_model(settings, only, tmp_path / "model", FACTS, "tiny")
    ours = make_learned_inpainter(load_manifest(manifest), "cpu").inpaint(slab)
    radon = TorchRadon(SIZE, 720, 736)
    with torch.no_grad():
        _, _, before, theirs = correct_slabs(
            _window(slab), torch.tensor([PIXEL]), prior.eval(), None, radon, (448, 448)
        )
    trace = slab.core_only.lost_ray_trace
    assert np.mean(trace != before.trace.numpy()) < 2e-4
    assert np.abs(ours - slab.core_only.sinogram)[trace].mean() > 0.05, "nothing was inpainted"
    both = trace & before.trace.numpy()
    assert np.sqrt(np.mean((ours - theirs.numpy())[both] ** 2)) < 5e-3


def test_generator_changes_its_rays_and_no_others(
    tmp_path: Path, settings: RunSettings, weights: Path, slab: Slab
) -> None:
    manifest = load_manifest(export_model(settings, weights, tmp_path, FACTS, "tiny"))
    inpainter = make_learned_inpainter(manifest, "cpu")
    filled = inpainter.inpaint(slab)
    measured, trace = slab.core_only.sinogram, slab.core_only.lost_ray_trace
    assert np.array_equal(filled[~trace], measured[~trace])
    facts = inpainter.facts()
    assert facts.provider == "CPUExecutionProvider"
    assert facts.sha256 == manifest.sha256
