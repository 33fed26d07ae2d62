"""Scans over many physics, findings in the anatomy: what the measured rays are to be learnt from.

Patients, constructs and findings are those of the studies' scenes; spectra, filtration, focal spot,
scatter and what is left of it, dose, kernel, geometry and scale are drawn far more widely than
for any other training, so that no single scanner's terms are learnt. Titanium more often than the
rest, as its rays are weakened and not lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.judge import refuse_judge
from spinemar.implants.catalogue import load_catalogue
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume
from spinemar_study.scenes.lesions import GROUPS, Lesion, group_of
from spinemar_study.scenes.scenes import MIDDLE, SLICES, Patient, Scene, load_patient, make_scenes
from spinemar_study.study_settings import CollectionSettings, PatientSource

Image = NDArray[np.float32]

_METALS = ("Ti-6Al-4V", "Ti-6Al-4V", "Ti-6Al-4V", "CoCrMo", "316L")
_FINDING_SHARE = 0.75
_SPREAD = 0.6


@dataclass(frozen=True)
class VariedScan:
    """One slice, repeated to three, with and without its metal.

    Parameters
    ----------
    scan, truth : CTVolume
        Noise shared; findings are in both.
    fraction : ndarray of float32, shape (rows, columns)
        Metal's share of each pixel.
    added : ndarray of float32, same shape
        HU that the findings changed before the scan.
    shares : dict of str to ndarray of float32, same shape
        Share of each pixel that a finding takes, by kind.
    facts : dict
    """

    scan: CTVolume
    truth: CTVolume
    fraction: Image
    added: Image
    shares: dict[str, Image]
    facts: dict[str, Any]


def draw_physics(rng: np.random.Generator) -> ScannerSettings:
    """Draw a scanner far more widely than any that is met."""
    return ScannerSettings(
        kvp=int(rng.choice([80, 100, 120, 120, 140, 140])),
        photons_per_ray=float(np.exp(rng.uniform(np.log(8e4), np.log(2e6)))),
        kernel=str(rng.choice(["soft", "standard", "standard", "bone"])),  # type: ignore[arg-type]
        geometry=str(rng.choice(["fan-arc", "fan-flat", "fan-arc", "parallel"])),  # type: ignore[arg-type]
        n_energies=int(rng.integers(8, 25)),
        source_mm=float(rng.uniform(500, 640)),
        focal_spot_mm=float(rng.uniform(0.3, 2.2)),
        bowtie=float(rng.uniform(0.3, 3.5)),
        electronic_noise=float(rng.uniform(2, 25)),
        scatter=float(rng.uniform(0, 0.3)),
        scatter_correction=float(rng.uniform(0.3, 1.1)),
        floor_photons=float(np.exp(rng.uniform(np.log(0.5), np.log(60)))),
        starvation_filter=bool(rng.random() < 0.6),
        hu_scale="extended" if rng.random() < 0.25 else "12-bit",
    )


def make_varied_scans(
    patients: tuple[PatientSource, ...], output: Path, count: int, seed: int
) -> Iterator[tuple[Path, bool]]:
    """Make scans `seed` to `seed + count` that are not there; yields files, and whether now."""
    for source in patients:
        refuse_judge(Path(source.ct))
    loaded = [load_patient(source) for source in patients]
    output.mkdir(parents=True, exist_ok=True)
    for number in range(seed, seed + count):
        path = output / f"{number:05d}.npz"
        made = not path.exists()
        if made:
            _write(path, _scanned(loaded[number % len(loaded)], number))
        yield path, made


def _scanned(patient: Patient, number: int) -> VariedScan:
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.physics.scanner import simulate_scan

    rng = np.random.default_rng([77, number])
    scene = replace(_scene(patient, rng), seed=number)
    settings = draw_physics(rng)
    lesions = _lesions(scene, rng)
    hu = scene.volume.hu
    for lesion in lesions:
        hu = lesion.applied(hu)
    implants = voxelize_plan(scene.plan, scene.volume.geometry, load_catalogue())
    scan = simulate_scan(
        scene.volume.with_hu(hu), implants, settings, number, slices=slice(MIDDLE, MIDDLE + 1)
    )
    assert scan.truth is not None
    return VariedScan(
        scan.volume,
        scan.truth,
        scan.metal_fraction[0],
        (hu - scene.volume.hu)[MIDDLE],
        {lesion.kind: lesion.share[MIDDLE] for lesion in lesions},
        {**scene.facts, "scale": settings.hu_scale, "settings": asdict(settings)},
    )


def _scene(patient: Patient, rng: np.random.Generator) -> Scene:
    levels = len(dict.fromkeys(site.level for site in patient.sites))
    settings = CollectionSettings(
        patients=(),
        scenes=int(rng.integers(1, levels + 1)),
        seed=int(rng.integers(2**31)),
        metals=(str(rng.choice(_METALS)),),
        spread=_SPREAD,
    )
    return make_scenes(patient, settings)[-1]


def _lesions(scene: Scene, rng: np.random.Generator) -> list[Lesion]:
    if rng.random() >= _FINDING_SHARE:
        return []
    return group_of(scene, str(rng.choice(list(GROUPS))))


def _write(path: Path, scan: VariedScan) -> None:
    arrays: dict[str, Any] = {
        "scan": scan.scan.hu,
        "truth": scan.truth.hu,
        "ijk_to_ras": scan.scan.ijk_to_ras,
        "metal_fraction": scan.fraction.astype(np.float16),
        "added": scan.added.astype(np.float16),
        "facts": json.dumps(scan.facts),
        **{f"finding {kind}": share.astype(np.float16) for kind, share in scan.shares.items()},
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_varied_scan(path: Path) -> VariedScan:
    """Read a scan, its slice repeated to three as the correction wants them."""
    with np.load(path, allow_pickle=False) as stored:
        affine = stored["ijk_to_ras"]
        scan, truth = (
            CTVolume(np.repeat(stored[name].astype(np.float32), SLICES, axis=0), affine)
            for name in ("scan", "truth")
        )
        shares = {
            name.removeprefix("finding "): stored[name].astype(np.float32)
            for name in stored.files
            if name.startswith("finding ")
        }
        return VariedScan(
            scan,
            truth,
            stored["metal_fraction"].astype(np.float32),
            stored["added"].astype(np.float32),
            shares,
            json.loads(str(stored["facts"])),
        )
