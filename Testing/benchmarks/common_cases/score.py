"""Score methods on the cases, one row a case and method; what is scored is not scored again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spinemar_study.scenes.methods import StudyMethod, study_methods

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.evaluation.seen import seen_scores
from spinemar.io import read_volume
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import shipped_models
from spinemar.volume import CTVolume
from Testing.benchmarks.common_cases.cases import CommonCase, read_common_cases

INPUT = "scan"
CGAN = "cGAN"
METHODS = (INPUT, "li", "nmar", "prior only", "generator", CGAN)
MIDDLE = 1
"""The slice that is scored."""


def score_folder(
    cases: Path,
    rows: Path,
    methods: Sequence[str],
    results: Mapping[str, Path],
    told: Callable[[str], Any],
) -> list[dict[str, Any]]:
    """Score every case by our methods and by results of others.

    Parameters
    ----------
    cases : Path
    rows : Path
        JSON file that holds the rows; kept after every case.
    methods : sequence of str
        Of `METHODS`, each with its own gate and settings, as a user gets it.
    results : mapping of str to Path
        Folders of `CASE.nii.gz` by the method's name.
    told : callable
        Gets a line for each row.

    Raises
    ------
    InputError
        If a result is missing or lies on another grid.
    """
    known: list[dict[str, Any]] = json.loads(rows.read_text("utf-8")) if rows.exists() else []
    rows.parent.mkdir(parents=True, exist_ok=True)
    ready = _ready(methods)
    for case in read_common_cases(cases):
        done = {row["method"] for row in known if row["case"] == case.name}
        fresh = [
            *(_scored(case, name, worker) for name, worker in ready.items() if name not in done),
            *(_read(case, name, folder) for name, folder in results.items() if name not in done),
        ]
        for row in fresh:
            told(f"{row['case']:26} {row['method']:12} {row['rmse_hu']:7.1f} HU, "
                 f"within 20 mm of metal {row['rmse_near_hu']:7.1f} HU")  # fmt: skip
        if fresh:
            known += fresh
            with atomic_path(rows) as path:
                path.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    return known


def _ready(names: Sequence[str]) -> dict[str, StudyMethod | None]:
    cgan = str(shipped_models()["spinemar-lumbar-cgan"])
    made: dict[str, StudyMethod | None] = {}
    for name in names:
        if name == INPUT:
            made[name] = None
        elif name == CGAN:
            (made[name],) = study_methods((), (cgan,))
        else:
            (made[name],) = study_methods((name,))
    return made


def _scored(case: CommonCase, name: str, method: StudyMethod | None) -> dict[str, Any]:
    if method is None:
        return score_row(case, case.scan, name, f"SpineMAR {__version__}")
    found = correct_volume(case.scan, inpainter=method.inpainter, threads=1).volume
    return score_row(case, found, name, f"SpineMAR {__version__}, {method.key}")


def _read(case: CommonCase, name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{case.name}.nii.gz"
    if not path.is_file():
        raise InputError(f"There is no {path}.", "A method is scored on all cases or on none.")
    return score_row(case, read_volume(path), name, "results from elsewhere")


def score_row(case: CommonCase, picture: CTVolume, method: str, by: str) -> dict[str, Any]:
    """Score the middle slice of a picture: what a reader sees, the true metal left out."""
    drawn, faint = seen_scores(
        case.truth, picture, case.metal_fraction, body=case.body, slices=[MIDDLE]
    )
    facts = {name: case.facts[name] for name in ("scanner", "patient", "set", "metals")}
    return {
        "case": case.name, "method": method, "by": by, **facts,
        "rmse_hu": round(drawn.rmse_hu, 2), "rmse_near_hu": round(drawn.rmse_near_hu, 2),
        "rmse_faint_out_hu": round(faint.rmse_hu, 2),
        "rmse_near_faint_out_hu": round(faint.rmse_near_hu, 2),
    }  # fmt: skip
