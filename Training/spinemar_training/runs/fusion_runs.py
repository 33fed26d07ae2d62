"""Train and score the network that fuses the earlier CT with the prior's picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from spinemar.mar.earlier.candidates import METAL
from spinemar_training.data.lessons import LessonStream, as_lessons, read_lessons
from spinemar_training.lightning.fusion import FusionTraining, fused, near
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.fusion import FusionNetwork
from spinemar_training.run_settings import RunOptions, RunSettings
from spinemar_training.runs.running import averaged, fit, save_weights, seed_everything


def build_fusion(weights: Path | None = None) -> FusionNetwork:
    """Build the fusion network, from weights where given."""
    network = FusionNetwork()
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True)["fusion"])
    return network


def train_fusion(
    lessons: Sequence[Path],
    output: Path,
    *,
    start: Path | None = None,
    seconds: float = 1200.0,
    steps: int = 20000,
    learning_rate: float = 6e-4,
    batch_size: int = 4,
    seed: int = 1,
) -> Path:
    """Train on files of lessons; returns the file of averaged weights."""
    seed_everything(seed)
    budget = Budget(steps, seconds, learning_rate, warmup_steps=min(100, steps // 10))
    module = FusionTraining(build_fusion(start).to(memory_format=torch.channels_last), budget)
    stream = LessonStream(sorted(lessons), batch_size, seed)
    settings = RunSettings(seed=seed, budget=budget, options=RunOptions(log_every=20, minutes=2.0))
    fit(module, stream, output, settings, "cpu")
    weights = output / "weights.pt"
    save_weights(weights, fusion=averaged(module, "network"))
    return weights


def picture_errors(weights: Path, lessons: Sequence[Path]) -> dict[str, float]:
    """Root mean square error of pictures within 20 mm of metal, HU: ground, all of it, fused."""
    network = build_fusion(weights).eval()
    squares = dict.fromkeys(("ground", "earlier", "fused"), 0.0)
    count = 0
    for one in read_lessons(sorted(lessons)):
        batch = as_lessons(torch.from_numpy(one).float()[None])
        with torch.no_grad():
            picture = fused(network(batch.features), batch)
        scored = near(batch) & (batch.features[:, METAL] < 0.5)
        for name, made in (
            ("ground", batch.ground),
            ("earlier", batch.ground + batch.coarse + batch.fine),
            ("fused", picture),
        ):
            squares[name] += float(((made - batch.truth)[scored] ** 2).sum())
        count += int(scored.sum())
    return {name: (total / max(1, count)) ** 0.5 for name, total in squares.items()}
