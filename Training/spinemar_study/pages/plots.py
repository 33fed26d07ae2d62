"""Plots of the page, from the studies' JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spinemar_study.results import read_result

_COLOURS = {
    "input": "#888888",
    "nmar": "#d08a2e",
    "prior only": "#6aa84f",
    "generator": "#1f6fb4",
    "realistic": "#1f6fb4",
    "random": "#d08a2e",
    "mixed": "#6aa84f",
}
_DPI = 110


def draw_plots(results: Path, output: Path) -> list[Path]:
    """Draw every plot whose results are there."""
    import matplotlib

    matplotlib.use("Agg")
    output.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (study, draw) in _PLOTS.items():
        source = results / f"{study}.json"
        if source.exists():
            path = output / f"{name}.png"
            figure = draw(read_result(source))
            figure.tight_layout()
            figure.savefig(path, dpi=_DPI)
            drawn.append(path)
    return drawn


def _figure(width: float, height: float, panels: int = 1) -> tuple[Any, Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, panels, figsize=(width, height), squeeze=False)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[0]


def findings(document: dict[str, Any]) -> Any:
    """Contrast kept by finding and method, with intervals."""
    summary = document["summary"]
    figure, (left, right) = _figure(10, 3.6, 2)
    kinds = list(summary)
    methods = list(summary[kinds[0]])
    for n, name in enumerate(methods):
        at = np.arange(len(kinds)) + 0.18 * (n - (len(methods) - 1) / 2)
        colour = _COLOURS.get(name, "#8e44ad")
        for axis, key, scale in ((left, "kept", 1.0), (right, "false_positive", 100.0)):
            mean, low, high = (
                scale * np.array([summary[k][name][key][v] for k in kinds], float)
                for v in ("mean", "low", "high")
            )
            axis.errorbar(
                at, mean, [mean - low, high - mean], fmt="o", ms=4, color=colour, label=name
            )
    rays = [summary[k][methods[0]]["by_measured_rays"]["mean"] for k in kinds]
    left.plot(range(len(kinds)), rays, "_", ms=18, color="black", label="measured rays alone")
    for axis, title in ((left, "contrast kept"), (right, "false positives, %")):
        axis.set_xticks(
            range(len(kinds)),
            [
                k.replace(" of ", "\nof ").replace(" ", "\n", 1)
                if " of " not in k
                else k.replace(" of ", "\nof ")
                for k in kinds
            ],
            fontsize=7,
        )
        axis.set_title(title, fontsize=10)
        axis.grid(axis="y", alpha=0.3)
    left.axhline(1.0, color="black", lw=0.6)
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, fontsize=7, ncol=len(names), loc="lower center", frameon=False)
    left.set_xlabel(" \n", fontsize=7)  # room for the legend
    return figure


def widths(document: dict[str, Any]) -> Any:
    """Apparent against true width of every screw."""
    figure, (axis,) = _figure(5, 4.2)
    rows = document["rows"]
    true = np.array([row["diameter_mm"] for row in rows])
    for name in ("input", "nmar", "generator", "mask"):
        wide = np.array([row["widths_mm"][name] for row in rows], float)
        colour = _COLOURS.get(name, "black")
        marker = "_" if name == "mask" else "o"
        label = "metal mask (floor)" if name == "mask" else name
        shift = 0.06 * (("input", "nmar", "generator", "mask").index(name) - 1.5)
        axis.plot(true + shift, wide, marker, ms=5, color=colour, label=label, alpha=0.8)
    ends = [0.95 * true.min(), 1.05 * true.max()]
    axis.plot(ends, ends, color="black", lw=0.8)
    axis.set_xlabel("nominal diameter, mm")
    axis.set_ylabel("apparent width, mm")
    axis.legend(fontsize=7)
    return figure


def hu(document: dict[str, Any]) -> Any:
    """Error of every disc by its distance from metal; lines are the biases."""
    rows = document["rows"]
    tissues = list(dict.fromkeys(row["tissue"] for row in rows))
    figure, axes = _figure(5 * len(tissues), 3.8, len(tissues))
    for axis, tissue in zip(axes, tissues, strict=True):
        chosen = [row for row in rows if row["tissue"] == tissue]
        away = [row["from_metal_mm"] for row in chosen]
        for name in ("input", "nmar", "generator"):
            error = [row["hu"][name] - row["hu"]["truth"] for row in chosen]
            axis.plot(away, error, "o", ms=4, color=_COLOURS[name], label=name, alpha=0.8)
            bias = document["summary"][tissue][name]["bias"]["mean"]
            axis.axhline(bias, color=_COLOURS[name], lw=0.8)
        axis.axhline(0.0, color="black", lw=0.6)
        axis.set_yscale("symlog", linthresh=100.0)
        axis.set_title(tissue, fontsize=10)
        axis.set_xlabel("distance from metal, mm")
        axis.set_ylabel("measured less true HU")
        axis.legend(fontsize=7)
    return figure


def robustness(document: dict[str, Any]) -> Any:
    """Ratio to the input and strength of the gate, condition by condition."""
    conditions = document["summary"]["conditions"]
    figure, (left, right) = _figure(10, 0.25 * len(conditions) + 1.2, 2)
    labels = [
        f"{c['sweep']} {'' if c['value'] is None else c['value']}".strip() for c in conditions
    ]
    at = np.arange(len(conditions))[::-1]
    for name, label in (("nmar", "nmar"), ("generator", "generator")):
        entries = [c["methods"][name] for c in conditions]
        mean, low, high = (
            np.array([e["ratio"][k] for e in entries], float) for k in ("mean", "low", "high")
        )
        left.errorbar(
            mean,
            at,
            xerr=[mean - low, high - mean],
            fmt="o",
            ms=4,
            color=_COLOURS[name],
            label=label,
        )
        left.plot([e["worst"] for e in entries], at, "|", color=_COLOURS[name], ms=8)
        right.plot([e["strength"]["mean"] for e in entries], at, "o", ms=4, color=_COLOURS[name])
    left.axvline(1.0, color="black", lw=0.8)
    left.set_yticks(at, labels, fontsize=7)
    right.set_yticks(at, [])
    right.set_xlim(-0.05, 1.05)
    left.set_title("RMSE / input (bar: worst slice)", fontsize=10)
    right.set_title("mean strength of the gate", fontsize=10)
    left.legend(fontsize=7)
    for axis in (left, right):
        axis.grid(axis="x", alpha=0.3)
    return figure


def placement(document: dict[str, Any]) -> Any:
    """Every case's ratio to training on random placement, and where the pairs' error sits."""
    rows, summary = document["rows"], document["summary"]["all"]
    figure, (left, right) = _figure(10, 3.8, 2)
    seeds = summary["seeds"]
    found = {(r["case"], r["network"]): r["rmse_hu"] for r in rows}
    cases = sorted({row["case"] for row in rows})
    for n, arm in enumerate(("realistic", "mixed")):
        logs = [
            np.mean([np.log(found[c, f"{arm}-{s}"] / found[c, f"random-{s}"]) for s in seeds])
            for c in cases
        ]
        ratios = np.exp(logs)
        spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(ratios))
        left.plot(ratios, n + spread, "o", ms=4, color=_COLOURS[arm], alpha=0.6)
        value = summary["differences"][f"{arm} / random"]["rmse_hu"]
        left.errorbar(
            [value["mean"]],
            [n],
            xerr=[[value["mean"] - value["low"]], [value["high"] - value["mean"]]],
            fmt="D",
            color="black",
            ms=5,
        )
    left.axvline(1.0, color="black", lw=0.8)
    left.set_yticks([0, 1], ["realistic", "mixed"])
    left.set_ylim(-0.5, 1.5)
    left.set_title("RMSE / RMSE of training on random placement", fontsize=10)
    why = document["summary"]["why"]
    names = [f"{a:.0f}-{b:.0f}" if b < 300 else f"> {a:.0f}" for a, b in why["rings_mm"]]
    for kind in ("realistic", "random"):
        right.plot(names, why[kind]["input_rings_hu"], "o-", color=_COLOURS[kind], label=kind)
        right.plot(
            names, why[kind]["nmar_rings_hu"], "o--", color=_COLOURS[kind], label=f"{kind}, NMAR"
        )
    right.set_yscale("log")
    right.set_xlabel("distance from metal, mm")
    right.set_title("RMSE of the pairs, HU", fontsize=10)
    right.legend(fontsize=7)
    return figure


_PLOTS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "placement": ("placement", placement),
    "findings": ("findings", findings),
    "widths": ("width", widths),
    "hu": ("hu", hu),
    "robustness": ("robustness", robustness),
}
