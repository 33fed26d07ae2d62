"""Scan a patient with implants: by the project's fan-beam scanner, or by XCIST."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.stored_values import stored_hu
from spinemar.planning.plans.plan import Plan
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.cases import run_scanner
from Testing.benchmarks.xcist.constructs import PROTOCOL
from Testing.benchmarks.xcist.install import install
from Testing.benchmarks.xcist.phantom import make_phantom

Implants = Mapping[str, NDArray[np.float32]]

_XCIST_VIEWS = 360
_LEAST_METAL = 1e-3


def draw_scanner(rng: np.random.Generator) -> ScannerSettings:
    """Draw a fan-beam scanner's protocol."""
    return ScannerSettings(
        kvp=int(rng.choice([100, 120, 120, 140])),
        photons_per_ray=float(np.exp(rng.uniform(np.log(3e5), np.log(1.5e6)))),
        kernel=str(rng.choice(["soft", "standard", "standard", "bone"])),  # type: ignore[arg-type]
        geometry="fan-arc",
        n_views=360,
        n_energies=16,
        scatter=float(rng.uniform(0.03, 0.15)),
        scatter_correction=float(rng.uniform(0.7, 1.0)),
    )


def own_scan(
    anatomy: CTVolume, implants: Implants, scanner: ScannerSettings, seed: int
) -> tuple[CTVolume, CTVolume]:
    """The scan and its truth by the project's own fan beam."""
    first, last = with_metal(anatomy, implants)
    made = simulate_scan(anatomy, implants, scanner, seed, slices=slice(first, last))
    assert made.truth is not None
    return _beside_metal(anatomy, scanner, seed, first, made.volume.hu, made.truth.hu)


def xcist_scan(
    anatomy: CTVolume, implants: Implants, plan: Plan, scanner: ScannerSettings, seed: int
) -> tuple[CTVolume, CTVolume]:
    """The scan and its truth by XCIST."""
    install()
    first, last = with_metal(anatomy, implants)
    slices = [
        _xcist_slice(anatomy, plan, k, xcist_protocol(anatomy, scanner, seed + k))
        for k in range(first, last)
    ]
    scan, truth = (
        np.stack([stored_hu(hu[name], scanner.hu_scale) for hu in slices])
        for name in ("scan", "truth")
    )
    return _beside_metal(anatomy, scanner, seed, first, scan, truth)


def with_metal(anatomy: CTVolume, implants: Implants) -> tuple[int, int]:
    """First slice with metal, and the first one after it."""
    amount = sum(implants.values(), np.zeros(anatomy.hu.shape, np.float32))
    found = np.flatnonzero(amount.max(axis=(1, 2)) >= _LEAST_METAL)
    return int(found[0]), int(found[-1]) + 1


def _beside_metal(
    anatomy: CTVolume,
    scanner: ScannerSettings,
    seed: int,
    first: int,
    scan: NDArray[np.float32],
    truth: NDArray[np.float32],
) -> tuple[CTVolume, CTVolume]:
    """Add the slices above and below the metal: by the own scanner's parallel beam.

    They are not scored; a registration sees them.
    """
    parallel = replace(scanner, geometry="parallel")
    parts = [slice(0, first), slice(first + len(scan), len(anatomy.hu))]
    below, above = (
        simulate_scan(anatomy, {}, parallel, seed, slices=part).volume.hu
        if part.stop > part.start
        else anatomy.hu[:0]
        for part in parts
    )
    whole = [np.concatenate([below, middle, above]) for middle in (scan, truth)]
    return anatomy.with_hu(whole[0]), anatomy.with_hu(whole[1])


def xcist_protocol(anatomy: CTVolume, scanner: ScannerSettings, seed: int) -> dict[str, Any]:
    """What XCIST is told: the drawn voltage, dose, kernel and scatter correction."""
    pixel = anatomy.spacing_mm[0]
    return {
        **PROTOCOL,
        "kvp": scanner.kvp,
        "ma": float(np.clip(scanner.photons_per_ray / 1.5e6 * 400.0, 80.0, 400.0)),
        "kernel": scanner.kernel,
        "views": _XCIST_VIEWS,
        "slice_mm": anatomy.spacing_mm[2],
        "scatter_correction": scanner.scatter_correction,
        "seed": seed,
        "matrix": anatomy.hu.shape[1],
        "fov_mm": anatomy.hu.shape[1] * pixel,
    }


def _xcist_slice(anatomy: CTVolume, plan: Plan, k: int, task: dict[str, Any]) -> dict[str, Any]:
    height = float(anatomy.geometry.to_ras(np.array([0.0, 0.0, float(k)]))[2])
    phantom = make_phantom(anatomy, plan, height, task["slice_mm"])
    with tempfile.TemporaryDirectory() as name:
        return run_scanner(Path(name) / "xcist", phantom, task)
