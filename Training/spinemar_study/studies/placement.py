"""The founding claim: training on realistic against random against mixed placement.

Small priors of one architecture and budget, several seeds each. The arms hold equally many pairs
of the same training patients from one store; what differs is where the metal was. The crops are
made once and kept, so that a training costs little more than its own steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spinemar_training.lightning.prior import NEAR_MM, PriorTraining
from spinemar_training.lightning.schedule import Budget
from spinemar_training.networks.features import (
    HIGH_HU,
    LOW_HU,
    PIXEL_MM,
    SCALE_HU,
    apply_matrices,
    input_of,
    metal_of,
    near_metal,
    nmar_of,
    resampling_matrix,
    stack,
    truth_of,
)
from spinemar_training.networks.precision import has_bf16
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.runs.running import averaged, save_weights
from spinemar_training.simulate.slabs import CHANNELS
from torch import Tensor

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.storage.layout import records
from spinemar.dataset.storage.reader import PairStore
from spinemar_study.studies.placement_equal import Arms, equal_metal_arms
from spinemar_study.study_settings import PlacementSettings

ARMS = ("realistic", "random", "mixed")
_KEPT_PX = 352
_JITTER_MM = 30.0
_ALONE_SHARE = 0.3
_CHECKPOINT_STEPS = 50


@dataclass(frozen=True)
class Crops:
    """Pairs as the network sees them, float16 (n, channels, side, side), and the middle alone.

    The last four channels are truth, input, NMAR and metal; `alone` holds the features with the
    middle slice in place of its neighbours, as short volumes show it.
    """

    together: Tensor
    alone: Tensor


def training_store(path: Path) -> PairStore:
    """Open a store for its training pairs; of one that is still growing, the complete blocks."""
    store = PairStore(path, CHANNELS)
    training = {item.name for item in store.spec.inputs if item.split == "training"}
    rows = [row for record in records(path) for row in record.rows]
    store.rows = [row for row in rows if row["ct"] in training and row["domain"] == "post"]
    return store


def positions_by_placement(store: PairStore) -> dict[str, list[int]]:
    """Return the positions of realistic and of random pairs in a store."""
    return {
        kind: [n for n, row in enumerate(store.rows) if row["placement"] == kind]
        for kind in ("realistic", "random")
    }


def choose_pairs(store: PairStore, arm: str, count: int) -> list[int]:
    """Choose positions of an arm's pairs: the first `count` of its placement, or half of each."""
    by = positions_by_placement(store)
    if arm == "mixed":
        chosen = by["realistic"][: count // 2] + by["random"][: count - count // 2]
    else:
        chosen = by[arm][:count]
    if len(chosen) != count:
        raise ValueError(f"The store has {len(chosen)} {arm} training pairs, not {count}.")
    return chosen


def choose_arms(store: PairStore, settings: PlacementSettings, work: Path) -> Arms:
    """Choose the pairs of every arm as the settings say: as drawn, or with equal metal."""
    if settings.metal == "equal":
        return equal_metal_arms(store, positions_by_placement(store), settings.pairs, work)
    return {arm: choose_pairs(store, arm, settings.pairs) for arm in ARMS}


def crops_of(store: PairStore, positions: Sequence[int], kept: Path) -> Crops:
    """Resample pairs about their metal, or read what an earlier run kept."""
    together, alone = [], []
    for position in positions:
        path = kept / f"{store.rows[position]['index']:06d}.pt"
        if not path.exists():
            pair = store[position]
            images = np.stack([pair[name] for name in CHANNELS], axis=1).astype(np.float32)
            slab = torch.from_numpy(np.clip(images, -9000, 30000))[None]
            pixel = torch.tensor([float(pair["pixel_mm"])])
            centre = _metal_centre(metal_of(slab), pixel)
            whole = [
                _resample(window, pixel, centre)[0].half()
                for window in (slab, slab[:, 1:2].expand(-1, 3, -1, -1, -1))
            ]
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                torch.save(whole, temporary)
        first, second = torch.load(path, weights_only=True)
        together.append(first)
        alone.append(second[:-4])
    return Crops(torch.stack(together), torch.stack(alone))


def _metal_centre(metal: Tensor, pixel_mm: Tensor) -> tuple[Tensor, Tensor]:
    """Centre of the metal, mm from the image's centre, (rows, columns)."""
    weight = metal.float() + 1e-6
    axis = torch.arange(metal.shape[1]) - (metal.shape[1] - 1) / 2
    total = weight.sum((1, 2))
    rows = (weight.sum(2) * axis).sum(1) / total * pixel_mm
    columns = (weight.sum(1) * axis).sum(1) / total * pixel_mm
    slack = ((metal.shape[1] * pixel_mm - _KEPT_PX * PIXEL_MM) / 2).clamp(min=0)
    return torch.clamp(rows, -slack, slack), torch.clamp(columns, -slack, slack)


def _resample(window: Tensor, pixel_mm: Tensor, centre: tuple[Tensor, Tensor]) -> Tensor:
    """Features, then truth, input and NMAR (scaled, above air), then metal."""
    new = torch.full_like(pixel_mm, PIXEL_MM)
    size = window.shape[-1]
    rows = resampling_matrix(size, pixel_mm, _KEPT_PX, new, centre[0])
    columns = resampling_matrix(size, pixel_mm, _KEPT_PX, new, centre[1])
    images = [truth_of(window), input_of(window).clamp(LOW_HU, HIGH_HU), nmar_of(window)]
    scaled = [((i.clamp(-3000, 4000) + 1000) / SCALE_HU)[:, None] for i in images]
    everything = torch.cat([stack(window), *scaled, metal_of(window)[:, None].float()], 1)
    return apply_matrices(everything, rows, columns)


def draw_batch(
    crops: Crops, size: int, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw crops near the metal, mirrored half of the time: features, images, weight."""
    slack = _KEPT_PX - side
    drawn = []
    for n in rng.integers(len(crops.together), size=size):
        shift = rng.normal(scale=_JITTER_MM / PIXEL_MM, size=2)
        j, i = np.clip(np.round(slack / 2 + shift), 0, slack).astype(int)
        one = crops.together[n, :, j : j + side, i : i + side].float()
        if rng.random() < _ALONE_SHARE:
            one[:-4] = crops.alone[n, :, j : j + side, i : i + side].float()
        drawn.append(one.flip(-1) if rng.random() < 0.5 else one)
    batch = torch.stack(drawn)
    near = near_metal(batch[:, -1] > 0.1, round(NEAR_MM / PIXEL_MM))
    return batch[:, :-4], batch[:, -4:-1], 1 + 2.0 * near[:, None]


def train_one(settings: PlacementSettings, crops: Crops, seed: int, kept: Path) -> dict[str, Any]:
    """Train one small prior, going on from its checkpoint; writes `weights.pt` in `kept`."""
    kept.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    budget = Budget(
        max_steps=settings.steps,
        learning_rate=settings.learning_rate,
        warmup_steps=max(1, settings.steps // 20),
        ema_decay=0.99,
    )
    network = PriorNetwork(settings.widths, settings.blocks)
    module = PriorTraining(network, budget, settings.crop_px)
    module.network.to(memory_format=torch.channels_last)
    optimizer = module.configure_optimizers()
    spent, checkpoint = 0.0, kept / "last.ckpt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        module.steps_taken, spent = state["steps"], state["cpu_seconds"]
    while module.steps_taken < settings.steps:
        started = time.process_time()
        _step(module, optimizer, crops, settings, seed)
        spent += time.process_time() - started
        if module.steps_taken % _CHECKPOINT_STEPS == 0 or module.steps_taken == settings.steps:
            state = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
            with atomic_path(checkpoint) as temporary:
                torch.save({**state, "steps": module.steps_taken, "cpu_seconds": spent}, temporary)
    with atomic_path(kept / "weights.pt") as temporary:
        save_weights(temporary, prior=averaged(module, "network"))
    return {"seed": seed, "steps": module.steps_taken, "cpu_seconds": spent}


def _step(
    module: PriorTraining,
    optimizer: torch.optim.Optimizer,
    crops: Crops,
    settings: PlacementSettings,
    seed: int,
) -> None:
    """One step; its draws depend on the seed and its number alone, so a resumed run is the same."""
    rng = np.random.default_rng([seed, module.steps_taken])
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * module.learning_rate_scale()
    features, images, weight = draw_batch(crops, settings.batch_size, settings.crop_px, rng)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16("cpu")):
        loss = module.weighted_error(features, images, weight)
    optimizer.zero_grad()
    loss.backward()
    module.on_before_optimizer_step(optimizer)
    optimizer.step()
    module.step_taken()


def train_arms(
    settings: PlacementSettings, store: PairStore, arms: Arms, work: Path
) -> list[dict[str, Any]]:
    """Train every arm and seed that is not trained yet; return what each took."""
    runs = []
    for seed in settings.seeds:
        for arm, positions in arms.items():
            kept = work / f"{arm}-{seed}"
            facts = kept / "run.json"
            if not facts.exists():
                crops = crops_of(store, positions, work / "crops")
                run = {"arm": arm, **train_one(settings, crops, int(seed), kept)}
                with atomic_path(facts) as temporary:
                    temporary.write_text(json.dumps(run), encoding="utf-8")
                print(json.dumps(run), flush=True)
            runs.append(json.loads(facts.read_text("utf-8")))
    return runs
