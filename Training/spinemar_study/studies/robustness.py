"""One condition changed at a time: what is left of the input's error, and what the gate says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.evaluation.metrics import rmse_hu
from spinemar.evaluation.regions import slice_regions
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.conditions import MASKS, SCANS, Trial, base
from spinemar_study.scenes.methods import OPEN_GATE, StudyMethod
from spinemar_study.scenes.scan_collection import ScanCollection
from spinemar_study.scenes.scenes import MIDDLE, Scene
from spinemar_study.statistics import bootstrap, geometric
from spinemar_study.study_settings import RobustnessSettings

_WORSE = 1.01
"""A slice with more than so many times the input's error was harmed."""


def measure_robustness(
    settings: RobustnessSettings, methods: Sequence[StudyMethod], work: Path
) -> list[dict[str, Any]]:
    """Score every scene under every condition; one row for each method with and without gate."""
    collection, rows = ScanCollection(settings.bank, work), []
    key = "+".join(method.key for method in methods).replace(" ", "-")
    for scene in collection.scenes():
        usual: Trial | None = None
        for sweep, values in {"base": [None], **settings.sweeps}.items():
            for value in values:
                path = collection.folder / f"robust-{key}" / f"{scene.name}-{sweep}-{value}.json"
                if not path.exists():
                    if usual is None:
                        usual = base(scene)
                    made = _trial_rows(collection, scene, usual, sweep, value, methods)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with atomic_path(path) as temporary:
                        temporary.write_text(json.dumps(made), encoding="utf-8")
                    print(f"{scene.name} {sweep} {value}", flush=True)
                rows += json.loads(path.read_text("utf-8"))
    return rows


def _trial_rows(
    collection: ScanCollection,
    scene: Scene,
    usual: Trial,
    sweep: str,
    value: Any,
    methods: Sequence[StudyMethod],
) -> list[dict[str, Any]]:
    patient = next(
        p for p in map(collection.patient, collection.numbers) if p.name == scene.facts["patient"]
    )
    if sweep == "base":
        trial = usual
    elif sweep in MASKS:
        trial = MASKS[sweep](usual, value)
    else:
        trial = SCANS[sweep](patient, scene, value)
    known = {"scene": scene.name, "sweep": sweep, "value": value, **scene.facts}
    return [{**known, **row} for row in score_trial(trial, methods)]


def score_trial(trial: Trial, methods: Sequence[StudyMethod]) -> list[dict[str, Any]]:
    """Return RMSE before and after, near metal too, and the gate's strength, method by method."""
    truth = trial.truth.hu[MIDDLE]
    pixel = (trial.scan.spacing_mm[1], trial.scan.spacing_mm[0])
    regions = slice_regions(truth, trial.left_out[MIDDLE], pixel)

    def errors(image: np.ndarray) -> dict[str, float]:
        return {
            "rmse_hu": rmse_hu(truth, image, regions.scored),
            "rmse_near_hu": rmse_hu(truth, image, regions.near),
        }

    middle = CentralSlice(trial.scan, trial.metal)
    rows = [{"method": "input", "strength": 0.0, **errors(trial.scan.hu[MIDDLE])}]
    for method in methods:
        proposal = middle.proposed(method.inpainter)
        gates = {method.name: method.inpainter.gate, f"{method.name}, no gate": OPEN_GATE}
        for label, gate in gates.items():
            result = middle.judged(proposal, gate)
            rows.append({"method": label, "strength": result.strength, **errors(result.hu)})
    return rows


def summarise_robustness(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ratios to the input with intervals, by sweep, value and method; and every harmed slice.

    A scan whose middle slice holds none of the metal has no error to remove and is left out.
    """
    spoiled = {_key(row) for row in rows if row["method"] == "input" and row["rmse_hu"] > 0}
    rows = [row for row in rows if _key(row) in spoiled]
    before = {_key(row): row for row in rows if row["method"] == "input"}
    out: dict[str, Any] = {"conditions": [], "harmed": []}
    names = [n for n in dict.fromkeys(row["method"] for row in rows) if n != "input"]
    for sweep, value in dict.fromkeys((row["sweep"], row["value"]) for row in rows):
        chosen = [r for r in rows if (r["sweep"], r["value"]) == (sweep, value)]
        entry: dict[str, Any] = {"sweep": sweep, "value": value, "methods": {}}
        inputs = [r["rmse_hu"] for r in chosen if r["method"] == "input"]
        entry["input_hu"] = float(np.mean(inputs))
        for name in names:
            these = [r for r in chosen if r["method"] == name]
            ratios = [r["rmse_hu"] / before[_key(r)]["rmse_hu"] for r in these]
            strengths = [r["strength"] for r in these]
            entry["methods"][name] = {
                "ratio": geometric(ratios).to_json(),
                "worst": float(np.max(ratios)),
                "strength": bootstrap(strengths).to_json(),
                "refused": int(np.sum(np.array(strengths) == 0.0)),
                "harmed": int(np.sum(np.array(ratios) > _WORSE)),
            }
        out["conditions"].append(entry)
    for row in rows:
        ratio = row["rmse_hu"] / before[_key(row)]["rmse_hu"]
        if ratio > _WORSE and row["method"] != "input" and "no gate" not in row["method"]:
            out["harmed"].append({**row, "ratio": ratio})
    return out


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["scene"], row["sweep"], row["value"]
