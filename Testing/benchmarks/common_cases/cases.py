"""The cases: a folder each, made once and the same everywhere.

A case holds three slices: `scan.nii.gz`, `li.nii.gz` (for networks that want a first guess),
`truth.nii.gz`, `metal_fraction.nii.gz`, `body.nii.gz`, and `facts.json`, which is written last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.judge import mark_as_judge
from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.storage.layout import records
from spinemar.dataset.storage.reader import PairStore
from spinemar.demo.sample_data import sample_ct
from spinemar.evaluation.regions import filled_body
from spinemar.io import read_fraction, read_mask, read_volume, write_labels, write_volume
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.found_metal import slices_with_metal
from Testing.benchmarks.xcist.cases import case_folders, find_patient, read_cases

ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / "build" / "common_cases"
CASES = HOME / "cases"
PAIRS = 12
"""Cases of each patient by the project's own scanner."""
SEEDS = {"crlm_1006": 3201, "lidc_idri_0001": 3202}
SETTINGS = PairSettings(realistic_share=1.0, raw_share=0.0, edge_share=0.0, mild_share=0.0)
_ARRAYS = ("input", "li", "truth", "metal_fraction")


@dataclass(frozen=True)
class CommonCase:
    """One case as read from its folder; arrays (slices, rows, columns)."""

    name: str
    scan: CTVolume
    truth: CTVolume
    metal_fraction: NDArray[np.float32]
    body: NDArray[np.bool_]
    facts: dict[str, Any]


def patients(given: Path | None) -> list[CtEntry]:
    """The validation patient, and the sample patient, whom nothing is tuned on.

    Raises
    ------
    InputError
        If a CT is not at hand.
    """
    marks = ROOT / "Resources" / "Landmarks"
    found = []
    for name, path, patient, split in (
        ("crlm_1006", find_patient(given), "CRLM-CT-1006", "validation"),
        ("lidc_idri_0001", sample_ct(), "LIDC-IDRI-0001", "test"),
    ):
        found.append(CtEntry(path, patient, landmarks=marks / f"{name}.json", split=split))
    return found


def make_own_cases(given: Path | None, output: Path) -> Iterator[str]:
    """Make the cases of the project's own scanner that are not there; yields their names."""
    output.mkdir(parents=True, exist_ok=True)
    mark_as_judge(output)
    for entry, (name, seed) in zip(patients(given), SEEDS.items(), strict=True):
        named = [f"own-{name}-{number:02d}" for number in range(PAIRS)]
        if all((output / case / "facts.json").is_file() for case in named):
            continue
        store = HOME / f"{name}.zarr"
        store.parent.mkdir(parents=True, exist_ok=True)
        make_store(store, [entry], PAIRS, settings=SETTINGS, seed=seed, block_pairs=4)
        pairs = PairStore(store, _ARRAYS)
        rows = (row for record in records(store) for row in record.rows)
        for case, pair, row in zip(named, pairs, rows, strict=True):
            _write_own(output / case, pair, row)
            yield case


def _write_own(folder: Path, pair: dict[str, Any], row: dict[str, Any]) -> None:
    pixel = row["pixel_mm"]
    affine = np.diag([-pixel, -pixel, row["spacing_mm"], 1.0])
    facts = {
        "scanner": "own", "patient": row["patient"], "set": row["split"],
        "metals": [name for name in row["materials"] if name in row["metal_mm2"]],
        "scan": row["scanner"], "slice_mm": row["slice_mm"], "fov_mm": row["fov_mm"],
        "lost_ray_share": row["lost_ray_share"][1],
    }  # fmt: skip
    volumes = [CTVolume(pair[name], affine) for name in ("input", "li", "truth")]
    share = np.clip(pair["metal_fraction"].sum(axis=1), 0, 1)
    write_case(folder, volumes, CTVolume(share, affine), filled_bodies(pair["truth"]), facts)


def filled_bodies(truth: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the body of each slice of (slices, rows, columns)."""
    return np.stack([filled_body(np.asarray(hu, np.float32)) for hu in truth])


def take_xcist_cases(source: Path, output: Path) -> Iterator[str]:
    """Take the 12-bit scans of XCIST's cases over, with a first guess; yields their names.

    None is there, and none is taken, where `Testing.benchmarks.xcist make` did not run.
    """
    if not any(source.glob("*/facts.json")):
        return
    output.mkdir(parents=True, exist_ok=True)
    mark_as_judge(output)
    for case in read_cases(source):
        folder = output / f"xcist-{case.name}"
        if (folder / "facts.json").is_file():
            continue
        scan = case.scans["12-bit"]
        facts = {
            "scanner": "XCIST", "patient": "CRLM-CT-1006", "set": "validation",
            "metals": sorted({case.facts["screws"], case.facts["rods"]} - {None}),
            "scan": case.facts["protocol"],
        }  # fmt: skip
        metal = CTVolume(case.metal_fraction, scan.ijk_to_ras)
        volumes = [scan, scan.with_hu(linear_guess(scan)), case.truth]
        write_case(folder, volumes, metal, case.body, facts)
        yield folder.name


def linear_guess(scan: CTVolume) -> NDArray[np.float32]:
    """Correct by linear interpolation, without gate and without metal put back: as pairs have it.

    Parameters
    ----------
    scan : CTVolume
        Axial slices in the order (slices, rows, columns).
    """
    _, cache = slices_with_metal(scan)
    return np.stack(cache.get("li_hu", range(len(scan.hu))))


def write_case(
    folder: Path,
    volumes: list[CTVolume],
    metal: CTVolume,
    body: NDArray[np.bool_],
    facts: dict[str, Any],
) -> None:
    """Write a case whole: scan, first guess and truth, the true metal, the body, the facts."""
    with atomic_path(folder) as work:
        work.mkdir()
        for name, volume in zip(("scan", "li", "truth"), volumes, strict=True):
            write_volume(work / f"{name}.nii.gz", volume)
        write_volume(work / "metal_fraction.nii.gz", metal)
        write_labels(work / "body.nii.gz", LabelVolume(body.astype(np.int16), metal.ijk_to_ras))
        (work / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_common_cases(folder: Path) -> Iterator[CommonCase]:
    """Read all cases of a folder, in the order of their names.

    Raises
    ------
    InputError
        If there is none.
    """
    for one in case_folders(folder, "case", "common_cases"):
        scan, truth = (read_volume(one / f"{name}.nii.gz") for name in ("scan", "truth"))
        yield CommonCase(
            os.fspath(one.name),
            scan,
            truth,
            read_fraction(one / "metal_fraction.nii.gz", truth.geometry),
            read_mask(one / "body.nii.gz", truth.geometry),
            json.loads((one / "facts.json").read_text(encoding="utf-8")),
        )
