"""Small cases for the soak: every method with its report, and every kind of job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Case = Callable[[], None]
"""Does the same work each time it is called, and leaves the same files."""


def correction(folder: Path, method: str, with_report: bool) -> Case:
    """Return a correction as `spinemar correct` does it."""
    from spinemar.cli.main import main
    from spinemar.io import write_volume
    from Testing.core.reliability.conftest import drawn_ct

    write_volume(folder / "ct.nrrd", drawn_ct((5, 96, 96)))
    words = ["correct", str(folder / "ct.nrrd"), "-o", str(folder / "out.nrrd"),
             "--method", method, "--overwrite"]  # fmt: skip
    if with_report:
        words += ["--report", str(folder / "report")]

    def run() -> None:
        code = main(words)
        if code != 0:
            raise RuntimeError(f"exit code {code}")

    return run


def _as_job(kind: str, job: dict[str, Any]) -> Case:
    from spinemar.jobs.registry import function_of
    from spinemar.progress import CancelToken, ignore_progress

    whole = {"schema": "spinemar-job/1", "kind": kind, **job}

    def run() -> None:
        function_of(kind)(whole, ignore_progress, CancelToken())

    return run


def _anew(made: Path, make: Case) -> Case:
    """Take away what was made, so that it is made again and not skipped."""

    def run() -> None:
        make()
        shutil.rmtree(made)

    return run


def _scan(folder: Path) -> dict[str, Any]:
    from Testing.core.reliability.conftest import drawn_ct

    volume = drawn_ct((5, 96, 96))
    np.save(folder / "ct.npy", volume.hu)
    return {
        "npy": str(folder / "ct.npy"), "ijk_to_ras": volume.ijk_to_ras.tolist(), "name": "ct"
    }  # fmt: skip


def _correct(folder: Path) -> Case:
    return _as_job("correct", {
        "input": _scan(folder), "output": str(folder / "out.npy"), "settings": {"method": "nmar"},
    })  # fmt: skip


def _find_metal(folder: Path) -> Case:
    return _as_job("find-metal", {
        "input": _scan(folder), "metal_output": str(folder / "metal.npy"),
    })  # fmt: skip


def _batch(folder: Path) -> Case:
    from spinemar.io import write_volume
    from Testing.core.reliability.conftest import drawn_ct

    write_volume(folder / "ct.nrrd", drawn_ct((3, 64, 64)))
    return _anew(folder / "out", _as_job("batch", {
        "sources": [str(folder / "ct.nrrd")], "folder": str(folder / "out"),
        "settings": {"method": "li"},
    }))  # fmt: skip


def _spine(folder: Path) -> dict[str, Any]:
    """Write a drawn spine as the planner hands it over."""
    from spinemar.spine.serial import spine_to_json
    from Testing.core.planning.conftest import build

    spine = build((1.5, 1.5, 2.5), None, "L1-L2")
    volume = spine.labels
    labels = volume.labels
    hu = np.where(labels > 0, 400.0, 40.0).astype(np.float32)
    hu[:, :3] = -1000.0
    np.save(folder / "labels.npy", labels)
    np.save(folder / "ct.npy", hu)
    (folder / "frames.json").write_text(spine_to_json(spine), encoding="utf-8")
    grid = {"ijk_to_ras": volume.ijk_to_ras.tolist()}
    return {
        "input": {"npy": str(folder / "ct.npy"), "name": "ct", **grid},
        "labels": {"npy": str(folder / "labels.npy"), **grid},
        "frames": str(folder / "frames.json"),
    }


def _plan_text(folder: Path) -> tuple[dict[str, Any], str]:
    spine = _spine(folder)
    _as_job("plan", {
        **spine, "levels": ["L1", "L2"], "plan_output": str(folder / "plan.json"),
    })()  # fmt: skip
    return spine, (folder / "plan.json").read_text("utf-8")


def _segment(folder: Path) -> Case:
    spine = _spine(folder)
    return _as_job("segment-spine", {
        "labels": spine["labels"], "naming": {"20": "L1", "21": "L2"},
        "labels_output": str(folder / "l.npy"), "frames_output": str(folder / "f.json"),
    })  # fmt: skip


def _plan(folder: Path) -> Case:
    return _as_job("plan", {
        **_spine(folder), "levels": ["L1", "L2"], "plan_output": str(folder / "plan.json"),
        "fields_folder": str(folder),
    })  # fmt: skip


def _plan_report(folder: Path) -> Case:
    spine, text = _plan_text(folder)
    return _as_job("plan-report", {**spine, "plan": text, "folder": str(folder / "report")})


def _voxelize(folder: Path) -> Case:
    spine, text = _plan_text(folder)
    shape = list(np.load(folder / "ct.npy").shape)
    return _as_job("voxelize", {
        "plan": text, "shape": shape, "ijk_to_ras": spine["input"]["ijk_to_ras"],
        "folder": str(folder),
    })  # fmt: skip


def _scan_job(folder: Path) -> Case:
    spine, text = _plan_text(folder)
    middle = len(np.load(folder / "ct.npy")) // 2
    return _as_job("scan", {
        "input": spine["input"], "plan": text, "output": str(folder / "scan.npy"),
        "slices": [middle, middle + 2],
    })  # fmt: skip


def _surfaces(folder: Path) -> Case:
    return _as_job("spine-surfaces", {
        "labels": _spine(folder)["labels"], "output": str(folder / "surfaces.npz"),
    })  # fmt: skip


def _find_implants(folder: Path) -> Case:
    """Draw a patient after an operation, and have the screws found and graded."""
    from spinemar.spine.serial import spine_to_json
    from Testing.core.postop import patient

    geometry = patient.grid((1.2, 1.2, 2.5))
    labels = patient.labels_on(geometry).labels
    metal = patient.metal_of(patient.operated(), geometry).share
    hu = np.where(labels > 0, 400.0, 40.0)
    hu[:, :6] = -1000.0
    hu = np.where(metal > 0, np.maximum(hu, 3071 * np.sqrt(metal)), hu)
    np.save(folder / "ct.npy", hu.astype(np.float32))
    np.save(folder / "labels.npy", labels)
    (folder / "frames.json").write_text(spine_to_json(patient.spine()), encoding="utf-8")
    grid = {"ijk_to_ras": geometry.ijk_to_ras.tolist()}
    return _as_job("find-implants", {
        "input": {"npy": str(folder / "ct.npy"), "name": "ct", **grid},
        "labels": {"npy": str(folder / "labels.npy"), **grid},
        "frames": str(folder / "frames.json"), "plan_output": str(folder / "plan.json"),
        "settings": {"correction": {"method": "li"}},
    })  # fmt: skip


def _pairs(folder: Path) -> Case:
    """Make a store of two pairs, and take it away again."""
    from spinemar.io import write_volume
    from Testing.core.dataset.conftest import SMALL, landmarks, trunk

    write_volume(folder / "a.nrrd", trunk(1.0))
    (folder / "a.json").write_text(json.dumps(landmarks("training")), encoding="utf-8")
    return _anew(folder / "pairs.zarr", _as_job("pairs", {
        "store": str(folder / "pairs.zarr"), "pairs": 2, "settings": SMALL,
        "inputs": [{"ct": str(folder / "a.nrrd"), "patient": "a",
                    "landmarks": str(folder / "a.json"), "split": "training"}],
    }))  # fmt: skip


CASES: dict[str, Callable[[Path], Case]] = {
    **{
        f"{method}{'-report' if report else ''}": (
            lambda folder, m=method, r=report: correction(folder, m, r)
        )
        for method in ("li", "nmar", "generator")
        for report in (False, True)
    },
    "job-correct": _correct,
    "job-find-metal": _find_metal,
    "job-batch": _batch,
    "job-segment-spine": _segment,
    "job-plan": _plan,
    "job-plan-report": _plan_report,
    "job-voxelize": _voxelize,
    "job-spine-surfaces": _surfaces,
    "job-find-implants": _find_implants,
    "job-scan": _scan_job,
    "job-pairs": _pairs,
}
"""By name; each takes a folder of its own.

"sample-scan" is "scan" of the sample CT, and "sample-files" hands out two paths: neither is here.
"""
