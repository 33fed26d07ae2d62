"""Score LI and NMAR on simulated implants in the training patients, and fit their gates.

Screws by the hand-checked landmarks, threaded and with tulips and rods, titanium, steel and
cobalt-chrome, several doses, kernels, tube voltages and fields of view. Prints RMSE (HU) outside
metal and 2 px around it, and within 20 mm of it; writes build/classical_scores.json.

Run: python Testing/benchmarks/score_classical.py [--constructs 12] [--data ../shared/data/ct]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_training.scoring.gate_fit import GateRecord, fit_gate, make_record

from spinemar.base.atomic_files import atomic_path
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.io import read_volume
from spinemar.mar.inpainters.classical import LI_GATE
from spinemar.mar.pipeline.gate import GateParameters, decide, gate_features
from spinemar.mar.pipeline.slice_cache import SliceCache
from spinemar.mar.segmentation.low_saturation import low_clip_hu
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.physics.scanner import SimulatedScan, simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan, Rod, Screw
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[2]
PATIENTS = ("lidc0314_lower", "acrin_flt_breast_001_abd")
METHODS = ("li", "nmar")


@dataclass(frozen=True)
class Scored:
    """One slice and method: records over all scored pixels and over those near metal."""

    construct: int
    everywhere: GateRecord
    near: GateRecord


def construct(landmarks: dict[str, Any], first: int, rng: np.random.Generator) -> Plan:
    """Return screws and rods at two neighbouring levels."""
    metal = str(rng.choice(["Ti-6Al-4V", "Ti-6Al-4V", "316L", "CoCrMo"]))
    diameter = float(np.round(rng.uniform(4.5, 7.0) * 2) / 2)
    screws, heads = [], {"left": [], "right": []}  # type: ignore[var-annotated]
    for vertebra in landmarks["vertebrae"][first : first + 2]:
        for side, pedicle in vertebra["pedicles"].items():
            entry, isthmus = (np.array(pedicle[k]) for k in ("entry_ras", "isthmus_ras"))
            axis = (isthmus - entry) / np.linalg.norm(isthmus - entry)
            level = vertebra["level"]
            screws.append(
                Screw(
                    f"{level}-{side}",
                    level,
                    side,
                    tuple(entry),
                    tuple(entry + 40.0 * axis),
                    diameter,
                    40.0,
                    metal,
                )
            )
            heads[side].append(entry - 10.0 * axis)
    rods = []
    for side, (a, b) in heads.items():
        over = 6.0 * (b - a) / np.linalg.norm(b - a)
        rods.append(Rod(f"rod-{side}", side, (tuple(a - over), tuple(b + over)), 5.5, metal))
    return Plan(screws=tuple(screws), rods=tuple(rods))


def scans(data: Path, count: int, seed: int) -> Iterator[tuple[int, SimulatedScan]]:
    """Simulate constructs one after the other, a few slices of each."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        name = PATIENTS[number % len(PATIENTS)]
        volume = read_volume(data / f"{name}.nii.gz")
        path = ROOT / "Resources" / "Landmarks" / f"{name}.json"
        landmarks = json.loads(path.read_text())
        first = int(rng.integers(len(landmarks["vertebrae"]) - 1))
        plan = construct(landmarks, first, rng)
        fractions = voxelize_plan(plan, volume.geometry, load_catalogue())
        settings = ScannerSettings(
            kvp=int(rng.choice([100, 120, 120, 140])),
            photons_per_ray=float(10 ** rng.uniform(5.3, 6.3)),
            kernel=str(rng.choice(["soft", "standard", "standard", "bone"])),  # type: ignore[arg-type]
            hu_scale=str(rng.choice(["12-bit", "12-bit", "extended"])),  # type: ignore[arg-type]
            reconstruction_fov_mm=float(rng.choice([0, 0, 180, 240])) or None,
        )
        area = sum(fraction.sum(axis=(1, 2)) for fraction in fractions.values())
        touched = np.flatnonzero(area > 1)
        for k in np.quantile(touched, [0.1, 0.3, 0.5, 0.7, 0.9]).astype(int):
            part = slice(int(k), int(k) + 1)
            yield number, simulate_scan(volume, fractions, settings, number, slices=part)


