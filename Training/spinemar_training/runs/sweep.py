"""The conditional GAN at several lambdas, beside the generator it starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spinemar_training.run_settings import RunSettings
from spinemar_training.runs.curves import chart, read_curves
from spinemar_training.runs.generator_runs import (
    make_refinement,
    train_adversarial,
    validate_generator,
)
from spinemar_training.runs.running import build_generator

_CURVES = {"gan/d_real": "D on real", "gan/d_fake": "D on generated"}
_COLUMNS = (
    ("RMSE HU", "hu", ".2f"),
    ("within 20 mm", "near_hu", ".1f"),
    ("sharpness near", "sharpness", ".3f"),
    ("texture distance", "texture", ".3f"),
    ("fine noise", "fine_noise", ".3f"),
)


def run_sweep(
    settings: RunSettings, output: Path, start: Path, sheets: tuple[Path, Path] | None = None
) -> Path:
    """Train, score and picture every lambda; what is there already is not trained again.

    Parameters
    ----------
    settings : RunSettings
        `options.lambdas` lists the lambdas.
    output : Path
        A folder for each lambda, `sweep.json`, `sweep.md`.
    start : Path
        Weights of the pre-trained generator.
    sheets : (cases, model), optional
        Foreign cases, and the manifest whose prior fills their traces.

    Returns
    -------
    Path
        `sweep.md`.
    """
    lambdas = settings.options.lambdas
    folders = {value: output / f"lambda-{value:g}" for value in lambdas}
    table: dict[str, dict[str, float]] = {"L2": _scored(settings, start, output / "l2")}
    for value, folder in folders.items():
        weights = folder / "weights.pt"
        if not weights.exists():
            weights = train_adversarial(settings, folder, start, value)
        table[f"lambda {value:g}"] = _scored(settings, weights, folder)
        _draw_curves(folder)
    (output / "sweep.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    path = output / "sweep.md"
    path.write_text(_sweep_table(table) + "\n", encoding="utf-8")
    if sheets is not None:
        _write_sheets(settings, start, folders, output, sheets)
    return path


def _scored(settings: RunSettings, weights: Path, folder: Path) -> dict[str, float]:
    """Scores of weights on the prefilled validation slices; kept, as scoring takes a while."""
    kept = folder / "validation.json"
    if kept.exists() and kept.stat().st_mtime > weights.stat().st_mtime:
        return dict(json.loads(kept.read_text("utf-8"))["summary"])
    return dict(validate_generator(settings, weights, folder))


def _sweep_table(table: dict[str, dict[str, float]]) -> str:
    """Markdown table: the prior alone, the generator by L2, and the GAN at each lambda."""
    heads = ["", *(head for head, _, _ in _COLUMNS), "ratio to prior only"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    first = next(iter(table.values()))
    lines.append(_row("prior only", "prior", first, 1.0))
    lines += [_row(name, "generator", scores, scores["ratio_hu"]) for name, scores in table.items()]
    return "\n".join(lines)


def _row(name: str, method: str, scores: dict[str, float], ratio: float) -> str:
    cells = [format(scores[f"{method}_{key}"], form) for _, key, form in _COLUMNS]
    return "| " + " | ".join([name, *cells, f"{ratio:.3f}"]) + " |"


def _draw_curves(folder: Path) -> Path | None:
    """Draw how D judged real and generated traces as `curves.svg`; None without curves."""
    found = read_curves(folder, list(_CURVES))
    series = {name: found[key] for key, name in _CURVES.items()}
    picture = chart(series, "probability of being real")
    if picture is None:
        return None
    path = folder / "curves.svg"
    path.write_text(picture, encoding="utf-8")
    return path


def _write_sheets(
    settings: RunSettings,
    start: Path,
    folders: dict[float, Path],
    output: Path,
    sheets: tuple[Path, Path],
) -> None:
    from spinemar_training.data.prefill import FrozenPrior
    from spinemar_training.runs.sheets import blind_sheet, contact_sheet, telling_cases

    cases_folder, model = sheets
    cases = telling_cases(cases_folder, FrozenPrior(model, settings.widening_mm))
    refinement = make_refinement("cpu")
    by_l2 = build_generator(settings, start)
    for folder in folders.values():
        pair: dict[str, Any] = {
            "U-Net by L2": by_l2,
            "cGAN": build_generator(settings, folder / "weights.pt"),
        }
        for case in cases:
            name = f"sheet-{case.slice.facts['metal']}.jpg"
            contact_sheet(case, pair, refinement, folder / name)
        blind_sheet(cases, pair, refinement, folder, settings.seed)
