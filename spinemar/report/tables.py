"""The numbers of a report as rows of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinemar.evaluation import Scores, TrueMetalScores
from spinemar.evaluation.regions import TISSUES_HU
from spinemar.evaluation.seen import METAL_SHARES
from spinemar.mar.result import CorrectionResult
from spinemar.report.content import ReportContent
from spinemar.report.warnings import rising_slices


@dataclass(frozen=True)
class Metric:
    """One column: its name, how to read it from scores, its format, and what is good.

    `good` is the best value, or None where higher is better without a limit.
    """

    name: str
    value: Callable[[Scores], float]
    style: str
    good: float | None
    explanation: str


METRICS: tuple[Metric, ...] = (
    Metric("RMSE, HU", lambda s: s.rmse_hu, ".1f", 0, "body, metal and 2 px excluded"),
    Metric("RMSE ≤ 20 mm, HU", lambda s: s.rmse_near_hu, ".1f", 0, "within 20 mm of metal"),
    Metric("PSNR, dB", lambda s: s.psnr_db, ".1f", None, "range 5000 HU"),
    Metric("PSNR ≤ 20 mm, dB", lambda s: s.psnr_near_db, ".1f", None, "range 5000 HU"),
    Metric("SSIM", lambda s: s.ssim, ".4f", 1, "range 5000 HU"),
    Metric("SSIM ≤ 20 mm", lambda s: s.ssim_near, ".4f", 1, "range 5000 HU"),
    Metric("Streaks, HU", lambda s: s.streak_hu, ".1f", 0, "amplitude in soft tissue ≤ 60 mm"),
    Metric("Bone Dice ≤ 20 mm", lambda s: s.bone_dice, ".3f", 1, "bone is 200 HU and more"),
    Metric("Sharpness", lambda s: s.sharpness, ".3f", 1, "edges farther than 20 mm from metal"),
)


def true_metal_metrics() -> tuple[Metric, ...]:
    """List scores that need the true metal: errors that a reader sees, the put-back metal."""

    def seen(number: int, field: str) -> Callable[[Scores], float]:
        return lambda scores: (
            float("nan")
            if scores.true_metal is None
            else float(getattr(scores.true_metal.seen[number], field))
        )

    def metal(read: Callable[[TrueMetalScores], float]) -> Callable[[Scores], float]:
        return lambda s: float("nan") if s.true_metal is None else read(s.true_metal)

    rows = [
        Metric(f"{name}, metal > {share:.0%}, HU", seen(n, field), ".1f", 0, explanation)
        for n, share in enumerate(METAL_SHARES)
        for name, field, explanation in (
            ("Seen RMSE", "rmse_hu", "body, true metal and 2 px excluded"),
            ("Seen RMSE ≤ 20 mm", "rmse_near_hu", "within 20 mm of the true metal"),
            ("RMSE outside masks", "rmse_outside_masks_hu", "the correction's mask excluded too"),
            ("RMSE outside masks ≤ 20 mm", "rmse_near_outside_masks_hu", "and near the metal"),
        )
    ]
    return (
        *rows,
        Metric("Metal Dice", metal(lambda m: m.metal_dice), ".3f", 1, "what was put back"),
        Metric(
            "Width error, mm", metal(lambda m: m.widths.mean_mm), ".2f", 0, "screws, rods: mean"
        ),
        Metric("Mask's width error, mm", metal(lambda m: m.mask_widths.mean_mm), ".2f", 0, "mean"),
        Metric("Worst width, mm", metal(lambda m: m.widths.worst_mm), ".2f", 0, "largest error"),
    )


def known_metrics(metrics: Sequence[Metric], named: Sequence[Scores]) -> tuple[Metric, ...]:
    """Those that at least one of the scores has."""
    return tuple(m for m in metrics if any(not np.isnan(m.value(s)) for s in named))


def bias_metrics() -> tuple[Metric, ...]:
    """Mean error of each tissue within 20 mm of metal."""

    def reader(tissue: str) -> Callable[[Scores], float]:
        return lambda scores: scores.bias_hu[tissue]

    return tuple(
        Metric(f"Bias {tissue}, HU", reader(tissue), "+.1f", 0, f"{low:.0f} to {high:.0f} HU, near")
        for tissue, (low, high) in TISSUES_HU.items()
    )


@dataclass(frozen=True)
class ScoreTable:
    """Scores of several results: column headings with explanations, and rows of cells.

    `best` has, for each column, the index of the best row, or None.
    """

    headings: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    best: tuple[int | None, ...]


def score_table(named: Sequence[tuple[str, Scores]], metrics: Sequence[Metric]) -> ScoreTable:
    """Put scores side by side.

    Parameters
    ----------
    named : sequence of (str, Scores)
    metrics : sequence of Metric
    """
    rows = [(name, tuple(format_score(s, m) for m in metrics)) for name, s in named]
    best = tuple(_best([m.value(s) for _, s in named], m.good) for m in metrics)
    return ScoreTable(tuple((m.name, m.explanation) for m in metrics), tuple(rows), best)


def format_score(scores: Scores, metric: Metric) -> str:
    """Write a score, or a dash where it does not exist."""
    value = metric.value(scores)
    if np.isnan(value):
        return "–"
    return "∞" if np.isinf(value) else format(value, metric.style)


def _best(values: Sequence[float], good: float | None) -> int | None:
    badness = [-v if good is None else abs(v - good) for v in values]
    known = [n for n, bad in enumerate(badness) if not np.isnan(bad)]
    return min(known, key=lambda n: badness[n]) if len(known) > 1 else None


def named_scores(content: ReportContent) -> list[tuple[str, Scores]]:
    """All scores of a report, first those of the scan before correction."""
    named = [] if content.scores_before is None else [("Before", content.scores_before)]
    return named + [(c.name, c.scores) for c in content.corrected if c.scores is not None]


@dataclass(frozen=True)
class SliceRow:
    """What happened to a slice: cells of text, and whether its error rises."""

    cells: tuple[str, ...]
    rises: bool


def slice_table(content: ReportContent) -> tuple[tuple[str, ...], list[SliceRow]]:
    """Headings and rows of what happened to each slice, by the recommended method."""
    final = content.corrected[-1]
    scored = {s.index: s for s in content.scores_before.slices} if content.scores_before else {}
    after = {s.index: s for s in final.scores.slices} if final.scores else {}
    rising = rising_slices(content, final)
    headings = ["Slice", "Metal, mm²", "Width, mm", "Trace, % of rays", "Applied", "Change, HU"]
    if scored:
        headings += ["RMSE before, HU", "RMSE after, HU"]
    rows = []
    for report in final.result.slices:
        done = f"{report.strength:.0%}" if report.corrected else "left alone"
        row = [f"{report.index + 1}", f"{report.metal_area_mm2:.0f}"]
        row += [f"{report.metal_width_mm:.1f}", f"{report.trace_share:.1%}"]
        row += [done, f"{report.change_hu:.0f}"]
        rises = report.index in rising
        if scored:
            both = (scored.get(report.index), after.get(report.index))
            row += [f"{s.rmse_hu:.1f}" if s else "–" for s in both]
            row[-1] += " ▲" * rises
        reason = f"The error rises. {report.reason}" if rises else report.reason
        rows.append(SliceRow((*row, reason), rises))
    return (*headings, "Reason"), rows


def provenance_rows(content: ReportContent) -> list[tuple[str, str]]:
    """How the recommended result was made."""
    made = content.corrected[-1].result.provenance
    model = " ".join(p for p in (made.model_name, made.model_version) if p)
    threshold = "" if made.metal_threshold_hu is None else f", {made.metal_threshold_hu:.0f} HU"
    shape = content.before.hu.shape
    spacing = " x ".join(f"{s:.3g}" for s in content.before.spacing_mm)
    seconds = content.corrected[-1].result.seconds
    rows = [
        ("Method", content.corrected[-1].name),
        ("Model", f"{model} (SHA-256 {made.model_sha256})" if model else ""),
        ("Ran on", made.provider or ""),
        ("Instead of what was asked", made.fallback or ""),
        ("Metal", f"{made.metal_source}{threshold}"),
        ("Metal's outline", _outline(made.metal_outline)),
        ("Volume", f"{shape[2]} x {shape[1]} x {shape[0]} voxels of {spacing} mm"),
        ("Seconds", ", ".join(f"{stage} {time:.1f}" for stage, time in seconds.items())),
        ("SpineMAR", f"{made.software_version}, pipeline {made.pipeline_version}"),
        *_earlier_rows(content.corrected[-1].result),
        *content.facts.items(),
    ]
    return [(name, value) for name, value in rows if value]


def _earlier_rows(result: CorrectionResult) -> list[tuple[str, str]]:
    """Say what became of the earlier CT, vertebra by vertebra."""
    use = result.earlier
    if use is None:
        return []
    found = use.registration
    said = {"registered": "", "given": " (given)", "neighbours": " (as its neighbours; not used)"}
    moves = "; ".join(
        f"{one.level}: {one.moved_mm:.1f} mm, likeness {one.likeness:.2f}{said[one.found]}"
        for one in found.vertebrae
    )
    return [
        ("Earlier CT", ", ".join(f"{name} {value}" for name, value in use.facts.items())),
        ("- likeness, overlap", f"{found.likeness:.2f}, {found.overlap:.0%}"),
        ("- vertebrae moved", moves),
        ("- uncertain", " ".join(found.warnings)),
    ]


_OUTLINES = {
    "network": "by the model's network",
    "half maximum": "at half of the maximum",
    "threshold": "not told from its glow: everything above the threshold",
    "mask": "as given",
}
"""How the outline of metal was found, for people."""


def _outline(slices: Mapping[str, int]) -> str:
    return "; ".join(f"{_OUTLINES.get(how, how)} ({n} slices)" for how, n in slices.items())
