"""Runs: streams, trainer, checkpoints, curves and the averaged weights that come out."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from spinemar_training.correction.scores import summarise
from spinemar_training.data.slabs import StoredSlabs
from spinemar_training.lightning.joint import JointTraining
from spinemar_training.lightning.prior import PriorTraining
from spinemar_training.lightning.schedule import ScheduledModule
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.precision import has_bf16
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.projectors.projector import Projector
from spinemar_training.projectors.radon import TorchRadon
from spinemar_training.run_settings import RunSettings
from spinemar_training.runs.validation import score
from spinemar_training.simulate.stream import Batch, SlabMaker, SlabStream, fixed_slabs

RESIDUAL_VIEWS = 360
_VALIDATION_SEED = 20260


def seed_everything(seed: int) -> None:
    """Seed every generator that training draws from."""
    import lightning

    lightning.seed_everything(seed, verbose=False)


def pick_device() -> str:
    """CUDA where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _residual_radon(settings: RunSettings, device: str) -> Projector:
    """Build the projector that the residual is computed with."""
    size = settings.slabs.size
    views = settings.options.residual_views or RESIDUAL_VIEWS
    bins = int(2 * round(size * 1.4375 / 2))
    if device == "cpu":
        return NufftRadon(size, views, bins, threads=torch.get_num_threads())
    return TorchRadon(size, views, bins, device=device)


def make_stream(settings: RunSettings, device: str) -> SlabStream | StoredSlabs:
    """Build the stream of training slabs: from a store where one is named, else simulated."""
    if settings.store:
        return StoredSlabs(Path(settings.store), settings.stream.batch_size, settings.seed)
    maker = SlabMaker([Path(p) for p in settings.patients], settings.slabs, settings.seed, device)
    return SlabStream(maker, seed=settings.seed + 1, **asdict(settings.stream))


def fit(
    module: ScheduledModule, stream: Any, output: Path, settings: RunSettings, device: str
) -> None:
    """Train, with a checkpoint every three minutes; resumes from the newest one."""
    output.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    newest = output / "last.ckpt"
    resumed = str(newest) if newest.exists() else None
    if resumed and hasattr(stream, "first"):
        stream.first = torch.load(resumed, weights_only=True)["steps_taken"]
    trainer = _trainer(module, output, settings, device)
    trainer.fit(module, DataLoader(stream, batch_size=None), ckpt_path=resumed, weights_only=True)
    # Processes that were forked trained their own copies: what they did stands in the checkpoint.
    reached = torch.load(newest, weights_only=True)
    facts = {
        "steps": reached["steps_taken"],
        "seconds": reached["training_seconds"],
        "processes": settings.options.processes,
        "slabs_made": getattr(stream, "made", None),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
    }
    print(json.dumps(facts), flush=True)
    (output / "run.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _trainer(module: ScheduledModule, output: Path, settings: RunSettings, device: str) -> Any:
    import lightning
    from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from lightning.pytorch.strategies import DDPStrategy

    every = settings.options.checkpoint_steps
    minutes = settings.options.minutes
    processes = settings.options.processes
    checkpoint = ModelCheckpoint(
        dirpath=output,
        save_last=True,
        save_top_k=1 if every else 0,
        every_n_train_steps=every,
        train_time_interval=None if every else timedelta(minutes=minutes),
    )
    last = LambdaCallback(
        on_train_end=lambda trainer, _: trainer.save_checkpoint(output / "last.ckpt")
    )
    loggers = [CSVLogger(output, name="curves"), TensorBoardLogger(output, name="tensorboard")]
    forked = DDPStrategy(process_group_backend="gloo", start_method="fork")
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=processes,
        num_nodes=settings.options.nodes,
        strategy="auto" if processes == 1 else ("ddp" if device == "cuda" else forked),
        max_steps=settings.budget.max_steps * (1 if module.automatic_optimization else 2),
        precision=settings.options.precision or ("bf16-mixed" if has_bf16(device) else "32-true"),
        logger=loggers,
        callbacks=[checkpoint, last],
        log_every_n_steps=settings.options.log_every,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def save_weights(path: Path, **networks: nn.Module) -> None:
    """Write networks' weights as one half-size-safe file (float32 tensors)."""
    torch.save({name: net.state_dict() for name, net in networks.items()}, path)


def averaged(module: ScheduledModule, name: str) -> nn.Module:
    """Return the averaged copy of a tracked network."""
    return module.averages[name].module


def build_prior(settings: RunSettings, weights: Path | None = None) -> PriorNetwork:
    """Build the prior network, from weights where given."""
    network = PriorNetwork(settings.prior.widths, settings.prior.blocks)
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True)["prior"])
    return network


def build_generator(settings: RunSettings, weights: Path | None = None) -> SinogramGenerator:
    """Build the generator, from weights where they hold one."""
    chosen = settings.generator
    network = SinogramGenerator(chosen.widths, chosen.blocks, chosen.sees_measured)
    if weights is not None:
        stored = torch.load(weights, weights_only=True)
        if "generator" in stored:
            network.load_state_dict(stored["generator"])
    return network


def train_prior(settings: RunSettings, output: Path, start: Path | None = None) -> Path:
    """Stage one: the prior. Returns the file of averaged weights."""
    seed_everything(settings.seed)
    device = pick_device()
    module = PriorTraining(build_prior(settings, start), settings.budget, settings.crop_px)
    fit(module, make_stream(settings, device), output, settings, device)
    weights = output / "weights.pt"
    save_weights(weights, prior=averaged(module, "network"))
    return weights


def train_joint(settings: RunSettings, output: Path, start: Path) -> Path:
    """Stage one, second half: prior and generator through the reconstruction."""
    seed_everything(settings.seed)
    device = pick_device()
    module = JointTraining(
        build_prior(settings, start).to(memory_format=torch.channels_last),
        build_generator(settings, start).to(memory_format=torch.channels_last),
        settings.budget,
        _residual_radon(settings, device),
        grid=settings.grid,
        widening_mm=settings.widening_mm,
        **settings.options.joint,
    )
    fit(module, make_stream(settings, device), output, settings, device)
    weights = output / "weights.pt"
    save_weights(weights, prior=averaged(module, "prior"), generator=averaged(module, "generator"))
    return weights


def _validation_slabs(settings: RunSettings, device: str) -> Batch:
    if settings.store:
        stored = StoredSlabs(
            Path(settings.store), 1, 0, split="validation", alone_share=0.0, mirror_share=0.0
        )
        count = min(settings.validation_slabs, len(stored.store))
        return stored.collect(list(range(count)), np.random.default_rng(0))
    patients = [Path(p) for p in settings.validation]
    maker = SlabMaker(patients, settings.slabs, _VALIDATION_SEED, device)
    return fixed_slabs(maker, settings.validation_slabs)


def validate(settings: RunSettings, weights: Path, output: Path) -> dict[str, Any]:
    """Score weights on validation slabs, simulated or of the store, and write the table."""
    device = pick_device()
    fixed = _validation_slabs(settings, device)
    prior = build_prior(settings, weights).to(device).eval()
    has_generator = "generator" in torch.load(weights, weights_only=True)
    generator = build_generator(settings, weights).to(device).eval() if has_generator else None
    scores = score(
        fixed,
        prior,
        generator,
        _residual_radon(settings, device),
        settings.grid,
        widening_mm=settings.widening_mm,
    )
    table = {region: summarise(values) for region, values in scores.items()}
    output.mkdir(parents=True, exist_ok=True)
    (output / "validation.json").write_text(json.dumps(table, indent=2), encoding="utf-8")
    return table
