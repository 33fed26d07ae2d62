"""Training runs end to end, in miniature: they learn, resume exactly, and run on two processes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from spinemar_training.data.numbered import NumberedStream
from spinemar_training.lightning.joint import JointTraining
from spinemar_training.lightning.prior import PriorTraining
from spinemar_training.lightning.schedule import Budget, ScheduledModule
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.run_settings import RunOptions, RunSettings
from spinemar_training.runs.running import fit, seed_everything
from spinemar_training.simulate.slabs import SlabSettings
from spinemar_training.simulate.stream import Batch, SlabMaker, fixed_slabs

from spinemar.errors import InputError
from Testing.training.cut_stream import CutStream, KilledError

pytestmark = [pytest.mark.training, pytest.mark.slow]
SLABS = SlabSettings(size=64, n_slices=3, z_samples=1, scan_views=96)


class SimulatedBatches(NumberedStream):
    """Each batch is simulated from its number."""

    def __init__(self, patient: Path) -> None:
        self.patient, self.first = patient, 0

    def batch(self, number: int) -> Batch:
        return fixed_slabs(SlabMaker([self.patient], SLABS, number, "cpu"), 2)


@pytest.fixture(scope="module")
def batches(patient_file: Path) -> SimulatedBatches:
    return SimulatedBatches(patient_file)


def _settings(steps: int, **options: Any) -> RunSettings:
    budget = Budget(max_steps=steps, learning_rate=3e-3, warmup_steps=2, ema_decay=0.5)
    return RunSettings(budget=budget, slabs=SLABS, options=RunOptions(log_every=1, **options))


def _module(settings: RunSettings) -> PriorTraining:
    seed_everything(7)
    return PriorTraining(PriorNetwork((8, 16), (1, 1)), settings.budget, crop_px=64)


def test_a_killed_run_resumes_exactly(batches: SimulatedBatches, tmp_path: Path) -> None:
    settings = _settings(4, checkpoint_steps=1)
    batches.first = 0
    whole = _module(settings)
    fit(whole, batches, tmp_path / "whole", settings, "cpu")
    with pytest.raises(KilledError):
        fit(_module(settings), CutStream(batches, 2), tmp_path / "cut", settings, "cpu")
    resumed = _module(settings)
    seed_everything(99)  # a new process starts with another random state
    fit(resumed, batches, tmp_path / "cut", settings, "cpu")
    assert resumed.steps_taken == whole.steps_taken == 4
    for ours, theirs in zip(
        whole.state_dict().values(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def _descend(
    module: ScheduledModule, batch: Batch, steps: int, logged: dict[str, float] | None = None
) -> list[float]:
    """Train on one batch; the loss must fall if gradients reach what they should."""
    kept = {} if logged is None else logged
    module.log = lambda name, value, **_: kept.update({name: float(value)})  # type: ignore[method-assign]
    optimizer = module.configure_optimizers()
    losses = []
    for step in range(steps):
        seed_everything(1)  # the same crops each time
        loss = module.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_the_prior_learns(batches: SimulatedBatches) -> None:
    losses = _descend(_module(_settings(60)), batches.batch(0), 60)
    assert losses[-1] < 0.9 * losses[0]


def test_generator_and_prior_learn_through_the_reconstruction(batches: SimulatedBatches) -> None:
    seed_everything(1)
    budget = Budget(max_steps=12, learning_rate=1e-3, warmup_steps=1)
    radon = TorchRadon(64, 40, 96)
    module = JointTraining(
        PriorNetwork((8, 16), (1, 1)),
        SinogramGenerator((8, 16), (1, 1)),
        budget,
        radon,
        grid=(192, 256),
    )
    losses = _descend(module, batches.batch(0), 8)
    assert min(losses[-3:]) < losses[0]


def test_joint_training_runs_on_the_cpu_transforms_and_mends_sharpness(
    batches: SimulatedBatches,
) -> None:
    seed_everything(1)
    budget = Budget(max_steps=12, learning_rate=1e-3, warmup_steps=1)
    module = JointTraining(
        PriorNetwork((8, 16), (1, 1)),
        SinogramGenerator((8, 16), (1, 1)),
        budget,
        NufftRadon(64, 40, 96),
        grid=None,
        sharpness_weight=0.3,
        widening_mm=0.8,
    )
    logged: dict[str, float] = {}
    losses = _descend(module, batches.batch(0), 8, logged)
    assert min(losses[-3:]) < losses[0]
    assert 0.2 < logged["joint/sharpness"] < 1.5


def test_two_processes_train_one_network(batches: SimulatedBatches, tmp_path: Path) -> None:
    settings = _settings(2, processes=2)
    module = _module(settings)
    start = {k: v.clone() for k, v in module.network.state_dict().items()}
    batches.first = 0
    fit(module, batches, tmp_path, settings, "cpu")
    stored = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    moved = [k for k, v in start.items() if not torch.equal(v, stored[f"network.{k}"])]
    assert moved, "two processes trained nothing"
    facts = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert facts["steps"] == 2
    assert torch.load(tmp_path / "last.ckpt", weights_only=False)["optimizer_states"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("budget: {max_stepps: 3}", "max_stepps"),
        ("seeds: 3", "seeds"),
        ("options: {log_evry: 3}", "log_evry"),
        ("options: {joint: {prior_rat: 0.3}}", "prior_rat"),
        ("options: {sinogram: {near_wait: 0.3}}", "near_wait"),
        ("options: {adversarial: {warmshare: 0.3}}", "warmshare"),
        ("slabs: {vews: 3}", "vews"),
        ("stream: {capacity: many}", "capacity"),
        ("options: {minutes: '2'}", "minutes"),
        ("generator: {widths: [1, 2], blocks: [1, 1], sees: true}", "sees"),
        ("budget: {learning_rate: 0.1}", "max_steps"),
    ],
)
def test_settings_refuse_what_they_do_not_know(tmp_path: Path, text: str, word: str) -> None:
    from spinemar_training.run_settings import load_settings

    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=word):
        load_settings(path)


@pytest.mark.parametrize("room", ["", "slabs", "stream", "budget", "prior", "generator", "options"])
def test_a_misspelt_setting_is_named_beside_the_nearest(tmp_path: Path, room: str) -> None:
    """Every setting of every room of a training's file."""
    from spinemar_training.run_settings import RunSettings, load_settings

    whole = RunSettings()
    for field in dataclasses.fields(getattr(whole, room) if room else whole):
        misspelt = field.name[:-1] + "_" + field.name[-1]
        path = tmp_path / "run.yaml"
        path.write_text(f"{room}: {{{misspelt}: 1}}" if room else f"{misspelt}: 1", "utf-8")
        with pytest.raises(InputError) as refused:
            load_settings(path)
        assert misspelt in refused.value.problem
        assert f"Did you mean '{field.name}'?" in refused.value.remedy


def test_shipped_configurations_load() -> None:
    from spinemar_training.run_settings import load_settings

    for path in (Path(__file__).parents[2] / "Training" / "configs").glob("*.yaml"):
        if path.stem.startswith("study-"):  # read by the studies
            continue
        settings = load_settings(path)
        assert dataclasses.is_dataclass(settings)
        assert settings.patients or settings.store or settings.prefilled
