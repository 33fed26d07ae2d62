"""Score methods on scans in fan beam, fit the gate, and say it all in one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation import TrueMetalScores
from spinemar.evaluation.metrics import sharpness_ratio
from spinemar.evaluation.regions import slice_regions
from spinemar.evaluation.texture import noise_power, texture_distance
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.gate import GateParameters, decide
from spinemar.volume import CTVolume
from spinemar_training.data.out_of_domain import OutOfDomainCase, load_cases

METRICS = ("rmse_hu", "rmse_near_hu", "ssim", "bone_dice", "sharpness", "streak_hu")
_NEAR_METRICS = ("sharpness_near", "texture")
METAL_METRICS = ("seen_hu", "seen_near_hu", "seen_faint_out_hu", "seen_near_faint_out_hu",
                 "outside_masks_hu", "outside_masks_near_hu", "metal_dice", "mask_width_mm",
                 "width_mm", "width_worst_mm")  # fmt: skip
"""What needs the true metal: see `spinemar.evaluation.seen`, `.widths`; NaN without it."""
OPEN_GATE = GateParameters.open()
_VISIBLE_HU = 30.0
"""A slice whose input differs by more from the truth has a visible artifact."""


@dataclass(frozen=True)
class Contestant:
    """A method under test; each is run once, with an open gate.

    Parameters
    ----------
    method : {"li", "nmar", "generator"}
    model : Path, optional
    open_name, gated_name, perfect_name : str
        Rows that it gives: in full, through its gate, and with the best strength known from the
        truth; empty for none.
    """

    method: str
    model: Path | None = None
    open_name: str = ""
    gated_name: str = ""
    perfect_name: str = ""


def contestants(
    model: Path, prior_only: Path | None, further: Sequence[Path] = ()
) -> list[Contestant]:
    """LI, NMAR with and without gate, prior only, the generator with three gates."""
    found = [
        Contestant("li", open_name="li"),
        Contestant("nmar", open_name="nmar", gated_name="nmar+gate"),
    ]
    if prior_only is not None:
        found.append(Contestant("generator", prior_only, open_name="prior only"))
    found.append(
        Contestant("generator", model, "generator, no gate", "generator", "generator, perfect gate")
    )
    for path in further:
        name = path.stem.removeprefix("manifest-")
        found.append(Contestant("generator", path, f"{name}, no gate", name))
    return found


class CorrectedCase:
    """One method's change of a case's middle slice, to be applied in any strength."""

    def __init__(self, case: OutOfDomainCase, metal: NDArray[np.bool_], worker: Inpainter) -> None:
        from spinemar.mar.correct import correct_volume

        result = correct_volume(case.scan, inpainter=worker, gate=OPEN_GATE, threads=1)
        report = next(r for r in result.slices if r.index == 1)
        self._scan = case.scan
        self.outline = result.metal_outline
        self._change = result.volume.hu - case.scan.hu
        self._strength = decide(report.features, worker.gate).strength
        self._scored = slice_regions(case.truth.hu[1], metal[1], _pixel(case)).scored
        self._artifact = (case.scan.hu[1] - case.truth.hu[1])[self._scored]

    def rows(self, one: Contestant) -> Iterator[tuple[str, CTVolume, float]]:
        """Name, volume and strength of each row that the contestant gives."""
        for name, strength in (
            (one.open_name, 1.0),
            (one.gated_name, self._strength),
            (one.perfect_name, self._perfect()),
        ):
            if name:
                hu = self._scan.hu + np.float32(strength) * self._change
                yield name, self._scan.with_hu(hu), strength

    def _perfect(self) -> float:
        """Strength between 0 and 1 that leaves the least error."""
        change = self._change[1][self._scored]
        return float(
            np.clip(-np.dot(change, self._artifact) / max(np.dot(change, change), 1), 0, 1)
        )


def _pixel(case: OutOfDomainCase) -> tuple[float, float]:
    return case.scan.spacing_mm[1], case.scan.spacing_mm[0]


def score_case(
    case: OutOfDomainCase, methods: Sequence[tuple[Contestant, Inpainter]]
) -> list[dict[str, Any]]:
    """Score every method on the middle slice of one case."""
    from spinemar.evaluation.scores import evaluate
    from spinemar.mar.segmentation.metal import segment_metal

    metal = segment_metal(case.scan).mask
    if not metal[1].any():
        return []
    near = slice_regions(case.truth.hu[1], metal[1], _pixel(case)).near
    grain = noise_power(case.truth.hu[1], near, _pixel(case))
    rows = []

    def add(
        name: str, volume: CTVolume, strength: float, put_back: NDArray[np.bool_] = metal
    ) -> None:
        mask = None if case.metal is None else replace(case.metal, mask=metal, put_back=put_back)
        scores = evaluate(case.truth, volume, metal, true_metal=mask, slices=[1])
        row = {"case": case.name, "method": name, "strength": strength, **case.facts}
        row.update({m: float(getattr(scores, m)) for m in METRICS})
        row.update(_metal_scores(scores.true_metal))
        row["sharpness_near"] = sharpness_ratio(case.truth.hu[1], volume.hu[1], near)
        found = noise_power(volume.hu[1], near, _pixel(case))
        known = grain is not None and found is not None
        row["texture"] = texture_distance(grain, found) if known else float("nan")  # type: ignore[arg-type]
        rows.append(row)

    add("input", case.scan, 0.0)
    for one, worker in methods:
        corrected = CorrectedCase(case, metal, worker)
        for row in corrected.rows(one):
            add(*row, corrected.outline)
    return rows


def _metal_scores(scores: TrueMetalScores | None) -> dict[str, float]:
    """`METAL_METRICS` of one picture; the input's mask counts as put back in it."""
    if scores is None:
        return dict.fromkeys(METAL_METRICS, float("nan"))
    drawn, faint = scores.seen
    values = (drawn.rmse_hu, drawn.rmse_near_hu, faint.rmse_hu, faint.rmse_near_hu,
              drawn.rmse_outside_masks_hu, drawn.rmse_near_outside_masks_hu, scores.metal_dice,
              scores.mask_widths.mean_mm, scores.widths.mean_mm,
              scores.widths.worst_mm)  # fmt: skip
    return dict(zip(METAL_METRICS, values, strict=True))