def score(number: int, scan: SimulatedScan) -> dict[str, Scored]:
    """Apply both methods to one slice, in full, and keep what fitting needs."""
    assert scan.truth is not None
    hu, truth = scan.volume.hu, scan.truth.hu[0]
    metal = segment_metal(CTVolume(hu, scan.volume.ijk_to_ras)).mask
    if not metal.any():
        return {}
    pixel = scan.volume.spacing_mm[1], scan.volume.spacing_mm[0]
    slice_cache = SliceCache(
        hu, metal, RadonTransform(metal.shape[1:], pixel), clip_hu=low_clip_hu(hu[0])
    )

    def one(name: str) -> Any:
        return slice_cache.get(name, [0])[0]

    rim = ndimage.binary_dilation(scan.metal_fraction[0] > 0.02, iterations=2)
    near = ndimage.distance_transform_edt(~rim, sampling=pixel) < 20.0
    artifact: NDArray[np.float32] = one("hu") - truth
    result = {}
    for method in METHODS:
        change = one(f"{method}_hu") - one("hu")
        features = gate_features(
            one("hu"),
            change,
            metal=metal[0],
            body=one("body"),
            trace=one("metal_trace"),
            pixel_mm=pixel,
        )
        result[method] = Scored(
            number,
            make_record(features, artifact, change, ~rim),
            make_record(features, artifact, change, near & ~rim),
        )
    return result


def table(method: str, scored: list[Scored], shipped: GateParameters) -> dict[str, Any]:
    """Print and return the figures of one method."""
    records = [one.everywhere for one in scored]
    even = [n for n, one in enumerate(scored) if one.construct // 2 % 2 == 0]
    odd = [n for n in range(len(scored)) if n not in even]
    crossed = np.zeros(len(scored))
    for fit_on, test_on in ((even, odd), (odd, even)):
        gate = fit_gate([records[n] for n in fit_on])
        for n in test_on:
            crossed[n] = decide(records[n].features, gate).strength
    rows = {
        "input": np.zeros(len(scored)),
        "in full": np.ones(len(scored)),
        "shipped gate": np.array([decide(r.features, shipped).strength for r in records]),
        "gate fitted on the other half": crossed,
        "best strength, from the truth": np.array(
            [np.clip(-r.product / max(r.change, 1e-6), 0, 1) for r in records]
        ),
    }
    figures: dict[str, Any] = {"slices": len(scored), "refit": fit_gate(records).to_json()}
    before = np.array([r.rmse(0.0) for r in records])
    print(f"{method}: {len(scored)} slices; refitted gate {figures['refit']}")
    for name, strengths in rows.items():
        rmse = np.array([r.rmse(w) for r, w in zip(records, strengths, strict=True)])
        near = [one.near.rmse(w) for one, w in zip(scored, strengths, strict=True)]
        worse = int((rmse > 1.01 * before).sum())
        figures[name] = {
            "rmse_hu": round(float(rmse.mean()), 1),
            "near_hu": round(float(np.mean(near)), 1),
            "worse": worse,
        }
        print(f"  {name:32s} {rmse.mean():6.1f} {np.mean(near):7.1f}   worse {worse}")
    return figures


def main() -> None:
    """Simulate, score, fit, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--constructs", type=int, default=12)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ct")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    scored: dict[str, list[Scored]] = {method: [] for method in METHODS}
    for number, scan in scans(options.data, options.constructs, options.seed):
        for method, one in score(number, scan).items():
            scored[method].append(one)
    gates = {"li": LI_GATE, "nmar": GateParameters()}
    figures = {method: table(method, scored[method], gates[method]) for method in METHODS}
    target = ROOT / "build" / "classical_scores.json"
    target.parent.mkdir(exist_ok=True)
    with atomic_path(target) as path:
        Path(path).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
