"""Write Docs/performance.md, its plot and its figures from what `make bench` measured.

Run after `make bench` (and `make bench-gpu` where there is a GPU):
.venv/bin/python scripts/make_performance_page.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "build" / "performance.json"
MEASURED_GPU = ROOT / "build" / "performance_gpu.json"
KEPT = ROOT / "Docs" / "results" / "performance.json"
KEPT_GPU = KEPT.with_name("performance_gpu.json")
PAGE = ROOT / "Docs" / "performance.md"
TEXT = ROOT / "scripts" / "performance_page.md"
PLOT = ROOT / "Docs" / "pictures" / "performance.png"

Result = dict[str, Any]
STAGES = ("metal", "tissue", "project", "interpolate", "reconstruct", "network", "gate", "wait")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def headline(results: Result) -> str:
    """100 slices from file to file."""
    rows = []
    for one in results["headline"]:
        stages = one["stages_s"]
        rows.append(
            [
                one["method"],
                str(one["slices"]),
                f"**{one['wall_s']:.1f}**",
                f"{stages['read']:.1f} / {stages['read DICOM']:.1f}",
                f"{stages['total']:.1f}",
                f"{stages['write']:.1f}",
                f"{one['cpu_s']:.1f}",
                f"{one['peak_mib_above_arrays']:.0f}",
                f"{one['load']:.1f}",
            ]
        )
    head = ["method", "slices", "file to file s", "read NRRD / DICOM s", "correct s", "write s"]
    return _table([*head, "processor s", "peak MiB above arrays", "load"], rows)


def stages(results: Result) -> str:
    """Busy milliseconds of one thread, per slice and stage."""
    rows = []
    for one in results["headline"]:
        spent = one["stages_s"]
        rows.append(
            [one["method"]] + [f"{1e3 * spent.get(s, 0) / one['slices']:.1f}" for s in STAGES]
        )
    return _table(["method", *STAGES], rows)


def transforms(results: Result) -> str:
    """Single transforms."""
    found = results["transforms"]
    ours = np.mean([[found[n]["forward_s"], found[n]["fbp_s"]] for n in ("ours", "ours again")], 0)
    rows = [["SpineMAR", f"{1e3 * ours[0]:.1f}", f"{1e3 * ours[1]:.1f}", "1"]]
    for name, one in found.items():
        if name.startswith("ours"):
            continue
        total = one["forward_s"] + one["fbp_s"]
        rows.append(
            [
                name,
                f"{1e3 * one['forward_s']:.0f}",
                f"{1e3 * one['fbp_s']:.0f}",
                f"{total / ours.sum():.0f}",
            ]
        )
    return _table(["", "forward ms", "FBP ms", "times as long"], rows)


def peers(results: Result) -> str:
    """Compare the whole pipeline on other transforms."""
    rows = []
    for method in dict.fromkeys(one["method"] for one in results["peers"]):
        mine = [one for one in results["peers"] if one["method"] == method]
        ours = next(one for one in mine if one["peer"] is None)["stages_s"]["total"]
        for one in mine:
            total = one["stages_s"]["total"]
            rows.append(
                [
                    method,
                    one["peer"] or "ours",
                    str(one["slices"]),
                    f"{total:.2f}",
                    f"{total / one['slices']:.2f}",
                    f"{total / ours:.1f}",
                ]
            )
    return _table(["method", "transforms", "slices", "s", "s a slice", "times as long"], rows)


def _scaling(results: list[Result], key: str) -> str:
    rows = [
        [
            one["method"],
            str(one[key]),
            str(one["slices"]),
            f"{one['stages_s']['total']:.2f}",
            f"{1e3 * one['stages_s']['total'] / one['slices']:.0f}",
            f"{one['peak_mib_above_arrays']:.0f}",
        ]
        for one in results
    ]
    label = {"slices": "slices", "matrix": "matrix", "threads": "threads"}[key]
    return _table(["method", label, "of slices", "s", "ms a slice", "peak MiB above arrays"], rows)


def scaling_words(results: Result) -> str:
    """How time grows, as fitted exponents."""

    def exponent(kept: list[Result], size: str) -> float:
        x = np.log([float(one[size]) for one in kept])
        y = np.log(
            [one["stages_s"]["total"] / (1 if size == "slices" else one["slices"]) for one in kept]
        )
        return float(np.polyfit(x, y, 1)[0])

    many = [one for one in results["slices"] if one["method"] == "nmar"]
    sizes = [one for one in results["matrices"] if one["method"] == "nmar"]
    top = max(many, key=lambda one: one["slices"])
    return (
        f"Time grows with the number of slices to the power {exponent(many, 'slices'):.2f} "
        f"(1: linear) and with the matrix's side to the power {exponent(sizes, 'matrix'):.2f} "
        "(2: with the number of pixels; less, because the 720 x 736 rays do not grow). "
        f"{top['slices']:,} slices of 512 x 512 peak {top['peak_mib_above_arrays']:.0f} MiB above "
        "the arrays of input and output."
    )


def roofline(results: Result) -> str:
    """Each stage against what the machine can do at most, one thread, per slice."""
    limits = results["limits"]["measured"]["1"]
    needs = results["limits"]["needs"]
    sinogram, image = 720 * 736 * 4 / 1e6, 512 * 512 * 4 / 1e6
    nufft, ramp, short = needs["nufft_mflop"], needs["ramp_mflop"], needs["views_mflop"]
    # Two slices share a complex transform. Megabytes: what a step must read and write at least.
    forward = 0.5 * (nufft + short), image + 3 * sinogram
    back = 0.5 * (nufft + ramp + short), image + 5 * sinogram
    nmar = next(one for one in results["headline"] if one["method"] == "nmar")
    learned = next(one for one in results["headline"] if one["method"] == "generator")

    def row(name: str, mflop: float, megabytes: float, source: Result, stage: str) -> list[str]:
        spent = 1e3 * source["stages_s"].get(stage, 0.0) / source["slices"]
        at_least = max(mflop / limits["gflops"], megabytes / limits["copy_gb_s"])
        by = (
            "arithmetic"
            if mflop / limits["gflops"] >= megabytes / limits["copy_gb_s"]
            else "memory"
        )
        return [
            name,
            f"{mflop:,.0f}",
            f"{megabytes:.0f}",
            f"{at_least:.1f} ({by})",
            f"{spent:.1f}",
            f"{100 * at_least / spent:.0f} %" if spent else "-",
        ]

    network = 1e3 * (needs.get("prior_gflop", 0.0) + needs.get("generator_gflop", 0.0))
    rows = [
        row("project (NMAR: image, mask, prior)", 3 * forward[0], 3 * forward[1], nmar, "project"),
        row("reconstruct (NMAR: LI, result)", 2 * back[0], 2 * back[1], nmar, "reconstruct"),
        row("interpolate (LI, NMAR)", 0.0, 9 * sinogram, nmar, "interpolate"),
        row("tissue (body, distances, prior)", 0.0, 10 * image, nmar, "tissue"),
        row("gate", 0.0, 5 * image, nmar, "gate"),
        row("network (prior and generator)", network, 400.0, learned, "network"),
    ]
    head = ["stage", "MFLOP a slice", "MB a slice", "at least ms", "busy ms", "of the limit"]
    return _table(head, rows)


def machine(results: Result) -> str:
    """Describe the machine in one sentence."""
    facts, limits = results["machine"], results.get("limits", {}).get("measured", {})
    best = ", ".join(
        f"{count} thread{'s' if count != '1' else ''}: {one['gflops']:.0f} GFLOP/s in a float32 "
        f"matrix product, {one['copy_gb_s']:.0f} GB/s copied"
        for count, one in limits.items()
    )
    of_it = f"; its limits in the same run: {best}" if best else ""
    return (
        f"Measured {results['date']} on {facts['threads']} cores of {facts['cpu']} (Python "
        f"{facts['python']}, NumPy {facts['numpy']}){of_it}."
    )


def gpu(path: Path) -> str:
    """Say what was measured on a GPU, or that nothing was."""
    if not path.exists():
        return (
            "**Not measured:** there was no GPU where this page was made. `make bench-gpu` is "
            "ready: it compares 32 and 16 bits with the CPU, times 100 slices after warm-up "
            "(goal: 3 s on an H100) and says so plainly where there is no GPU."
        )
    results = json.loads(path.read_text())
    agreement = [
        [
            one["device"],
            f"{one['most_hu']:.2f}",
            f"{one['rms_hu']:.3f}",
            "yes" if one["same_decisions"] else "no",
            one["fallback"] or "-",
        ]
        for one in results["agreement"]
    ]
    timed = [
        [one["device"], one["peer"] or "ours", str(one["slices"]), f"{one['wall_s']:.2f}"]
        for one in results["corrections"]
    ]
    head = ["device", "largest difference to CPU HU", "rms HU", "same decisions", "fallback"]
    return "\n\n".join(
        [_table(head, agreement), _table(["device", "transforms", "slices", "s"], timed)]
    )


_DRAWN = ("slices", "matrices", "threads")


def plot(results: Result) -> str:
    """Show the plot where all of it was measured."""
    for part in _DRAWN:
        if part not in results:
            raise KeyError(part)
    return "![Seconds over slices, matrix and threads](pictures/performance.png)"


def draw(results: Result, path: Path) -> None:
    """Plot time over slices, matrix and threads."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for axis, part, key, label in zip(
        axes,
        ("slices", "matrices", "threads"),
        ("slices", "matrix", "threads"),
        ("slices of 512 x 512", "matrix (pixels a side)", "threads"),
        strict=True,
    ):
        for method, colour in (("nmar", "tab:blue"), ("generator", "tab:orange")):
            found = [one for one in results.get(part, []) if one["method"] == method]
            each = 1 if part == "slices" else np.array([one["slices"] for one in found])
            x = np.array([one[key] for one in found], dtype=float)
            y = np.array([one["stages_s"]["total"] for one in found]) / each
            axis.loglog(x, y, "o-", color=colour, label=method)
            power = {"slices": 1.0, "matrices": 2.0, "threads": -1.0}[part]
            if len(x) > 1:
                guide = y[0] * (x / x[0]) ** power
                axis.loglog(x, guide, ":", color=colour, linewidth=1)
        ticks = sorted({one[key] for one in results[part]})
        axis.set_xticks(ticks, [f"{n:,}" for n in ticks], fontsize=8)
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.set_ylabel("seconds" if part == "slices" else "seconds a slice")
        axis.grid(alpha=0.3)
    axes[0].legend(title="dotted: linear, with pixels, halved")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def page(results: Result, gpu_results: Path) -> str:
    """Return the page: the text with its tables filled in."""
    makers: dict[str, Callable[[], str]] = {
        "machine": lambda: machine(results),
        "headline": lambda: headline(results),
        "stages": lambda: stages(results),
        "transforms": lambda: transforms(results),
        "peers": lambda: peers(results),
        "scaling_words": lambda: scaling_words(results),
        "plot": lambda: plot(results),
        "by_slices": lambda: _scaling(results["slices"], "slices"),
        "by_matrix": lambda: _scaling(results["matrices"], "matrix"),
        "by_threads": lambda: _scaling(results["threads"], "threads"),
        "roofline": lambda: roofline(results),
        "gpu": lambda: gpu(gpu_results),
    }
    parts = {}
    for name, make in makers.items():
        try:
            parts[name] = make()
        except KeyError as part:
            parts[name] = f"*Not measured yet ({part.args[0]}): run `make bench`.*"
    text = TEXT.read_text(encoding="utf-8")
    for name, value in parts.items():
        mark = "{{" + name + "}}"
        if mark not in text:
            raise SystemExit(f"{TEXT.name} has no place for {name}")
        text = text.replace(mark, value)
    return text


def main() -> None:
    """Keep the figures, write the page, draw the plot."""
    for measured, kept in ((MEASURED, KEPT), (MEASURED_GPU, KEPT_GPU)):
        if measured.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(measured.read_text(encoding="utf-8"), encoding="utf-8")
    if not KEPT.exists():
        raise SystemExit("Nothing was measured yet: run make bench.")
    results = json.loads(KEPT.read_text(encoding="utf-8"))
    PAGE.write_text(page(results, KEPT_GPU), encoding="utf-8")
    if set(_DRAWN) <= set(results):
        draw(results, PLOT)
    print(f"written: {PAGE}, {PLOT}")


if __name__ == "__main__":
    main()
