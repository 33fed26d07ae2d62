"""Postoperative scenes: a construct through both pedicles of a level, and the slices there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.implants.catalogue import load_catalogue
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.volume import CTVolume
from spinemar_study.study_settings import SAMPLE, CollectionSettings, PatientSource

SLICES = 3
MIDDLE = 1


@dataclass(frozen=True)
class Patient:
    """A patient without metal, and where the pedicles are."""

    name: str
    volume: CTVolume
    sites: tuple[PedicleSite, ...]


@dataclass(frozen=True)
class Scene:
    """Three slices through both screws of a level.

    Parameters
    ----------
    name : str
    volume : CTVolume
        The slices without metal.
    plan : Plan
        The whole construct.
    level : str
    sites : dict of str to PedicleSite
        Both pedicles of the level, by side.
    settings : ScannerSettings
    seed : int
        Of the noise.
    facts : dict
    """

    name: str
    volume: CTVolume
    plan: Plan
    level: str
    sites: dict[str, PedicleSite]
    settings: ScannerSettings
    seed: int
    facts: dict[str, Any]


def load_patient(source: PatientSource) -> Patient:
    """Read a patient's CT and landmarks."""
    from spinemar.demo.sample_data import sample_ct
    from spinemar.io import read_volume
    from spinemar.planning.trajectories.sites import sites_from_landmarks

    path = sample_ct() if source.ct == SAMPLE else Path(source.ct)
    landmarks = Path(source.landmarks)
    sites = sites_from_landmarks(json.loads(landmarks.read_text("utf-8")))
    kept = [s for s in sites if not source.levels or s.level in source.levels]
    return Patient(landmarks.stem, read_volume(path), tuple(kept))


def make_scenes(patient: Patient, settings: CollectionSettings) -> list[Scene]:
    """Draw the scenes of one patient; the same settings give the same scenes."""
    levels = [
        level
        for level in dict.fromkeys(site.level for site in patient.sites)
        if sum(site.level == level for site in patient.sites) == 2
        and _inside(patient, [s for s in patient.sites if s.level == level])
    ]
    return [
        _make_scene(patient, settings, levels[number % len(levels)], number)
        for number in range(settings.scenes)
    ]


def thin_slab(volume: CTVolume, centre_k: int) -> CTVolume:
    """Cut the slices of a scene around `centre_k` out of a volume."""
    first = centre_k - SLICES // 2
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = volume.geometry.to_ras(np.array([0.0, 0.0, float(first)]))
    return CTVolume(volume.hu[first : first + SLICES], affine)


def _inside(patient: Patient, sites: Sequence[PedicleSite]) -> bool:
    heights = [patient.volume.geometry.to_ijk(np.asarray(s.isthmus))[2] for s in sites]
    return min(heights) > 1.5 and max(heights) < len(patient.volume.hu) - 2.5


def _make_scene(patient: Patient, settings: CollectionSettings, level: str, number: int) -> Scene:
    from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
    from spinemar.planning.constructs.rods import RodSettings
    from spinemar.planning.sampling.variation import Spread, vary_plan

    rng = np.random.default_rng([settings.seed, number])
    metal = settings.metals[number % len(settings.metals)]
    levels = list(dict.fromkeys(site.level for site in patient.sites))
    centre = levels.index(level)
    chosen = levels[max(0, centre - 1) : centre + 2]
    construct = ConstructSettings(
        material=metal,
        diameter_share=float(rng.uniform(0.7, 0.88)),
        rod=RodSettings(material=metal, diameter_mm=float(rng.choice([5.5, 6.0]))),
    )
    catalogue = load_catalogue()
    held = [s for s in patient.sites if s.level in chosen]
    plan = construct_from_pedicles(held, catalogue, construct)
    # Every screw of the level stays, or there would be nothing to measure beside it.
    spread = Spread(skipped_level=0.0, missing_screw=0.0, unilateral_plan=0.0)
    plan = vary_plan(plan, catalogue, spread.scaled(settings.spread), int(rng.integers(2**31)))
    sites = {s.side: s for s in patient.sites if s.level == level}
    isthmus = np.mean([s.isthmus for s in sites.values()], axis=0)
    k = round(float(patient.volume.geometry.to_ijk(isthmus)[2]))
    scanner = draw_scanner(rng, settings, settings.scales[number % len(settings.scales)])
    facts = {
        "patient": patient.name,
        "level": level,
        "metal": metal,
        "scale": scanner.hu_scale,
        "kernel": scanner.kernel,
        "kvp": scanner.kvp,
        "slice_mm": patient.volume.spacing_mm[2],
    }
    name = f"{patient.name}-{number:02d}-{level}-{metal}-{scanner.hu_scale}"
    slab = thin_slab(patient.volume, k)
    return Scene(name, slab, plan, level, sites, scanner, settings.seed + number, facts)


def draw_scanner(
    rng: np.random.Generator, settings: CollectionSettings, scale: str
) -> ScannerSettings:
    """Draw tube voltage, dose, kernel and scatter of a scan."""
    return ScannerSettings(
        kvp=int(rng.choice([100, 120, 120, 140])),
        photons_per_ray=float(np.exp(rng.uniform(np.log(2e5), np.log(1.5e6)))),
        kernel=str(rng.choice(["soft", "standard", "standard", "bone"])),  # type: ignore[arg-type]
        geometry=settings.geometry,  # type: ignore[arg-type]
        n_views=settings.views,
        hu_scale=scale,  # type: ignore[arg-type]
        scatter=float(rng.uniform(0.02, 0.15)),
        scatter_correction=float(rng.uniform(0.7, 1.0)),
    )
