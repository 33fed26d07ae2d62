"""The founding claim: training on realistic placement against random placement.

Small priors, same patients, budget and architecture, several seeds; what differs is where the
metal of the training slabs was. The slabs are made once and shared by the seeds.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spinemar_training.lightning.prior import PriorTraining
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.running import averaged, pick_device, save_weights
from spinemar_training.settings import RunSettings
from spinemar_training.stream import Batch, SlabMaker


def _pool(settings: RunSettings, share: float, count: int, device: str) -> Batch:
    slabs = dataclasses.replace(settings.slabs, realistic_share=share)
    files = [Path(p) for p in settings.patients]
    maker = SlabMaker(files, slabs, settings.seed, device)
    made = [maker.make() for _ in range(count)]
    return Batch(
        torch.stack([m.images for m in made]),
        torch.tensor([m.pixel_mm for m in made], device=device),
    )


def _batches(pools: list[Batch], size: int, rng: np.random.Generator) -> Batch:
    """Draw a batch, each slab from a pool drawn at random."""
    windows: list[Tensor] = []
    pixels: list[Tensor] = []
    for _ in range(size):
        pool = pools[int(rng.integers(len(pools)))]
        n = int(rng.integers(len(pool.slabs)))
        slices = pool.slabs.shape[1]
        centre = int(rng.integers(slices))
        reach = int(rng.random() > 0.3)
        picked = [min(max(centre + d * reach, 0), slices - 1) for d in (-1, 0, 1)]
        windows.append(pool.slabs[n, picked])
        pixels.append(pool.pixel_mm[n])
    return Batch(torch.stack(windows), torch.stack(pixels))


def _train(
    settings: RunSettings, pools: list[Batch], seed: int, steps: int, device: str
) -> PriorNetwork:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = PriorNetwork(settings.prior.widths, settings.prior.blocks)
    budget = Budget(
        max_steps=steps,
        learning_rate=settings.budget.learning_rate,
        warmup_steps=steps // 20,
        ema_decay=0.995,
    )
    module = PriorTraining(network, budget, settings.crop_px).to(device)
    module.network.to(memory_format=torch.channels_last)
    optimizer = module.configure_optimizers()
    module.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    for step in range(steps):
        scale = min(1.0, (step + 1) / budget.warmup_steps) * (
            0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps))
        )
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale
        batch = _batches(pools, settings.stream.batch_size, rng)
        with torch.autocast(device, torch.bfloat16):
            loss = module.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        module.on_before_optimizer_step(optimizer)
        optimizer.step()
        module.step_taken()
    return averaged(module, "network")  # type: ignore[return-value]


def train_arms(settings: RunSettings, output: Path) -> None:
    """Train every arm and seed; write `<arm>-<seed>.pt` and the facts of the run."""
    device = pick_device()
    output.mkdir(parents=True, exist_ok=True)
    count = int(settings.options["slabs"])
    steps = int(settings.options["steps"])
    started = time.monotonic()
    pools = {
        name: _pool(settings, share, count, device)
        for name, share in (("realistic", 1.0), ("random", 0.0))
    }
    made = time.monotonic() - started
    arms = {
        "realistic": [pools["realistic"]],
        "random": [pools["random"]],
        "mixed": [pools["realistic"], pools["random"]],
    }
    for name, chosen in arms.items():
        for seed in settings.options["seeds"]:
            network = _train(settings, chosen, int(seed), steps, device)
            save_weights(output / f"{name}-{seed}.pt", prior=network)
    facts = {
        "slabs_an_arm": count,
        "steps": steps,
        "seconds_making": made,
        "seconds_all": time.monotonic() - started,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }
    (output / "run.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    print(json.dumps(facts), flush=True)
