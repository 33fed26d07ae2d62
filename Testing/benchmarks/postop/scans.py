"""Postoperative scans whose truth is known: plans, misplaced screws among them, scanned."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinemar.dataset.judge import mark_as_judge
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.io import read_labels, read_volume, write_labels, write_volume
from spinemar.mar.correct import correct_volume
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import read_plan, write_plan
from spinemar.planning.sampling.variation import Spread, vary_plan
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making.earlier import (
    EarlierProtocol,
    body_width_mm,
    draw_earlier,
    draw_protocol,
)
from Testing.benchmarks.earlier_ct.making.patients import ROOT, SAMPLE, CleanPatient, load_patient
from Testing.benchmarks.earlier_ct.making.posture import Posture, draw_posture
from Testing.benchmarks.postop.before import vertebrae_before

HOME = ROOT / "build" / "postop"
METALS = {"titanium": "Ti-6Al-4V", "cobalt": "CoCrMo", "steel": "316L"}
PATIENTS = ("crlm_1006", SAMPLE)
_MOST_DRAWS = 20
_LEVELS_EACH, _BEYOND_MM, _EARLIER_BEYOND_MM = 7, 45.0, 30.0
_SPREAD = Spread(
    skipped_level=0.0,
    missing_screw=0.06,
    unilateral_plan=0.0,
    misplaced=0.35,
    misplaced_mm=(2.0, 7.0),
).scaled(0.6)
_SCAN, _CORRECTED, _METAL = "scan.nii.gz", "corrected.nii.gz", "metal.nii.gz"
_LABELS, _EARLIER, _EARLIER_LABELS = "labels.nii.gz", "earlier.nii.gz", "earlier_labels.nii.gz"


@dataclass(frozen=True)
class ScanSpec:
    """One scan: whose, which stretch of the spine, which metal, which draw."""

    patient: str
    part: int
    metal: str
    draw: int

    @property
    def name(self) -> str:
        """Names its folder."""
        return f"{self.patient}-{self.part}-{self.metal}-{self.draw}"

    @property
    def seed(self) -> int:
        """The same whatever else is made."""
        return zlib.crc32(self.name.encode())


@dataclass(frozen=True, eq=False)
class KnownScan:
    """A scan with its truth.

    Parameters
    ----------
    scan, earlier : CTVolume
        With metal; and the patient before, in another posture.
    corrected : CTVolume or None
        The scan, its artifacts reduced; None where it was not asked for.
    metal : LabelVolume
        Percent of each voxel that the correction took for metal.
    labels : LabelVolume
        True vertebrae in the scan, VerSe numbers.
    plan : Plan
        The implants as they lie.
    earlier_labels : LabelVolume
        The same vertebrae in the earlier CT, where the patient lay as then: what somebody has who
        planned the operation on it.
    """

    name: str
    scan: CTVolume
    corrected: CTVolume | None
    metal: LabelVolume
    labels: LabelVolume
    earlier: CTVolume
    plan: Plan
    earlier_labels: LabelVolume


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What is drawn of a scan before anything is scanned."""

    patient: CleanPatient
    ends_mm: tuple[float, float]
    plan: Plan
    scanner: ScannerSettings
    posture: Posture
    protocol: EarlierProtocol
    rng: np.random.Generator


def all_specs(draws: int, patients: Sequence[str] = PATIENTS) -> Iterator[ScanSpec]:
    """Yield every scan; whoever stops early has patients, parts and metals in equal shares."""
    parts = [(name, part) for name in patients for part in range(2 if name == SAMPLE else 1)]
    metals = list(METALS)
    for draw, turn, (n, (name, part)) in itertools.product(
        range(draws), range(len(metals)), enumerate(parts)
    ):
        yield ScanSpec(name, part, metals[(turn + n) % len(metals)], draw)


def in_turn(folders: Iterable[Path]) -> list[Path]:
    """Sort scans as `all_specs` makes them, others behind them by name."""
    order = {spec.name: n for n, spec in enumerate(all_specs(_MOST_DRAWS))}
    return sorted(folders, key=lambda folder: (order.get(folder.name, len(order)), folder.name))


def make_scan(spec: ScanSpec, home: Path = HOME, *, corrected: bool = True) -> Path:
    """Make what is not there yet of a scan; returns its folder.

    Without its correction and the metal that it found, which are of one model, a scan stays: they
    are made again where they were removed, or left for later.
    """
    folder = home / "scans" / spec.name
    scanned = (folder / "plan.json").is_file()
    if not scanned or not (folder / _EARLIER_LABELS).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        mark_as_judge(home / "scans")
        drawn = _drawn(spec, home)
        if not scanned:
            _scan(spec, drawn, folder)
        before = vertebrae_before(
            drawn.patient.labels, drawn.posture, read_volume(folder / _EARLIER).geometry
        )
        write_labels(folder / _EARLIER_LABELS, before)
    if corrected and not (folder / _METAL).is_file():
        _correct(folder)
    return folder


