"""Correct every pair without and with its earlier CT, and measure both against the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import SpinemarError
from spinemar.mar.correct import correct_volume
from spinemar.mar.earlier import EarlierCt
from spinemar.mar.result import CorrectionResult
from Testing.benchmarks.earlier_ct.making.pair import Pair, read_pair
from Testing.benchmarks.earlier_ct.scoring.measures import (
    picture_scores,
    places,
    registration_errors,
)

ROWS = "rows"
"""Folder of a JSON file for each pair."""
SCAN, WITHOUT, WITH = "scan", "without", "with"


def score_pairs(pairs: Path, rows: Path, only: str = "", again: str = "") -> Iterator[str]:
    """Score the pairs whose names hold `only`; yields a line each.

    Parameters
    ----------
    pairs : Path
        Folder of the pairs.
    rows : Path
        Folder for a JSON file each; the pictures lie beside it for `sheet`.
    only : str
    again : {"", "with", "all"}
        What is done again although its row is there.
    """
    rows.mkdir(parents=True, exist_ok=True)
    for facts in sorted(pairs.glob("*/facts.json")):
        name = facts.parent.name
        row = rows / f"{name}.json"
        if only not in name or (row.is_file() and not again):
            continue
        known = json.loads(row.read_text("utf-8")) if row.is_file() and again == WITH else {}
        made = _score(read_pair(facts.parent), rows, known)
        with atomic_path(row) as path:
            path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        yield line(made)


def _score(pair: Pair, rows: Path, known: dict[str, Any]) -> dict[str, Any]:
    where = places(pair)
    made = {
        key: pair.facts[key]
        for key in ("name", "patient", "split", "may_tune", "scanner", "metal", "levels",
                    "slice_mm", "arch_removed")
    }  # fmt: skip
    made["earlier"] = pair.facts["earlier"]
    made["slices"] = len(where.slices)
    pictures = dict(known.get("pictures", {}))
    seconds = dict(known.get("seconds", {}))
    if WITHOUT not in pictures:
        result, seconds[WITHOUT] = _corrected(pair, None)
        masks = result.metal_mask, result.metal_outline
        pictures[SCAN] = picture_scores(pair, where, pair.scan, *masks)
        pictures[WITHOUT] = picture_scores(pair, where, result.volume, *masks)
        _keep(rows / f"{pair.name}-without.npz", result)
    try:
        result, seconds[WITH] = _corrected(pair, EarlierCt(pair.earlier))
    except SpinemarError as error:
        return {**made, "pictures": pictures, "seconds": seconds, "refused": error.problem}
    masks = result.metal_mask, result.metal_outline
    pictures[WITH] = picture_scores(pair, where, result.volume, *masks)
    _keep(rows / f"{pair.name}-with.npz", result)
    made |= {"pictures": pictures, "seconds": seconds}
    if result.earlier is not None:
        made["registration"] = registration_errors(pair, where, result.earlier)
    return made


def _corrected(pair: Pair, earlier: EarlierCt | None) -> tuple[CorrectionResult, float]:
    started = time.process_time()
    result = correct_volume(pair.scan, earlier=earlier)
    return result, time.process_time() - started


def _keep(path: Path, result: CorrectionResult) -> None:
    arrays = {"hu": np.rint(result.volume.hu).astype(np.int16)}
    if result.earlier is not None:
        arrays["registered"] = result.earlier.registered_hu
        arrays["agreement"] = result.earlier.agreement_percent
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def line(row: dict[str, Any]) -> str:
    """One pair as text."""
    facts = f"{row['name']:14} {row['metal']:9} {row['slice_mm']:4g} mm"
    shown = row["pictures"]
    parts = [
        f"{name} {one['rmse_hu']:5.1f}/{one['rmse_near_hu']:5.1f}"
        f" cortex {one['cortical_bias_hu']:+5.0f} Dice {one['bone_dice_near']:.3f}"
        for name, one in shown.items()
    ]
    if "refused" in row:
        parts.append(f"REFUSED: {row['refused']}")
    if "registration" in row:
        found = row["registration"]
        parts.append(f"TRE {found['mean_mm']:.2f} ({found['p95_mm']:.2f}) mm")
    return "  |  ".join([facts, *parts, f"{row['seconds'].get(WITH, 0):.0f} s"])
