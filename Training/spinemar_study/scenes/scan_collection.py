"""Scan scenes with and without findings, correct them with every method, and keep it all.

What is on disk is not made again: a killed run goes on, a new model needs no new scans. Names hold
settings, weights and gate, not the code: after a change of the simulator or of the correction
begin with an empty folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from spinemar.implants.catalogue import load_catalogue
from spinemar.volume import CTVolume
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.lesions import GROUPS, Lesion, group_of, middle_share
from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scenes import MIDDLE, Patient, Scene, load_patient, make_scenes
from spinemar_study.study_settings import CollectionSettings

CLEAN = "clean"
"""The variant without a finding."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scanned:
    """One scan of a scene: three slices, and what lies in them.

    Parameters
    ----------
    scan, truth : CTVolume
        With and without metal, noise shared.
    metal : ndarray of bool
        Found in the scan, as in use.
    fraction : ndarray of float32, shape (rows, columns)
        Metal's share of the middle slice's pixels.
    lesions : dict of str to ndarray
        Share of the middle slice's pixels, by kind.
    facts : dict of str to dict
        Of each finding.
    """

    scan: CTVolume
    truth: CTVolume
    metal: NDArray[np.bool_]
    fraction: Image
    lesions: dict[str, Image]
    facts: dict[str, Any]


@dataclass(frozen=True)
class CorrectedScene:
    """The middle slice of a corrected scan, and how much of the change the gate let through."""

    hu: Image
    strength: float


class ScanCollection:
    """Scans and corrections of scenes in a folder.

    Parameters
    ----------
    settings : CollectionSettings
    folder : Path
    """

    def __init__(self, settings: CollectionSettings, folder: Path) -> None:
        self.settings = settings
        scans = {k: v for k, v in asdict(settings).items() if k not in ("models", "scenes")}
        digest = hashlib.sha256(json.dumps(scans, sort_keys=True).encode()).hexdigest()[:10]
        self.folder = folder / f"scenes-{digest}"
        self._patients: dict[str, Patient] = {}
        self._at_hand: tuple[str, CentralSlice] | None = None

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes of every patient, one of each patient in turn."""
        everyone = [make_scenes(self.patient(n), self.settings) for n in self.numbers]
        for together in zip(*everyone, strict=True):
            yield from together

    def patient(self, number: int) -> Patient:
        """Return one of the patients."""
        source = self.settings.patients[number]
        if source.landmarks not in self._patients:
            self._patients[source.landmarks] = load_patient(source)
        return self._patients[source.landmarks]

    @property
    def numbers(self) -> range:
        """Numbers of the patients."""
        return range(len(self.settings.patients))

    def scanned(self, scene: Scene, variant: str = CLEAN) -> Scanned:
        """Return a scan of a scene, made now if it never was."""
        path = self.folder / f"{scene.name}-{variant}.npz"
        if not path.exists():
            _write_scan(path, _scan(scene, variant))
        return _read_scan(path)

    def corrected(self, scene: Scene, method: StudyMethod, variant: str = CLEAN) -> CorrectedScene:
        """Return a correction of a scan, made now if it never was."""
        name = f"{scene.name}-{variant}"
        path = self.folder / method.key / f"{name}.npz"
        if not path.exists():
            if self._at_hand is None or self._at_hand[0] != name:
                scanned = self.scanned(scene, variant)
                self._at_hand = name, CentralSlice(scanned.scan, scanned.metal)
            result = self._at_hand[1].corrected(method.inpainter)
            _write(path, {"hu": result.hu, "strength": result.strength})
        with np.load(path, allow_pickle=False) as stored:
            return CorrectedScene(stored["hu"], float(stored["strength"]))


def scan_scene(scene: Scene, lesions: Sequence[Lesion] = ()) -> Scanned:
    """Put findings and metal into a scene and scan it."""
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.mar.segmentation.metal import segment_metal
    from spinemar.physics.scanner import simulate_scan

    hu = scene.volume.hu
    for lesion in lesions:
        hu = lesion.applied(hu)
    implants = voxelize_plan(scene.plan, scene.volume.geometry, load_catalogue())
    scan = simulate_scan(scene.volume.with_hu(hu), implants, scene.settings, scene.seed)
    assert scan.truth is not None
    return Scanned(
        scan.volume,
        scan.truth,
        segment_metal(scan.volume).mask,
        scan.metal_fraction[MIDDLE],
        {lesion.kind: middle_share(lesion) for lesion in lesions},
        {lesion.kind: lesion.facts for lesion in lesions},
    )


def _scan(scene: Scene, variant: str) -> Scanned:
    return scan_scene(scene, [] if variant == CLEAN else group_of(scene, variant))


def _write_scan(path: Path, scanned: Scanned) -> None:
    lesions = {f"lesion {kind}": share for kind, share in scanned.lesions.items()}
    _write(
        path,
        {
            "scan": scanned.scan.hu.astype(np.int16),
            "truth": scanned.truth.hu.astype(np.int16),
            "metal": scanned.metal,
            "fraction": scanned.fraction,
            "ijk_to_ras": scanned.scan.ijk_to_ras,
            "facts": json.dumps(scanned.facts),
            **lesions,
        },
    )


def _read_scan(path: Path) -> Scanned:
    with np.load(path, allow_pickle=False) as stored:
        affine = stored["ijk_to_ras"]
        lesions = {
            name.removeprefix("lesion "): stored[name]
            for name in stored.files
            if name.startswith("lesion ")
        }
        return Scanned(
            CTVolume(stored["scan"].astype(np.float32), affine),
            CTVolume(stored["truth"].astype(np.float32), affine),
            stored["metal"],
            stored["fraction"],
            lesions,
            json.loads(str(stored["facts"])),
        )


def _write(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def fill_collection(
    settings: CollectionSettings, methods: Sequence[StudyMethod], folder: Path
) -> None:
    """Make every scan and correction that the studies read, and say what is being made."""
    collection = ScanCollection(settings, folder)
    for scene in collection.scenes():
        for variant in (CLEAN, *GROUPS):
            for method in methods:
                collection.corrected(scene, method, variant)
        print(f"{scene.name}: scanned and corrected", flush=True)
