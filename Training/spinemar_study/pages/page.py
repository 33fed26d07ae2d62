"""Fill the tables of a page from the studies' JSON; its words are written by hand.

A table stands between two comments, `<!-- NAME -->` and `<!-- end -->`; whatever was there is
replaced. A page without a place for a table, or with a place for none, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar_study.results import read_result

_PLACE = re.compile(
    r"(<!-- (?!end )(?P<name>[a-z ]+) -->\n)(?P<old>.*?)(?=<!-- end -->)", re.DOTALL
)
_METHODS = ("input", "nmar", "prior only", "generator")

Document = dict[str, Any]


def fill_page(page: Path, results: Path) -> list[str]:
    """Write the tables into the page; returns their names."""
    text = page.read_text("utf-8")
    filled = []

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in TABLES:
            raise ValueError(f"{page} has a place for {name!r}, which is no table.")
        filled.append(name)
        study, make = TABLES[name]
        lines = make(read_result(results / f"{study}.json"))
        return found[1] + "\n" + "\n".join(lines) + "\n\n"

    text = _PLACE.sub(table, text)
    missing = sorted(set(TABLES) - set(filled))
    if missing:
        raise ValueError(f"{page} has no place for {', '.join(missing)}.")
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return filled


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _interval(value: Document | None, form: str = ".2f", scale: float = 1.0) -> str:
    if value is None or value["mean"] is None:
        return "-"
    mean, low, high = (format(scale * value[k], form) for k in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _percent(value: Document | None) -> str:
    return _interval(value, ".0f", 100.0)


def _number(value: float | None, form: str = ".0f") -> str:
    return "-" if value is None else format(value, form)


def _made_with(document: Document) -> list[str]:
    model = document["model"]
    networks = zip(("prior", "generator"), model["sha256"].split("+"), strict=False)
    hashes = ", ".join(f"{role} `{digest[:8]}`" for role, digest in networks)
    return [f"Model: {model['name']} {model['version']} ({hashes})."]


def findings(document: Document) -> list[str]:
    """Contrast kept, false positives and misses by finding and method."""
    rows = []
    for kind, methods in document["summary"].items():
        for name, entry in methods.items():
            rows.append(
                [
                    f"{kind} (n = {entry['kept']['cases']})" if name == "input" else "",
                    name,
                    _number(entry["contrast_hu"]) if name == "input" else "",
                    _interval(entry["kept"]),
                    _percent(entry["erased"]),
                    _percent(entry["missed"]),
                    _percent(entry["false_positive"]),
                    _interval(entry["auc"]),
                ]
            )
        rays = next(iter(methods.values()))["by_measured_rays"]
        rows.append(["", "*measured rays alone*", "", _interval(rays), "", "", "", ""])
    head = ["finding", "method", "contrast HU", "contrast kept", "erased %", "missed %",
            "false positive %", "AUC"]  # fmt: skip
    return [*_made_with(document), "", *_table(head, rows)]


def _finding_rings(document: Document) -> list[str]:
    """Contrast kept and false positives by distance from metal, all findings together."""
    methods = document["summary"]["all"]
    rings = next(iter(methods.values()))["rings"]
    head = ["method", "", *(f"{r['from_mm']:.0f} to {r['to_mm']:.0f} mm" for r in rings)]
    rows = [["findings there", "", *(str(r["kept"]["cases"]) for r in rings)]]
    for name, entry in methods.items():
        rows.append([name, "contrast kept", *(_interval(r["kept"]) for r in entry["rings"])])
        shares = (_percent(r["false_positive"]) for r in entry["rings"])
        rows.append(["", "false positive %", *shares])
    return _table(head, rows)


def widths(document: Document) -> list[str]:
    """Excess width and grades."""
    rows = []
    for group, entry in document["summary"].items():
        for name, values in entry["methods"].items():
            first = name == next(iter(entry["methods"]))
            rows.append(
                [
                    f"{group} ({entry['screws']} screws)" if first else "",
                    "metal mask" if name == "mask" else name,
                    str(values["no_edge"]),
                    _interval(values["excess_percent"], ".0f"),
                    _interval(values["excess_mm"], ".1f"),
                    _percent(values["same_grade"]),
                    _percent(values["graded_worse"]),
                ]
            )
    head = ["screws", "seen in", "no edge", "too wide by %", "too wide by mm", "true grade %",
            "graded worse %"]  # fmt: skip
    return [*_made_with(document), "", *_table(head, rows)]


def hu(document: Document) -> list[str]:
    """Bland-Altman figures."""
    rows = []
    for tissue, entry in document["summary"].items():
        for name in (n for n in entry if n not in ("discs", "truth_hu")):
            values = entry[name]
            low, high = values["limits"]
            title = f"{tissue} ({entry['discs']} discs, truth {entry['truth_hu']:.0f} HU)"
            rows.append(
                [
                    title if name == "input" else "",
                    name,
                    _interval(values["bias"], ".0f"),
                    _number(values["spread"]),
                    f"{low:.0f} to {high:.0f}",
                    _interval(values["absolute"], ".0f"),
                ]
            )
    head = ["tissue", "method", "bias HU", "SD HU", "limits of agreement HU", "mean error HU"]
    return [*_made_with(document), "", *_table(head, rows)]


def robustness(document: Document) -> list[str]:
    """Ratios to the input and the gate's strength by condition."""
    rows = []
    for entry in document["summary"]["conditions"]:
        gated, free = (entry["methods"][n] for n in ("generator", "generator, no gate"))
        nmar = entry["methods"]["nmar"]
        value = entry["value"]
        shown = "" if value is None else f"{value:g}" if isinstance(value, int | float) else value
        rows.append(
            [
                f"{entry['sweep']} {shown}".strip(),
                _number(entry["input_hu"]),
                _interval(nmar["ratio"]),
                _interval(free["ratio"]),
                _interval(gated["ratio"]),
                _number(gated["worst"], ".2f"),
                _number(gated["strength"]["mean"], ".2f"),
                f"{gated['refused']} of {gated['strength']['cases']}",
                str(gated["harmed"]),
            ]
        )
    head = ["condition", "input RMSE HU", "NMAR / input", "no gate / input", "generator / input",
            "worst", "strength", "refused", "harmed"]  # fmt: skip
    return [*_made_with(document), "", *_table(head, rows)]


