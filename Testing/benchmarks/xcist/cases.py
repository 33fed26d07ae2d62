"""Make the judge's cases, one folder each; read them again.

A case holds three equal slices: `scan.nii.gz` (12 bit), `scan_extended.nii.gz`, `truth.nii.gz`
(the same scanner, dose and noise without metal), `metal_fraction.nii.gz` (true, 0 to 1),
`body.nii.gz`, `plan.json` and `facts.json`. A case whose `facts.json` is there is whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.judge import mark_as_judge
from spinemar.errors import FaultError, InputError
from spinemar.evaluation.regions import filled_body
from spinemar.io import read_fraction, read_mask, read_volume, write_labels, write_volume
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, write_plan
from spinemar.planning.trajectories.sites import sites_from_landmarks
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.xcist.constructs import (
    CONSTRUCTS,
    PROTOCOL,
    Construct,
    height_mm,
    plan_of,
)
from Testing.benchmarks.xcist.install import HOME, ROOT, SITE, install
from Testing.benchmarks.xcist.phantom import Phantom, make_phantom, slice_affine, write_phantom

PATIENT = "crlm_1006"
"""The validation patient: models may be chosen by it, never trained on it."""
SLICES = 3
SCALES = {"12-bit": "scan.nii.gz", "extended": "scan_extended.nii.gz"}
CASES = HOME / "cases"
_CHILD = "Testing.benchmarks.xcist.scan"


@dataclass(frozen=True)
class Case:
    """One case as read from its folder; arrays (slices, rows, columns)."""

    name: str
    scans: dict[str, CTVolume]
    truth: CTVolume
    metal_fraction: NDArray[np.float32]
    body: NDArray[np.bool_]
    plan: Plan
    facts: dict[str, Any]


def find_patient(given: Path | None) -> Path:
    """The patient's CT: as given, or `$SPINEMAR_JUDGE_PATIENT`, or the developers' data.

    Raises
    ------
    InputError
        If it is not there.
    """
    named = os.environ.get("SPINEMAR_JUDGE_PATIENT")
    usual = ROOT.parent / "shared" / "data" / "ct" / f"{PATIENT}.nii.gz"
    path = given or (Path(named) if named else usual)
    if not path.is_file():
        raise InputError(
            f"There is no {path}: the judge needs the CT of the validation patient {PATIENT}.",
            "Give it with --patient, or in SPINEMAR_JUDGE_PATIENT.",
        )
    return path


def make_cases(patient: Path, output: Path, only: str = "") -> Iterator[tuple[str, bool]]:
    """Make every case that is not there; yields names, and whether each was made now."""
    install()
    output.mkdir(parents=True, exist_ok=True)
    mark_as_judge(output)
    volume = read_volume(patient)
    landmarks = ROOT / "Resources" / "Landmarks" / f"{PATIENT}.json"
    sites = sites_from_landmarks(json.loads(landmarks.read_text("utf-8")))
    for construct in CONSTRUCTS:
        if only not in construct.name:
            continue
        folder = output / construct.name
        if (folder / "facts.json").is_file():
            yield construct.name, False
            continue
        plan = plan_of(construct, sites)
        _make(folder, construct, volume, plan, height_mm(construct, plan, sites))
        yield construct.name, True


def _make(folder: Path, construct: Construct, volume: CTVolume, plan: Plan, height: float) -> None:
    seed = zlib.crc32(construct.name.encode())  # the same whatever else is made
    task = {**PROTOCOL, **construct.protocol, "seed": seed}
    task |= {"matrix": volume.hu.shape[1], "fov_mm": volume.hu.shape[1] * volume.spacing_mm[0]}
    phantom = make_phantom(volume, plan, height, task["slice_mm"])
    affine = slice_affine(volume, height, task["slice_mm"])
    affine[2, 3] -= affine[2, 2] * (SLICES // 2)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as name:
        work = Path(name)
        hu = run_scanner(work / "xcist", phantom, task)
        made = work / "case"
        made.mkdir()
        _write(made, hu, phantom, plan, affine)
        facts = {
            "patient": PATIENT,
            "purpose": "judge only: never train, tune or fit on this",
            "scanner": "XCIST (gecatsim 1.6.9)",
            "height_mm": round(height, 2),
            "levels": construct.levels,
            "screws": construct.screws,
            "rods": construct.rods,
            "protocol": task,
        }
        with atomic_path(made / "facts.json") as path:
            path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def run_scanner(work: Path, phantom: Phantom, task: dict[str, Any]) -> dict[str, Any]:
    """Scan a phantom in a process that has XCIST on its path; HU of "scan" and "truth".

    Raises
    ------
    FaultError
        If that process fails; its last line is told.
    """
    work.mkdir(parents=True, exist_ok=True)
    write_phantom(work, phantom)
    water = HOME / f"water-{task['kvp']}-{Path(task['bowtie']).stem}-{task['slice_mm']:g}.npy"
    facts = json.dumps({**task, "water": str(water)})
    (work / "scan.json").write_text(facts, encoding="utf-8")
    paths = [str(ROOT), str(SITE)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-m", _CHILD, str(work)],
        env=environment,
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = done.stderr.strip().splitlines()[-1:]
        raise FaultError(
            f"XCIST failed on a slice ({' '.join(tail)}).", "Run the command again, or report it."
        )
    with np.load(work / "hu.npz") as stored:
        return {name: stored[name] for name in ("scan", "truth")}


def _write(folder: Path, hu: dict[str, Any], phantom: Phantom, plan: Plan,
           affine: NDArray[np.float64]) -> None:  # fmt: skip
    def stack(image: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(image[None], SLICES, axis=0)

    for scale, name in SCALES.items():
        stored = stored_hu(hu["scan"], scale)  # type: ignore[arg-type]
        write_volume(folder / name, CTVolume(stack(stored), affine))
    truth = stored_hu(hu["truth"], "12-bit")
    write_volume(folder / "truth.nii.gz", CTVolume(stack(truth), affine))
    fraction = stack(phantom.metal_fraction())
    write_volume(folder / "metal_fraction.nii.gz", CTVolume(fraction, affine))
    body = stack(filled_body(truth)).astype(np.int16)
    write_labels(folder / "body.nii.gz", LabelVolume(body, affine))
    write_plan(folder / "plan.json", plan)


def read_case(folder: Path) -> Case:
    """Read one case."""
    scans = {scale: read_volume(folder / name) for scale, name in SCALES.items()}
    truth = read_volume(folder / "truth.nii.gz")
    fraction = read_fraction(folder / "metal_fraction.nii.gz", truth.geometry)
    return Case(
        name=folder.name,
        scans=scans,
        truth=truth,
        metal_fraction=fraction,
        body=read_mask(folder / "body.nii.gz", truth.geometry),
        plan=plan_from_json((folder / "plan.json").read_text(encoding="utf-8")),
        facts=json.loads((folder / "facts.json").read_text(encoding="utf-8")),
    )


def read_cases(folder: Path = CASES) -> Iterator[Case]:
    """Read all cases of a folder, in the order of their names.

    Raises
    ------
    InputError
        If there is none.
    """
    for one in case_folders(folder, "case of the judge", "xcist"):
        yield read_case(one)


def case_folders(folder: Path, what: str, maker: str) -> list[Path]:
    """Return the folders with a `facts.json`, which is written last, in the order of their names.

    Parameters
    ----------
    folder : Path
    what : str
        What they hold, for the message.
    maker : str
        The benchmark that makes them.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(path.parent for path in folder.glob("*/facts.json"))
    if not found:
        raise InputError(
            f"{folder} holds no {what}.",
            f"Make them with: python -m Testing.benchmarks.{maker} make",
        )
    return found
