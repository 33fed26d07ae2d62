"""A pair of scans as a folder.

It holds `scan.nii.gz` (12 bit, with metal), `truth.nii.gz` (the same without metal),
`earlier.nii.gz`, `metal_fraction.nii.gz`, `body.nii.gz`, `plan.json`, `known.npz` (true posture,
vertebrae, what was removed, every finding) and `facts.json`. A folder is there whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.io import read_fraction, read_mask, read_volume, write_labels, write_volume
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import write_plan
from spinemar.volume import CTVolume, GridGeometry, LabelVolume
from Testing.benchmarks.earlier_ct.making.posture import Posture


@dataclass(frozen=True, eq=False)
class Finding:
    """A finding: its contrast in HU, shape of the scan, and whether the earlier CT lacks it."""

    kind: str
    new: bool
    contrast: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pair:
    """A pair as read from its folder; arrays have the scan's shape (slices, rows, columns).

    Parameters
    ----------
    name : str
    scan, truth, earlier : CTVolume
    metal_fraction : ndarray
    body : ndarray of bool
    labels : ndarray of int16
        True vertebrae in the scan, VerSe numbers.
    removed : ndarray of float32
        HU that the operation took away.
    findings : tuple of Finding
    posture : Posture
    facts : dict
    """

    name: str
    scan: CTVolume
    truth: CTVolume
    earlier: CTVolume
    metal_fraction: NDArray[np.float32]
    body: NDArray[np.bool_]
    labels: NDArray[np.int16]
    removed: NDArray[np.float32]
    findings: tuple[Finding, ...]
    posture: Posture
    facts: dict[str, Any]


def write_pair(folder: Path, pair: Pair, plan: Plan) -> None:
    """Write a pair; what lay there before is replaced."""
    grid = pair.truth.geometry
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as name:
        made = Path(name) / "pair"
        made.mkdir()
        for part in ("scan", "truth", "earlier"):
            volume: CTVolume = getattr(pair, part)
            write_volume(made / f"{part}.nii.gz", CTVolume(volume.hu, volume.ijk_to_ras))
        fraction = CTVolume(pair.metal_fraction, grid.ijk_to_ras)
        write_volume(made / "metal_fraction.nii.gz", fraction)
        body = LabelVolume(pair.body.astype(np.int16), grid.ijk_to_ras)
        write_labels(made / "body.nii.gz", body)
        write_plan(made / "plan.json", plan)
        np.savez_compressed(made / "known.npz", **_known(pair))
        facts = json.dumps(pair.facts, indent=2) + "\n"
        (made / "facts.json").write_text(facts, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _known(pair: Pair) -> dict[str, NDArray[Any]]:
    findings = {
        f"finding_{n}": np.rint(one.contrast).astype(np.int16)
        for n, one in enumerate(pair.findings)
    }
    return {
        "labels": pair.labels,
        "removed": np.rint(pair.removed).astype(np.int16),
        "body_motion": pair.posture.body,
        "lattice": pair.posture.lattice.ijk_to_ras,
        "shift_mm": pair.posture.shift_mm,
        **findings,
    }


def read_pair(folder: Path) -> Pair:
    """Read one pair."""
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    truth = read_volume(folder / "truth.nii.gz")
    with np.load(folder / "known.npz") as known:
        shift = known["shift_mm"]
        findings = tuple(
            Finding(f["kind"], f["new"], known[f"finding_{n}"].astype(np.float32))
            for n, f in enumerate(facts["findings"])
        )
        return Pair(
            name=folder.name,
            scan=read_volume(folder / "scan.nii.gz"),
            truth=truth,
            earlier=read_volume(folder / "earlier.nii.gz"),
            metal_fraction=read_fraction(folder / "metal_fraction.nii.gz", truth.geometry),
            body=read_mask(folder / "body.nii.gz", truth.geometry),
            labels=known["labels"],
            removed=known["removed"].astype(np.float32),
            findings=findings,
            posture=Posture(
                known["body_motion"], GridGeometry(shift.shape[1:], known["lattice"]), shift
            ),
            facts=facts,
        )
