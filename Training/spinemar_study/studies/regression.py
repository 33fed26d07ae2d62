"""The frozen subset that guards the shipped model: scenes from seeds, their scores on file.

A new model is worse when its error on the frozen scenes is larger than the shipped model's by
more than the 95 % interval of the difference, scene by scene, and by more than rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.evaluation.metrics import rmse_hu
from spinemar.evaluation.regions import slice_regions
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scan_collection import scan_scene
from spinemar_study.scenes.scenes import MIDDLE, load_patient, make_scenes
from spinemar_study.statistics import Estimate, geometric
from spinemar_study.study_settings import RegressionSettings

_ROUNDING = 1.002
_SAME_SCENES = 0.01
"""Inputs that differ by more are other scenes: the simulator changed, not the model."""


def frozen_scores(
    settings: RegressionSettings, methods: Sequence[StudyMethod]
) -> list[dict[str, Any]]:
    """Simulate and score the frozen scenes; one row each, RMSE by method, HU."""
    rows = []
    for source in settings.bank.patients:
        for scene in make_scenes(load_patient(source), settings.bank):
            scanned = scan_scene(scene)
            truth = scanned.truth.hu[MIDDLE]
            pixel = (scanned.scan.spacing_mm[1], scanned.scan.spacing_mm[0])
            scored = slice_regions(truth, scanned.metal[MIDDLE], pixel).scored
            middle = CentralSlice(scanned.scan, scanned.metal)
            rmse = {"input": rmse_hu(truth, scanned.scan.hu[MIDDLE], scored)}
            for method in methods:
                rmse[method.name] = rmse_hu(truth, middle.corrected(method.inpainter).hu, scored)
            rows.append({"scene": scene.name, "rmse_hu": rmse})
    return rows


def changed_scenes(
    stored: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Names of scenes that are no longer what they were when the scores were frozen."""
    before = {row["scene"]: row["rmse_hu"]["input"] for row in stored}
    after = {row["scene"]: row["rmse_hu"]["input"] for row in found}
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name not in before
        or name not in after
        or abs(after[name] / before[name] - 1) > _SAME_SCENES
    )


def ratio_to_shipped(
    stored: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    method: str = "shipped",
) -> Estimate:
    """Geometric mean of new error over the frozen one with its interval, scene by scene."""
    before = {row["scene"]: row["rmse_hu"]["shipped"] for row in stored}
    return geometric([row["rmse_hu"][method] / before[row["scene"]] for row in found])


def is_worse(ratio: Estimate) -> bool:
    """Whether a ratio says worse beyond its interval and beyond rounding."""
    return ratio.low > 1.0 and ratio.mean > _ROUNDING


def predecessor(
    stored: Mapping[str, Any] | None, model: Mapping[str, str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Compare with the model whose scores are on file; None where nothing can be compared.

    Freezing the same model again keeps what was found when it took its predecessor's place.
    """
    if stored is None or changed_scenes(stored["rows"], rows):
        return None
    if stored["model"]["sha256"] == model["sha256"]:
        return stored["summary"].get("predecessor")
    ratio = ratio_to_shipped(stored["rows"], rows)
    return {"model": stored["model"], "ratio": ratio.to_json()}


def freeze(settings: RegressionSettings, methods: Sequence[StudyMethod], output: Path) -> None:
    """Write the shipped model's scores, and how they compare with those they replace."""
    from spinemar_study.results import model_facts, read_result, write_result

    model = model_facts()
    stored = read_result(output) if output.exists() else None
    rows = frozen_scores(settings, methods)
    summary: dict[str, Any] = {
        "mean_rmse_hu": {
            name: float(np.mean([row["rmse_hu"][name] for row in rows]))
            for name in rows[0]["rmse_hu"]
        }
    }
    found = predecessor(stored, model, rows)
    if found:
        summary["predecessor"] = found
    write_result(output, "regression", settings, rows, summary, model)