def _drawn(spec: ScanSpec, home: Path) -> _Drawn:
    """Draw all of a scan in one order, the same whatever of it is made."""
    rng = np.random.default_rng(spec.seed)
    whole = load_patient(spec.patient, home)
    levels = _levels(whole.sites, spec.part)
    sites = [site for site in whole.sites if site.level in levels]
    heights = [float(site.isthmus[2]) for site in sites]
    low, high = min(heights) - _BEYOND_MM, max(heights) + _BEYOND_MM
    patient = whole.between(low, high)
    plan = drawn_plan(spec, sites, rng)
    scanner = ScannerSettings(
        photons_per_ray=float(np.exp(rng.uniform(np.log(3e5), np.log(1.5e6)))),
        kernel=str(rng.choice(["soft", "standard", "bone"])),  # type: ignore[arg-type]
        n_views=360,
        n_energies=16,
        scatter=float(rng.uniform(0.03, 0.15)),
        scatter_correction=float(rng.uniform(0.7, 1.0)),
    )
    posture, _ = draw_posture(patient.labels, rng)
    protocol = draw_protocol(body_width_mm(patient.volume), rng)
    return _Drawn(patient, (low, high), plan, scanner, posture, protocol, rng)


def _scan(spec: ScanSpec, drawn: _Drawn, folder: Path) -> None:
    """Scan the patient after the operation and before it."""
    patient = drawn.patient
    implants = voxelize_plan(drawn.plan, patient.volume.geometry, load_catalogue())
    made = simulate_scan(patient.volume, implants, drawn.scanner, spec.seed, with_truth=False)
    low, high = drawn.ends_mm
    ends = (low + _EARLIER_BEYOND_MM, high - _EARLIER_BEYOND_MM)
    earlier = draw_earlier(patient.volume, drawn.posture, drawn.protocol, ends, drawn.rng)
    write_volume(folder / _SCAN, _plain(made.volume))
    write_labels(folder / _LABELS, patient.labels)
    write_volume(folder / _EARLIER, _plain(earlier))
    write_plan(folder / "plan.json", drawn.plan)  # last: with a plan a scan is whole


def _correct(folder: Path) -> None:
    """Correct a scan by the model that ships; what it took for metal is written last."""
    result = correct_volume(read_volume(folder / _SCAN))
    write_volume(folder / _CORRECTED, _plain(result.volume))
    percent = LabelVolume(result.metal_percent.astype(np.int16), result.volume.ijk_to_ras)
    write_labels(folder / _METAL, percent)


def read_scan(folder: Path, corrected: bool = True) -> KnownScan:
    """Read what `make_scan` made; its correction only where that is asked for."""
    return KnownScan(
        folder.name,
        read_volume(folder / _SCAN),
        read_volume(folder / _CORRECTED) if corrected else None,
        read_labels(folder / _METAL),
        read_labels(folder / _LABELS),
        read_volume(folder / _EARLIER),
        read_plan(folder / "plan.json"),
        read_labels(folder / _EARLIER_LABELS),
    )


def _plain(volume: CTVolume) -> CTVolume:
    return CTVolume(volume.hu, volume.ijk_to_ras)


def _levels(sites: Sequence[PedicleSite], part: int) -> tuple[str, ...]:
    """Choose a stretch of levels, counted from the lowest."""
    order = list(dict.fromkeys(site.level for site in sites))
    stop = len(order) - part * _LEVELS_EACH
    return tuple(order[max(0, stop - _LEVELS_EACH) : stop])


def drawn_plan(spec: ScanSpec, sites: Sequence[PedicleSite], rng: np.random.Generator) -> Plan:
    """Draw a construct along pedicles, with screws as surgeons misplace them."""
    catalogue, metal = load_catalogue(), METALS[spec.metal]
    construct = ConstructSettings(
        material=metal,
        diameter_share=float(rng.uniform(0.7, 0.88)),
        rod=RodSettings(material=metal, diameter_mm=float(rng.choice([5.5, 6.0]))),
    )
    plan = construct_from_pedicles(sites, catalogue, construct)
    return vary_plan(plan, catalogue, _SPREAD, int(rng.integers(2**31)))
