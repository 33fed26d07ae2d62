"""Train, score and export the metal network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from spinemar_training.lightning.metal import MetalTraining
from spinemar_training.lightning.schedule import Budget
from spinemar_training.metal.cases import MetalCase, load_case
from spinemar_training.metal.crops import CropStream
from spinemar_training.metal.encoding import encode
from spinemar_training.networks.metal import MetalNetwork
from spinemar_training.run_settings import RunOptions, RunSettings
from spinemar_training.runs.running import averaged, fit, save_weights, seed_everything

SCALES = {"12-bit": (-1024.0, 3071.0), "extended": (-10240.0, 30710.0)}


def build_metal(weights: Path | None = None) -> MetalNetwork:
    """Build the metal network, from weights where given."""
    network = MetalNetwork()
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True)["metal"])
    return network


def train_metal(
    cases: Path,
    output: Path,
    *,
    start: Path | None = None,
    seconds: float = 900.0,
    steps: int = 20000,
    learning_rate: float = 6e-4,
    batch_size: int = 8,
    ema_decay: float = 0.995,
    seed: int = 1,
) -> Path:
    """Train on a folder of cases; returns the file of averaged weights."""
    seed_everything(seed)
    budget = Budget(
        steps, seconds, learning_rate, warmup_steps=min(200, steps // 10), ema_decay=ema_decay
    )
    network = build_metal(start).to(memory_format=torch.channels_last)
    module = MetalTraining(network, budget)
    stream = CropStream(sorted(cases.glob("*.npz")), batch_size, seed)
    settings = RunSettings(seed=seed, budget=budget, options=RunOptions(log_every=20, minutes=2.0))
    fit(module, stream, output, settings, "cpu")
    weights = output / "weights.pt"
    save_weights(weights, metal=averaged(module, "network"))
    return weights


def whole_slice(
    network: MetalNetwork, case: MetalCase, scale: tuple[float, float]
) -> NDArray[np.float32]:
    """Run on the middle slice of a case, (rows, columns) of fractions."""
    hu = torch.from_numpy(case.hu).clamp(*scale).round()[None]
    multiple = network.unet.multiple
    pad = [(-n) % multiple for n in hu.shape[-2:]]
    padded = torch.nn.functional.pad(hu, (0, pad[1], 0, pad[0]), value=-1000.0)
    with torch.no_grad():
        seen = encode(padded, torch.tensor([case.pixel_mm]), torch.tensor([scale[1]]))
        found: NDArray[np.float32] = network(seen)[0, 0].numpy()
    return found[: hu.shape[-2], : hu.shape[-1]]


def dice(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 1 where both are empty."""
    total = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / total if total else 1.0


def _score_metal(weights: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """Dice of the network's and of the generous mask on cases, one row a case and scale."""
    network = build_metal(weights).eval()
    rows: list[dict[str, Any]] = []
    for path in files:
        case = load_case(path)
        true = case.fraction[1] > 0.5
        for name, scale in SCALES.items():
            share = whole_slice(network, case, scale)
            generous = np.clip(case.hu[1], *scale) >= MASK_THRESHOLD_HU
            rows.append(
                {
                    "case": path.stem,
                    "materials": case.materials,
                    "pixel_mm": case.pixel_mm,
                    "scale": name,
                    "true_px": int(true.sum()),
                    "dice": dice(share > 0.5, true),
                    "dice_generous": dice(generous, true),
                    "area_ratio": float((share > 0.5).sum() / max(1, true.sum())),
                }
            )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Mean Dice by scale and materials, as Markdown."""
    lines = [
        "| scale | metal | cases | Dice | Dice above 2500 HU | area |",
        "|---|---|---|---|---|---|",
    ]
    groups = sorted(
        {(r["scale"], "316L" if "316L" in r["materials"] else r["materials"]) for r in rows}
    )
    for scale, metal in groups:
        mine = [
            r
            for r in rows
            if r["scale"] == scale
            and ("316L" if "316L" in r["materials"] else r["materials"]) == metal
        ]
        means = [
            float(np.mean([r[k] for r in mine])) for k in ("dice", "dice_generous", "area_ratio")
        ]
        lines.append(
            f"| {scale} | {metal} | {len(mine)} "
            f"| {means[0]:.3f} | {means[1]:.3f} | {means[2]:.2f} |"
        )
    return "\n".join(lines) + "\n"


def write_scores(weights: Path, cases: Path, output: Path) -> str:
    """Score weights on a folder of cases; write metal.json and return the table."""
    rows = _score_metal(weights, sorted(cases.glob("*.npz")))
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "metal.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return table(rows)
