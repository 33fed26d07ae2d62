"""Make the pairs of scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spinemar.dataset.judge import mark_as_judge
from spinemar.evaluation.regions import filled_body
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.plan import Plan
from spinemar.planning.sampling.variation import Spread, vary_plan
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.volume import CTVolume, GridGeometry
from Testing.benchmarks.earlier_ct.making.anatomy import operate
from Testing.benchmarks.earlier_ct.making.earlier import body_width_mm, draw_earlier, draw_protocol
from Testing.benchmarks.earlier_ct.making.pair import Pair, write_pair
from Testing.benchmarks.earlier_ct.making.patients import HOME, CleanPatient, load_patient
from Testing.benchmarks.earlier_ct.making.posture import draw_posture
from Testing.benchmarks.earlier_ct.making.scanning import draw_scanner, own_scan, xcist_scan
from Testing.benchmarks.earlier_ct.making.specs import PairSpec

PAIRS = "pairs"
"""Folder of the pairs, in `HOME` or where else all of it is kept."""
_BEYOND_MM, _AROUND_MM = 25.0, 60.0


def make_pairs(
    specs: Sequence[PairSpec], output: Path, home: Path = HOME
) -> Iterator[tuple[str, bool]]:
    """Make every pair that is not there; yields names, and whether each was made now."""
    output.mkdir(parents=True, exist_ok=True)
    mark_as_judge(output)
    patients: dict[str, CleanPatient] = {}
    for spec in specs:
        if (output / spec.name / "facts.json").is_file():
            yield spec.name, False
            continue
        if spec.patient not in patients:
            patients = {spec.patient: load_patient(spec.patient, home)}
        _make(spec, patients[spec.patient], output / spec.name)
        yield spec.name, True


def _make(spec: PairSpec, whole: CleanPatient, folder: Path) -> None:
    rng = np.random.default_rng(spec.seed)
    choices = whole.neighbours()
    levels = choices[(spec.number * 2 + spec.number // 3) % len(choices)]
    sites = [s for s in whole.sites if s.level in levels]
    patient, (low, high) = around(whole, sites)
    grid = scan_grid(patient.volume, low, high, spec.slice_mm)
    plan = drawn_plan(spec, sites, rng)
    scanner = draw_scanner(rng)
    posture, posture_facts = draw_posture(patient.labels, rng)
    anatomy = operate(patient, levels, plan, grid, rng)
    implants = voxelize_plan(plan, grid, load_catalogue())
    protocol = draw_protocol(body_width_mm(patient.volume), rng)
    heights_mm = (low, low + spec.slice_mm * (grid.shape[0] - 1))
    earlier = draw_earlier(anatomy.before, posture, protocol, heights_mm, rng)
    if spec.scanner == "own":
        scan, truth = own_scan(anatomy.later, implants, scanner, spec.seed)
    else:
        scan, truth = xcist_scan(anatomy.later, implants, plan, scanner, spec.seed)
    facts = {
        "name": spec.name,
        "patient": spec.patient,
        "split": whole.split,
        "may_tune": spec.may_tune,
        "scanner": spec.scanner,
        "metal": spec.metal,
        "levels": levels,
        "slice_mm": spec.slice_mm,
        "protocol": scanner.to_json(),
        "earlier": protocol.to_json(),
        "arch_removed": bool(np.any(anatomy.removed)),
        "findings": [{"kind": f.kind, "new": f.new} for f in anatomy.findings],
        "posture": posture_facts,
    }
    pair = Pair(
        name=spec.name,
        scan=scan,
        truth=truth,
        earlier=earlier,
        metal_fraction=np.clip(sum(implants.values(), np.zeros(grid.shape, np.float32)), 0, 1),
        body=np.stack([filled_body(one) for one in truth.hu]),
        labels=anatomy.labels,
        removed=anatomy.removed,
        findings=anatomy.findings,
        posture=posture,
        facts=facts,
    )
    write_pair(folder, pair, plan)


def around(
    whole: CleanPatient, sites: Sequence[PedicleSite]
) -> tuple[CleanPatient, tuple[float, float]]:
    """Return the patient about these sites, and the two heights (RAS mm) that are scanned."""
    heights = [float(s.isthmus[2]) for s in sites]
    low, high = min(heights) - _BEYOND_MM, max(heights) + _BEYOND_MM
    return whole.between(low - _AROUND_MM, high + _AROUND_MM), (low, high)


def scan_grid(volume: CTVolume, low: float, high: float, slice_mm: float) -> GridGeometry:
    """Slices of the scan on the patient's own pixels."""
    affine = volume.ijk_to_ras.copy()
    affine[2, 2], affine[2, 3] = slice_mm, low
    return GridGeometry((round((high - low) / slice_mm) + 1, *volume.hu.shape[1:]), affine)


def drawn_plan(spec: PairSpec, sites: Sequence[PedicleSite], rng: np.random.Generator) -> Plan:
    catalogue = load_catalogue()
    construct = ConstructSettings(
        material=spec.metal,
        diameter_share=float(rng.uniform(0.7, 0.88)),
        with_crosslink=bool(rng.random() < 0.2),
        rod=RodSettings(material=spec.metal, diameter_mm=float(rng.choice([5.5, 6.0]))),
    )
    plan = construct_from_pedicles(sites, catalogue, construct)
    spread = Spread(skipped_level=0.0, missing_screw=0.0, unilateral_plan=0.0)
    return vary_plan(plan, catalogue, spread.scaled(0.5), int(rng.integers(2**31)))
