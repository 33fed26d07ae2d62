"""Score methods on foreign scans, fit the gate, and say it all in one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.mar.gate import GateParameters
from spinemar_training.foreign import ForeignCase, load_cases

METRICS = ("rmse_hu", "rmse_near_hu", "ssim", "bone_dice", "sharpness", "streak_hu")
OPEN_GATE = GateParameters(1.0, 0.0, 0.0, 0.0, minimum=0.0, blind_strength=1.0)
VISIBLE_HU = 30.0
"""A slice whose input differs by more from the truth has a visible artifact."""


@dataclass(frozen=True)
class Contestant:
    """A method under test."""

    name: str
    method: str
    model: Path | None = None
    gated: bool = True


def contestants(
    model: Path, prior_only: Path | None, further: Sequence[Path] = ()
) -> list[Contestant]:
    """LI, NMAR with and without gate, prior only, the generator with and without gate."""
    found = [
        Contestant("li", "li", gated=False),
        Contestant("nmar", "nmar", gated=False),
        Contestant("nmar+gate", "nmar"),
    ]
    if prior_only is not None:
        found.append(Contestant("prior only", "generator", prior_only, gated=False))
    found += [
        Contestant("generator, no gate", "generator", model, gated=False),
        Contestant("generator", "generator", model),
    ]
    return found + [Contestant(path.parent.name, "generator", path) for path in further]


def score_case(case: ForeignCase, methods: Iterable[Contestant]) -> list[dict[str, Any]]:
    """Score every method on the middle slice of one case."""
    from spinemar.evaluation.scores import evaluate
    from spinemar.mar.correct import correct_volume
    from spinemar.mar.metal import segment_metal

    metal = segment_metal(case.scan).mask
    if not metal[1].any():
        return []
    rows = []

    def add(name: str, volume: Any, strength: float) -> None:
        scores = evaluate(case.truth, volume, metal, slices=[1])
        row = {"case": case.name, "method": name, "strength": strength, **case.facts}
        row.update({m: float(getattr(scores, m)) for m in METRICS})
        rows.append(row)

    add("input", case.scan, 0.0)
    for one in methods:
        result = correct_volume(
            case.scan,
            method=one.method,  # type: ignore[arg-type]
            model=one.model,
            metal_mask=metal,
            device="cpu",
            gate=None if one.gated else OPEN_GATE,
        )
        report = next(r for r in result.slices if r.index == 1)
        add(one.name, result.volume, report.strength)
    return rows


def score_folder(folder: Path, methods: Sequence[Contestant]) -> list[dict[str, Any]]:
    """Score every case of a folder."""
    rows = []
    for number, case in enumerate(load_cases(folder)):
        rows += score_case(case, methods)
        print(f"{number + 1}: {case.name}", flush=True)
    return rows


def _interval(logs: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of a geometric mean."""
    draws = rng.integers(len(logs), size=(2000, len(logs)))
    means = np.exp(logs[draws].mean(1))
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def table(rows: Sequence[dict[str, Any]], group: dict[str, str] | None = None) -> dict[str, Any]:
    """Means by method, geometric-mean ratios to NMAR with intervals, harm and acceptance.

    `group` keeps only rows whose facts have these values.
    """
    kept = [r for r in rows if all(r[k] == v for k, v in (group or {}).items())]
    methods = list(dict.fromkeys(r["method"] for r in kept))
    by = {m: {r["case"]: r for r in kept if r["method"] == m} for m in methods}
    cases = sorted(by["input"])
    rng = np.random.default_rng(0)
    out: dict[str, Any] = {"slices": len(cases), "methods": {}}
    before = np.array([by["input"][c]["rmse_hu"] for c in cases])
    for name in methods:
        entry = {m: float(np.nanmean([by[name][c][m] for c in cases])) for m in METRICS}
        values = np.array([by[name][c]["rmse_hu"] for c in cases])
        logs = np.log(values / np.array([by["nmar"][c]["rmse_hu"] for c in cases]))
        entry["ratio_to_nmar"] = float(np.exp(logs.mean()))
        entry["ratio_interval"] = list(_interval(logs, rng))
        entry["worse_than_input"] = int(np.sum(values > 1.01 * before))
        entry["worst_ratio_to_input"] = float(np.max(values / before))
        visible = before > VISIBLE_HU
        strengths = np.array([by[name][c]["strength"] for c in cases])
        if visible.any():
            entry["accepted_visible"] = float(np.mean(strengths[visible] > 0))
        out["methods"][name] = entry
    return out


def as_text(summary: dict[str, Any]) -> str:
    """Markdown table of a summary."""
    lines = [
        "| method | RMSE HU | within 20 mm | SSIM | bone Dice | sharpness | ratio to NMAR (95 %) "
        "| worse than input | accepted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, e in summary["methods"].items():
        low, high = e["ratio_interval"]
        accepted = f"{100 * e['accepted_visible']:.0f} %" if "accepted_visible" in e else "-"
        lines.append(
            f"| {name} | {e['rmse_hu']:.1f} | {e['rmse_near_hu']:.1f} | {e['ssim']:.3f} "
            f"| {e['bone_dice']:.3f} | {e['sharpness']:.3f} | {e['ratio_to_nmar']:.2f} "
            f"({low:.2f}-{high:.2f}) | {e['worse_than_input']} ({e['worst_ratio_to_input']:.2f}x) "
            f"| {accepted} |"
        )
    return "\n".join(lines)


def report(rows: Sequence[dict[str, Any]], output: Path) -> None:
    """Write scores.json, summary.json and tables.md."""
    groups: dict[str, dict[str, str]] = {"all": {}}
    for fact in ("metal", "scale", "patient"):
        for value in sorted({r[fact] for r in rows}):
            groups[f"{fact} {value}"] = {fact: value}
    summaries = {name: table(rows, group) for name, group in groups.items()}
    output.mkdir(parents=True, exist_ok=True)
    (output / "scores.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    (output / "summary.json").write_text(json.dumps(summaries, indent=2), encoding="utf-8")
    text = "\n\n".join(
        f"### {name} ({s['slices']} slices)\n\n{as_text(s)}" for name, s in summaries.items()
    )
    (output / "tables.md").write_text(text + "\n", encoding="utf-8")


def fit_gate_for(folder: Path, model: Path) -> GateParameters:
    """Fit the do-no-harm gate of a model on cases whose truth is known."""
    from spinemar.evaluation.regions import slice_regions
    from spinemar.mar.correct import correct_volume
    from spinemar.mar.gate_fit import fit_gate, make_record
    from spinemar.mar.metal import segment_metal

    records = []
    for case in load_cases(folder):
        metal = segment_metal(case.scan).mask
        if not metal.any():
            continue
        result = correct_volume(
            case.scan,
            method="generator",
            model=model,
            metal_mask=metal,
            device="cpu",
            gate=OPEN_GATE,
        )
        for slice_report in result.slices:
            k = slice_report.index
            pixel = (case.scan.spacing_mm[1], case.scan.spacing_mm[0])
            scored = slice_regions(case.truth.hu[k], metal[k], pixel).scored
            artifact = case.scan.hu[k] - case.truth.hu[k]
            change = result.volume.hu[k] - case.scan.hu[k]
            records.append(make_record(slice_report.features, artifact, change, scored))
    return fit_gate(records)
