"""Train the prior on stacks, and score pictures by what they become."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spinemar.base.atomic_files import atomic_path
from spinemar_training.correction.scores import masked_rmse
from spinemar_training.lightning.reprojected import LostRays, ReprojectedTraining, picture_of
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.precision import has_bf16
from spinemar_training.reprojected.samples import SampleStream, read_sample, slices_of
from spinemar_training.run_settings import RunOptions, RunSettings
from spinemar_training.runs.running import (
    averaged,
    build_prior,
    fit,
    save_weights,
    seed_everything,
)


def train_reprojected(
    stacks: Path,
    output: Path,
    start: Path,
    *,
    seconds: float = 3600.0,
    steps: int = 60000,
    learning_rate: float = 2e-4,
    batch_size: int = 2,
    ema_decay: float = 0.99,
    processes: int = 1,
    seed: int = 1,
) -> Path:
    """Train on a folder of stacks; returns the file of averaged weights.

    Parameters
    ----------
    stacks, output : Path
        Folders.
    start : Path
        Weights of a prior that has learned from pictures; through rays alone it learns slowly.
    seconds, steps, learning_rate, batch_size, ema_decay, seed
        See `Budget`; a batch is of slices.
    processes : int
        Each takes a batch a step.
    """
    seed_everything(seed)
    budget = Budget(
        steps, seconds, learning_rate, warmup_steps=min(100, steps // 10), ema_decay=ema_decay
    )
    options = RunOptions(log_every=10, minutes=3.0, processes=processes)
    settings = RunSettings(seed=seed, budget=budget, options=options)
    network = build_prior(settings, start).to(memory_format=torch.channels_last)
    module = ReprojectedTraining(network, budget)
    stream = SampleStream(sorted(stacks.glob("*.npz")), batch_size, seed)
    fit(module, stream, output, settings, "cpu")
    weights = output / "weights.pt"
    save_weights(weights, prior=averaged(module, "network"))
    return weights


def score_stacks(
    weights: Path, files: Sequence[Path], every: int = 1
) -> list[dict[str, float | str]]:
    """Score corrected slices of stacks, a row each: HU in the body, near metal, mean of cortex.

    Parameters
    ----------
    weights : Path
    files : sequence of Path
        Stacks.
    every : int
        Take every so many slices of each.
    """
    network = build_prior(RunSettings(), weights).eval().to(memory_format=torch.channels_last)
    lost_rays = LostRays()
    rows: list[dict[str, float | str]] = []
    for path in files:
        for k in slices_of(path)[::every]:
            sample = read_sample(path, k)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
                picture = picture_of(network, sample)
            with torch.no_grad():
                error = lost_rays.error_hu(picture, sample)
            before = sample.input_hu - sample.truth_hu
            made = {"": error, "floor ": sample.floor_hu, "input ": before}
            row: dict[str, float | str] = {
                "slice": f"{path.stem}-{k}",
                "materials": "+".join(sample.facts["materials"]),
            }
            for name, one in made.items():
                for region, weight in (("hu", sample.scored), ("near hu", sample.near)):
                    found = masked_rmse(one[None], torch.zeros_like(one[None]), weight[None])
                    row[name + region] = float(found)
            cortex = (sample.near > 0) & (sample.truth_hu > 500) & (sample.truth_hu < 1500)
            row["cortex hu"] = float(error[cortex].mean()) if cortex.any() else float("nan")
            rows.append(row)
    return rows


def write_scores(weights: Path, stacks: Path, output: Path) -> str:
    """Score weights on a folder of stacks; write corrected.json and return the table."""
    rows = score_stacks(weights, sorted(stacks.glob("*.npz")))
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "corrected.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return table(rows)


def table(rows: Sequence[dict[str, float | str]]) -> str:
    """Return means over slices by metal, as Markdown."""
    lines = [
        "| metal | slices | input, near metal | perfect picture | prior | cortex |",
        "|---|---|---|---|---|---|",
    ]
    for metal in ("", "316L", "CoCrMo", "Ti-6Al-4V"):
        mine = [row for row in rows if _heaviest(str(row["materials"])) == metal or not metal]
        if mine:
            pairs = [
                f"{_mean(mine, name + 'hu'):.1f} / {_mean(mine, name + 'near hu'):.1f}"
                for name in ("input ", "floor ", "")
            ]
            cells = [metal or "all", str(len(mine)), *pairs, f"{_mean(mine, 'cortex hu'):+.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _heaviest(materials: str) -> str:
    return next((m for m in ("316L", "CoCrMo", "Ti-6Al-4V") if m in materials), materials)


def _mean(rows: Sequence[dict[str, float | str]], name: str) -> float:
    return float(np.nanmean([float(row[name]) for row in rows]))