def harmed(document: Document) -> list[str]:
    """Every slice that became worse by more than 1 % in spite of the gate."""
    found = document["summary"]["harmed"]
    if not found:
        return ["No slice became worse by more than 1 %."]
    rows = [
        [
            f"{row['sweep']} {'' if row['value'] is None else row['value']}".strip(),
            row["scene"],
            row["method"],
            _number(row["rmse_hu"], ".1f"),
            _number(row["ratio"], ".2f"),
            _number(row["strength"], ".2f"),
        ]
        for row in found
    ]
    return _table(["condition", "scene", "method", "RMSE HU", "times the input", "strength"], rows)


def real(document: Document) -> list[str]:
    """Tell what the gate did on real metal."""
    rows = []
    for case, methods in document["summary"].items():
        for name, entry in methods.items():
            rows.append(
                [
                    case,
                    name,
                    str(entry["slices"]),
                    str(entry["corrected"]),
                    _number(entry["mean_strength"], ".2f"),
                    _number(entry["span_before_hu"], ".1f"),
                    _number(entry["span_after_hu"], ".1f"),
                    _number(entry["largest_far_change_hu"], ".1f"),
                ]
            )
    head = ["scan", "method", "slices with metal", "corrected", "mean strength",
            "unrest before HU", "unrest after HU", "largest change beyond 60 mm HU"]  # fmt: skip
    return [*_made_with(document), "", *_table(head, rows)]


_SCANNERS = ("fan beam", "parallel beam", "XCIST")


