"""Findings put into the judge's patient before the scan: one more scan a group, and its truth.

``finding-GROUP.npz`` in a case's folder: the scan (12 bit), its truth, and each finding's share of
the pixels. The groups are those of the study of findings (`spinemar_study.scenes.lesions`), so
that both scanners are asked the same.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spinemar_study.scenes.lesions import GROUPS, group_of
from spinemar_study.scenes.scenes import Scene

from spinemar.base.atomic_files import atomic_path
from spinemar.io import read_volume
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.planning.trajectories.sites import PedicleSite, sites_from_landmarks
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.cases import (
    PATIENT,
    SLICES,
    Case,
    read_case,
    read_cases,
    run_scanner,
)
from Testing.benchmarks.xcist.constructs import CONSTRUCTS, Construct
from Testing.benchmarks.xcist.install import ROOT, install
from Testing.benchmarks.xcist.phantom import make_phantom, patient_slice, slice_affine

_SIDES = ("left", "right")


@dataclass(frozen=True)
class ScannedFinding:
    """One more scan of a case, with findings in the anatomy.

    Parameters
    ----------
    group : str
    scan, truth : CTVolume
        Three equal slices, with and without metal, noise shared with the case's own scans.
    shares : dict of str to ndarray of float32, shape (rows, columns)
        Share of each pixel that a finding takes, by kind.
    """

    group: str
    scan: CTVolume
    truth: CTVolume
    shares: dict[str, NDArray[np.float32]]


def shows_findings(construct: Construct) -> bool:
    """Whether a case's slice runs through both screws of a level, as findings lie about them."""
    return construct.where == "pedicles" and set(construct.sides) == set(_SIDES)


def make_findings(patient: Path, cases: Path, only: str = "") -> Iterator[tuple[str, bool]]:
    """Scan every group of findings of the cases that are there; yields names, and whether now."""
    install()
    volume = read_volume(patient)
    landmarks = ROOT / "Resources" / "Landmarks" / f"{PATIENT}.json"
    sites = sites_from_landmarks(json.loads(landmarks.read_text("utf-8")))
    by_name = {construct.name: construct for construct in CONSTRUCTS}
    for case in read_cases(cases):
        construct = by_name[case.name]
        if only not in case.name or not shows_findings(construct):
            continue
        scene = scene_of(case, construct, volume, sites)
        for group in GROUPS:
            path = cases / case.name / f"finding-{group}.npz"
            made = not path.is_file()
            if made:
                _make(path, scene, group, case.facts)
            yield f"{case.name} {group}", made


def scene_of(
    case: Case, construct: Construct, volume: CTVolume, sites: Sequence[PedicleSite]
) -> Scene:
    """Describe a case as the study of findings describes its scenes."""
    level = construct.levels[0]
    height_mm = case.facts["height_mm"]
    affine = slice_affine(volume, height_mm, case.facts["protocol"]["slice_mm"])
    affine[2, 3] -= affine[2, 2] * (SLICES // 2)
    hu = np.repeat(patient_slice(volume, height_mm)[None], SLICES, axis=0)
    held: dict[str, PedicleSite] = {site.side: site for site in sites if site.level == level}
    seed = sum(construct.name.encode())
    return Scene(
        construct.name, CTVolume(hu, affine), case.plan, level, held, ScannerSettings(), seed, {}
    )


def _make(path: Path, scene: Scene, group: str, facts: dict[str, Any]) -> None:
    task = facts["protocol"]
    hu, shares = scene.volume.hu, {}
    for lesion in group_of(scene, group):
        hu = lesion.applied(hu)
        shares[f"finding {lesion.kind}"] = lesion.share[SLICES // 2]
    changed = scene.volume.with_hu(hu)
    phantom = make_phantom(changed, scene.plan, facts["height_mm"], task["slice_mm"])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as name:
        found = run_scanner(Path(name) / "xcist", phantom, task)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            scan=stored_hu(found["scan"], "12-bit").astype(np.int16),
            truth=stored_hu(found["truth"], "12-bit").astype(np.int16),
            **shares,
        )


def read_findings(folder: Path) -> tuple[Case, list[ScannedFinding]]:
    """Read a case and what was scanned of it with findings."""
    case, found = read_case(folder), []
    for path in sorted(folder.glob("finding-*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            shares = {
                name.removeprefix("finding "): stored[name]
                for name in stored.files
                if name.startswith("finding ")
            }
            group = path.stem.removeprefix("finding-")
            scan, truth = (_stack(stored[name], case.truth) for name in ("scan", "truth"))
        found.append(ScannedFinding(group, scan, truth, shares))
    return case, found


def _stack(slice_hu: NDArray[np.int16], like: CTVolume) -> CTVolume:
    return like.with_hu(np.repeat(slice_hu[None].astype(np.float32), SLICES, axis=0))
