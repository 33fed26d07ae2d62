"""Correct the benchmark's scans and write what its scoring program reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path, refuse_foreign
from spinemar.base.file_locks import output_lock
from spinemar.errors import InputError
from spinemar.evaluation.aapm.folders import read_raw_slice, write_raw_slice
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, Progress, ProgressCallback, ignore_progress

FACTS = "submission.json"


@dataclass(frozen=True)
class Submitted:
    """What was done to one case.

    Parameters
    ----------
    case : int
    file : str
        The scan's name.
    fov_mm : float
    metal_pixels : int
    strength : float
        How much of the correction the gate let through; 0 where nothing was changed.
    message : str
        What there is to say of it, empty where there is nothing.
    """

    case: int
    file: str
    fov_mm: float
    metal_pixels: int
    strength: float
    message: str


def write_submission(
    scans: Mapping[int, Path],
    fields_mm: Mapping[int, float],
    output: Path,
    settings: CorrectionSettings | None = None,
    *,
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[Submitted]:
    """Write `01.raw` and so on, and `submission.json` with how they were made: all or nothing.

    Metal is put back as it was in the scan, which is above the scoring program's thresholds.

    Parameters
    ----------
    scans : mapping of case to Path
    fields_mm : mapping of case to field of view
    output : Path
        Folder that is written; a submission that is there is replaced.
    settings : CorrectionSettings, optional
    progress, cancel : optional
        See `spinemar.progress`.

    Raises
    ------
    InputError
        If a scan cannot be used, or the folder holds something else.
    ModelError, CancelledError
    """
    refuse_foreign(output, FACTS)
    chosen = settings or CorrectionSettings()
    inpainter = make_inpainter(chosen.method, chosen.model, chosen.device)
    done: list[Submitted] = []
    with output_lock(output), atomic_path(output) as folder:
        folder.mkdir()
        for number, path in scans.items():
            progress(Progress("Correcting cases", len(done), len(scans)))
            scan = read_raw_slice(path, fields_mm[number])
            try:
                result = correct_volume(scan, chosen, inpainter=inpainter, cancel=cancel)
            except InputError as error:
                raise InputError(f"{path.name}: {error.problem}", error.remedy) from error
            write_raw_slice(folder / f"{number:02d}.raw", result.volume)
            strength = max((report.strength for report in result.slices), default=0.0)
            pixels = int(result.metal_mask.sum())
            done.append(
                Submitted(number, path.name, fields_mm[number], pixels, strength, result.message)
            )
        facts: dict[str, Any] = {
            "software": f"SpineMAR {__version__}",
            "settings": {name: str(value) for name, value in vars(chosen).items()},
            "method": inpainter.name,
            "model": vars(inpainter.facts()),
            "cases": [vars(one) for one in done],
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=1, default=str) + "\n", "utf-8")
        progress(Progress("Correcting cases", len(done), len(scans)))
    return done