def score_folder(
    folder: Path, methods: Sequence[Contestant], every: int = 1
) -> list[dict[str, Any]]:
    """Score the cases of a folder, or every so many of them."""
    from spinemar.mar.inpainters.methods import make_inpainter

    ready = [(one, make_inpainter(one.method, one.model, "cpu")) for one in methods]  # type: ignore[arg-type]
    rows = []
    for number, case in enumerate(load_cases(folder)):
        if number % every == 0:
            rows += score_case(case, ready)
            print(f"{number + 1}: {case.name}", flush=True)
    return rows


def _known_mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


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
        entry: dict[str, Any] = {
            m: _known_mean([by[name][c].get(m, np.nan) for c in cases])
            for m in METRICS + _NEAR_METRICS + METAL_METRICS
        }
        values = np.array([by[name][c]["rmse_hu"] for c in cases])
        logs = np.log(values / np.array([by["nmar"][c]["rmse_hu"] for c in cases]))
        entry["ratio_to_nmar"] = float(np.exp(logs.mean()))
        entry["ratio_interval"] = list(_interval(logs, rng))
        entry["worse_than_input"] = int(np.sum(values > 1.01 * before))
        entry["worst_ratio_to_input"] = float(np.max(values / before))
        visible = before > _VISIBLE_HU
        strengths = np.array([by[name][c]["strength"] for c in cases])
        if visible.any():
            entry["accepted_visible"] = float(np.mean(strengths[visible] > 0))
        out["methods"][name] = entry
    return out


def _as_text(summary: dict[str, Any]) -> str:
    """Markdown table of a summary."""
    lines = [
        "| method | RMSE HU | within 20 mm | SSIM | bone Dice | sharpness | sharpness near "
        "| texture | ratio to NMAR (95 %) | worse than input | accepted |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, e in summary["methods"].items():
        low, high = e["ratio_interval"]
        accepted = f"{100 * e['accepted_visible']:.0f} %" if "accepted_visible" in e else "-"
        lines.append(
            f"| {name} | {e['rmse_hu']:.1f} | {e['rmse_near_hu']:.1f} | {e['ssim']:.3f} "
            f"| {e['bone_dice']:.3f} | {e['sharpness']:.3f} | {e['sharpness_near']:.3f} "
            f"| {e['texture']:.2f} | {e['ratio_to_nmar']:.2f} "
            f"({low:.2f}-{high:.2f}) | {e['worse_than_input']} ({e['worst_ratio_to_input']:.2f}x) "
            f"| {accepted} |"
        )
    return "\n".join(lines)


def metal_text(summary: dict[str, Any]) -> str:
    """Markdown table of a summary's scores against the true metal; empty where it is not known."""
    found = summary["methods"]
    if not any(np.isfinite(entry["seen_hu"]) for entry in found.values()):
        return ""
    lines = [
        "| method | seen, metal > 50 %, HU | metal > 5 % | outside masks (> 50 %) | metal Dice "
        "| width error of mask, of picture (mean of largest), mm |",
        "|---|---|---|---|---|---|",
    ]
    for name, e in found.items():
        lines.append(
            f"| {name} | {e['seen_hu']:.1f} / {e['seen_near_hu']:.1f} "
            f"| {e['seen_faint_out_hu']:.1f} / {e['seen_near_faint_out_hu']:.1f} "
            f"| {e['outside_masks_hu']:.1f} / {e['outside_masks_near_hu']:.1f} "
            f"| {e['metal_dice']:.2f} | {e['mask_width_mm']:.2f}, {e['width_mm']:.2f} "
            f"({e['width_worst_mm']:.2f}) |"
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
    price = _gate_price(summaries["all"])
    (output / "gate.json").write_text(json.dumps(price, indent=1), encoding="utf-8")
    text = "\n\n".join(
        f"### {name} ({s['slices']} slices)\n\n{_as_text(s)}\n\n{metal_text(s)}".rstrip()
        for name, s in summaries.items()
    )
    (output / "tables.md").write_text(text + "\n", encoding="utf-8")


def _gate_price(summary: dict[str, Any]) -> dict[str, float]:
    """Say what a gate costs and gives, from one table's summary.

    `price` is the mean RMSE through the gate over that with the best strength known from the
    truth, less one; `open_price` the same without a gate; `accepted_visible` the share of slices
    with a visible artifact that the gate lets be corrected.
    """
    found = summary["methods"]
    best = found["generator, perfect gate"]["rmse_hu"]
    return {
        "price": found["generator"]["rmse_hu"] / best - 1,
        "open_price": found["generator, no gate"]["rmse_hu"] / best - 1,
        "worse_with_gate": found["generator"]["worse_than_input"],
        "worse_without": found["generator, no gate"]["worse_than_input"],
        "accepted_visible": found["generator"].get("accepted_visible", float("nan")),
    }
