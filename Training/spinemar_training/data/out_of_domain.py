"""Scans in fan beam with planned implants, of patients that were not trained on.

The training stream scans in parallel beam with its own PyTorch code; these scans come from
`spinemar.physics` in fan geometry, with implants voxelised from catalogue plans. The patients are
new to a model, the scanner is not any more: since 1.1.0 training pairs come from the same code
(Docs/judge.md has a scanner that nobody trains on). They compare models, and fit the gate
(validation patient only).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.judge import refuse_judge
from spinemar.evaluation import TrueMetal
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.volume import CTVolume

METALS = ("Ti-6Al-4V", "316L", "CoCrMo")


@dataclass(frozen=True)
class OutOfDomainCase:
    """Three adjacent slices with implants, their truth, and how they were made.

    `metal` is the true metal with the plan; None in files that were made before it was kept.
    """

    name: str
    scan: CTVolume
    truth: CTVolume
    facts: dict[str, Any]
    metal: TrueMetal | None = None


def _settings(rng: np.random.Generator, extended: bool) -> Any:
    from spinemar.physics.scanner_settings import ScannerSettings

    geometry = str(rng.choice(["fan-arc", "fan-flat"]))
    return ScannerSettings(
        kvp=int(rng.choice([100, 120, 140])),
        photons_per_ray=float(np.exp(rng.uniform(np.log(1.5e5), np.log(1.5e6)))),
        kernel=str(rng.choice(["soft", "standard", "bone"], p=[0.3, 0.5, 0.2])),  # type: ignore[arg-type]
        geometry=geometry,  # type: ignore[arg-type]
        hu_scale="extended" if extended else "12-bit",
        scatter=float(rng.uniform(0.02, 0.15)),
        scatter_correction=float(rng.uniform(0.7, 1.0)),
    )


def _plan(sites: Sequence[Any], level: str, metal: str, rng: np.random.Generator) -> Any:
    from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
    from spinemar.planning.constructs.rods import RodSettings
    from spinemar.planning.sampling.variation import Spread, vary_plan

    levels = list(dict.fromkeys(site.level for site in sites))
    centre = levels.index(level)
    reach = int(rng.integers(0, 3))
    chosen = set(levels[max(0, centre - reach) : centre + int(rng.integers(1, 3)) + 1])
    settings = ConstructSettings(
        material=metal,
        with_crosslink=bool(rng.random() < 0.2),
        rod=RodSettings(material=metal, diameter_mm=float(rng.choice([5.5, 6.0]))),
    )
    catalogue = load_catalogue()
    plan = construct_from_pedicles([s for s in sites if s.level in chosen], catalogue, settings)
    return vary_plan(plan, catalogue, Spread(), int(rng.integers(2**31)))


def _make_case(
    volume: CTVolume, sites: Sequence[Any], metal: str, extended: bool, seed: int, patient: str
) -> OutOfDomainCase | None:
    """Scan three slices near an instrumented pedicle; None where they hold no metal."""
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.physics.scanner import simulate_scan

    rng = np.random.default_rng([seed, METALS.index(metal), int(extended)])
    site = sites[int(rng.integers(len(sites)))]
    plan = _plan(sites, site.level, metal, rng)
    height = volume.geometry.to_ijk(np.array(site.isthmus, dtype=float))[2]
    offset = rng.normal(scale=7) / volume.spacing_mm[2]
    k = int(np.clip(round(height + offset), 1, len(volume.hu) - 2))
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = volume.geometry.to_ras(np.array([0, 0, k - 1.0]))
    thin = CTVolume(volume.hu[k - 1 : k + 2], affine)
    implants = voxelize_plan(plan, thin.geometry, load_catalogue())
    if sum(float(f[1].sum()) for f in implants.values()) < 20:
        return None
    settings = _settings(rng, extended)
    scan = simulate_scan(thin, implants, settings, seed)
    assert scan.truth is not None
    facts = {
        "patient": patient,
        "metal": metal,
        "scale": settings.hu_scale,
        "kvp": settings.kvp,
        "kernel": settings.kernel,
        "geometry": settings.geometry,
        "level": site.level,
        "metal_pixels": float(scan.metal_fraction[1].sum()),
        "seed": seed,
    }
    name = f"{patient}-{metal}-{settings.hu_scale}-{seed}"
    known = TrueMetal(scan.metal_fraction, plan=plan)
    return OutOfDomainCase(name, scan.volume, scan.truth, facts, known)


def make_cases(ct: Path, landmarks: Path, output: Path, *, per_group: int, seed: int) -> list[Path]:
    """Make `per_group` cases for each metal and HU scale of one patient, as .npz files."""
    from spinemar.io import read_volume
    from spinemar.planning.trajectories.sites import sites_from_landmarks

    refuse_judge(ct)
    volume = read_volume(ct)
    sites = sites_from_landmarks(json.loads(landmarks.read_text("utf-8")))
    low, high = 0.5, len(volume.hu) - 1.5
    sites = tuple(
        s for s in sites if low < volume.geometry.to_ijk(np.array(s.isthmus, float))[2] < high
    )
    patient = landmarks.stem
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for metal in METALS:
        for extended in (False, True):
            made, number = 0, 0
            while made < per_group:
                number += 1
                case = _make_case(volume, sites, metal, extended, seed + number, patient)
                if case is None:
                    continue
                path = output / f"{case.name}.npz"
                save_case(path, case)
                written.append(path)
                made += 1
    return written


def save_case(path: Path, case: OutOfDomainCase) -> None:
    """Write one case, at once or not at all."""
    known: dict[str, Any] = {}
    if case.metal is not None:
        known["metal_fraction"] = case.metal.fraction.astype(np.float16)
        if isinstance(case.metal.plan, Plan):
            known["plan"] = plan_to_json(case.metal.plan)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            **known,
            scan=case.scan.hu,
            truth=case.truth.hu,
            ijk_to_ras=case.scan.ijk_to_ras,
            facts=json.dumps(case.facts),
        )


def load_cases(folder: Path) -> Iterator[OutOfDomainCase]:
    """Read the cases of a folder, in the order of their names."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            affine = stored["ijk_to_ras"]
            yield OutOfDomainCase(
                path.stem,
                CTVolume(stored["scan"], affine),
                CTVolume(stored["truth"], affine),
                json.loads(str(stored["facts"])),
                _true_metal(stored),
            )


def _true_metal(stored: Any) -> TrueMetal | None:
    if "metal_fraction" not in stored:
        return None
    plan = plan_from_json(str(stored["plan"])) if "plan" in stored else None
    return TrueMetal(stored["metal_fraction"].astype(np.float32), plan=plan)
