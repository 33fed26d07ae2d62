"""Rows of pairs in figures: means and intervals over pairs, by scanner and metal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spinemar_study.statistics import bootstrap, pooled_ratio

from Testing.benchmarks.earlier_ct.scoring.score import SCAN, WITH, WITHOUT

Row = dict[str, Any]

PICTURES = (SCAN, WITHOUT, WITH)
_FIGURES = ("rmse_hu", "rmse_near_hu", "rmse_near_faint_out_hu", "rmse_near_outside_masks_hu",
            "cortical_bias_hu", "bone_dice_near")  # fmt: skip
_WORSE = 1.02
_BEYOND_MM = 5.0


def read_rows(folder: Path) -> list[Row]:
    """Read the rows that `score` wrote, in the order of their names."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """All pairs of a scanner, then those of each metal and of each patient."""
    found: dict[str, list[Row]] = {}
    for scanner in dict.fromkeys(row["scanner"] for row in rows):
        of_scanner = [row for row in rows if row["scanner"] == scanner]
        found[scanner] = of_scanner
        for key in ("metal", "split"):
            for value in dict.fromkeys(row[key] for row in of_scanner):
                found[f"{scanner}, {value}"] = [r for r in of_scanner if r[key] == value]
    return found


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of each group of pairs; a refused pair counts as left as it was without."""
    return {
        name: _figures([_filled(row) for row in chosen]) for name, chosen in groups(rows).items()
    }


def _filled(row: Row) -> Row:
    """A pair whose earlier CT was refused has the picture without it."""
    pictures = row["pictures"]
    return row if WITH in pictures else {**row, "pictures": {**pictures, WITH: pictures[WITHOUT]}}


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "pairs": len(rows),
        "refused": sum("refused" in row for row in rows),
        "pictures": {
            name: {figure: _mean(row["pictures"][name][figure] for row in rows)
                   for figure in _FIGURES}
            for name in PICTURES
        },
    }  # fmt: skip
    for figure in ("rmse_hu", "rmse_near_hu", "rmse_near_outside_masks_hu"):
        ratios = [_ratio(row, figure) for row in rows]
        made[f"ratio_{figure}"] = bootstrap(ratios).to_json()
    overall = [_ratio(row, "rmse_hu") for row in rows]
    made["worse"] = sum(ratio > _WORSE for ratio in overall)
    made["worst_ratio"] = max(overall)
    made["registration"] = _registration(rows)
    made["findings"] = {name: _findings(rows, name) for name in PICTURES}
    made["ghosts"] = {name: _ghosts(rows, name) for name in PICTURES}
    made["seconds_more"] = _mean(
        row["seconds"][WITH] - row["seconds"][WITHOUT] for row in rows if WITH in row["seconds"]
    )
    return made


def _ratio(row: Row, figure: str) -> float:
    return float(row["pictures"][WITH][figure] / row["pictures"][WITHOUT][figure])


def _registration(rows: Sequence[Row]) -> dict[str, Any]:
    known = [row["registration"] for row in rows if "registration" in row]
    return {
        "mean_mm": bootstrap([one["mean_mm"] for one in known]).to_json(),
        "p95_mm": _mean(one["p95_mm"] for one in known),
        "within_1_5_mm": bootstrap([one["within_1_5_mm"] for one in known]).to_json(),
    }


def _findings(rows: Sequence[Row], picture: str) -> dict[str, Any]:
    """Contrast kept of old and new findings, and of each kind."""
    every = [(row["name"], one) for row in rows for one in row["pictures"][picture]["findings"]]

    def kept(wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        chosen = [(name, one["kept"]) for name, one in every if wanted(one)]
        return bootstrap([v for _, v in chosen], [name for name, _ in chosen]).to_json()

    kinds = dict.fromkeys(one["kind"] for _, one in every)
    return {
        "old": kept(lambda one: not one["new"]),
        "new": kept(lambda one: one["new"]),
        **{kind: kept(lambda one, kind=kind: one["kind"] == kind) for kind in kinds},
    }


def _ghosts(rows: Sequence[Row], picture: str) -> dict[str, Any]:
    """Share of the removed bone's contrast that is shown, by distance from metal."""
    rings = [(row["name"], ring) for row in rows for ring in row["pictures"][picture]["ghosts"]]

    def share(chosen: Sequence[tuple[str, dict[str, float]]]) -> dict[str, Any]:
        return (
            pooled_ratio(
                [ring["part"] for _, ring in chosen],
                [ring["whole"] for _, ring in chosen],
                [name for name, _ in chosen],
            ).to_json()
            if chosen
            else bootstrap([]).to_json()
        )

    beyond = share([(n, ring) for n, ring in rings if ring["from_mm"] >= _BEYOND_MM])
    places = sorted({(ring["from_mm"], ring["to_mm"]) for _, ring in rings})
    by_ring = {
        f"{low:g}-{high:g} mm": share([(n, r) for n, r in rings if r["from_mm"] == low])
        for low, high in places
    }
    return {"beyond 5 mm": beyond, **by_ring}


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