def placement(document: Document) -> list[str]:
    """RMSE by arm."""
    summary, settings = document["summary"]["all"], document["settings"]
    rows = []
    for name, entry in summary["arms"].items():
        seeds = ", ".join(f"{v:.1f}" for v in entry.get("seeds_hu", []))
        rows.append([name, f"{entry['rmse_hu']:.1f}", f"{entry['rmse_near_hu']:.1f}", seeds or "-"])
    cpu = [run["cpu_seconds"] for run in document["runs"]]
    groups = {k: entry["cases"] for k, entry in document["summary"].items() if k in _SCANNERS}
    budget = (
        f"{settings['pairs']} pairs an arm, {settings['steps']} steps of "
        f"{settings['batch_size']} crops of {settings['crop_px']} pixels, widths "
        f"{'-'.join(map(str, settings['widths']))}: {min(cpu):.0f} to {max(cpu):.0f} s of one "
        f"CPU core each. {summary['cases']} cases of {len(settings['patients'])} unseen patients ("
        + ", ".join(f"{count} in {name}" for name, count in groups.items())
        + ")."
    )
    return [budget, "", *_table(["trained on", "RMSE HU", "within 20 mm", "each seed"], rows)]


def _placement_differences(document: Document) -> list[str]:
    """Ratios between arms, over all cases and by beam."""
    rows = []
    for group in ("all", *_SCANNERS):
        for name, entry in (
            document["summary"].get(group, {"differences": {}})["differences"].items()
        ):
            rows.append(
                [
                    f"{group} ({document['summary'][group]['cases']} cases)",
                    name,
                    _interval(entry["rmse_hu"], ".3f"),
                    _interval(entry["rmse_near_hu"], ".3f"),
                    ", ".join(f"{v:.3f}" for v in entry["by_seed"]),
                ]
            )
    head = ["cases", "arms", "ratio of RMSE", "ratio within 20 mm", "ratio, each seed"]
    return _table(head, rows)


def placement_reasons(document: Document) -> list[str]:
    """Tell what the pairs look like."""
    why = document["summary"]["why"]
    names = {
        "true_metal_mm2": ("true metal in the slice, mm2", ".0f"),
        "metal_mm2": ("metal in the slice, mm2", ".0f"),
        "share": ("rays through metal, %", ".1f"),
        "lost_share": ("lost rays, %", ".1f"),
        "parts": ("parts of the trace in a view", ".2f"),
        "mean_width": ("mean width of a part, bins", ".1f"),
        "widest": ("widest part, bins", ".0f"),
        "by_angle": ("change with the view angle (SD / mean)", ".2f"),
    }
    rows = []
    for key, (title, form) in names.items():
        if key not in why["realistic"]:  # results from before the store's rows said it
            continue
        scale = 100.0 if key.endswith("share") else 1.0
        rows.append(
            [title, *(_interval(why[k][key], form, scale) for k in ("realistic", "random"))]
        )
    for image in ("input", "nmar"):
        for n, (low, high) in enumerate(why["rings_mm"]):
            far = "beyond" if high > 300 else f"to {high:.0f}"
            values = [_number(why[k][f"{image}_rings_hu"][n]) for k in ("realistic", "random")]
            rows.append([f"RMSE of {image}, {low:.0f} mm {far}, HU", *values])
    head = ["", *(f"{k} ({why[k]['pairs']} pairs)" for k in ("realistic", "random"))]
    return _table(head, rows)


def regression(document: Document) -> list[str]:
    """Mean scores of the frozen scenes."""
    means = document["summary"]["mean_rmse_hu"]
    rows = [[name, f"{value:.1f}"] for name, value in means.items()]
    lines = [*_made_with(document), "", *_table(["method", "RMSE HU"], rows)]
    before = document["summary"].get("predecessor")
    if before:
        ratio, cases = _interval(before["ratio"]), before["ratio"]["cases"]
        lines += [
            "",
            f"Its error over that of {before['model']['version']}, which it replaced: "
            f"{ratio}, geometric mean over {cases} scenes.",
        ]
    return lines


TABLES: dict[str, tuple[str, Callable[[Document], list[str]]]] = {
    "placement": ("placement", placement),
    "placement differences": ("placement", _placement_differences),
    "placement reasons": ("placement", placement_reasons),
    "equal placement": ("placement-equal", placement),
    "equal placement differences": ("placement-equal", _placement_differences),
    "equal placement reasons": ("placement-equal", placement_reasons),
    "findings": ("findings", findings),
    "findings by distance": ("findings", _finding_rings),
    "widths": ("width", widths),
    "hu": ("hu", hu),
    "robustness": ("robustness", robustness),
    "harmed": ("robustness", harmed),
    "real": ("real", real),
    "regression": ("regression", regression),
}
