"""Seconds a slice of the full polychromatic scan with two metals, and where they go.

512 x 512, 720 views, 2 x 736 rays, 24 energies, titanium screws and a cobalt-chrome rod; all
effects on. Appends to build/bench.json. Run: python Testing/benchmarks/bench_simulator.py
"""

from __future__ import annotations

import time

import numpy as np
from bench_tomography import best_seconds, machine_facts, record
from numpy.typing import NDArray

from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.physics.scans.line_integrals import slice_paths
from spinemar.physics.scans.slice_scan import prepare, reconstruct, slice_noise
from spinemar.volume import CTVolume

MATRIX, PIXEL_MM, SLICES = 512, 0.8, 12
GOAL_SECONDS = 0.5


def patient() -> tuple[CTVolume, dict[str, NDArray[np.float32]]]:
    """A body with a vertebra, two titanium screws and two cobalt-chrome rods."""
    y, x = (np.mgrid[:MATRIX, :MATRIX] - (MATRIX - 1) / 2) * PIXEL_MM
    hu = np.full((MATRIX, MATRIX), -1000.0, dtype=np.float32)
    hu[(x / 165) ** 2 + (y / 110) ** 2 < 1] = 40
    hu[np.hypot(x, y - 30) < 22] = 350
    titanium = np.zeros_like(hu)
    for side in (-1, 1):
        across = np.abs((x - side * 18) - side * 0.25 * (y - 45))
        titanium[(across < 3) & (np.abs(y - 45) < 20)] = 1
    chrome = (np.hypot(np.abs(x) - 24, y - 72) < 2.75).astype(np.float32)
    repeat = (SLICES, 1, 1)
    volume = CTVolume(np.tile(hu, repeat), np.diag([PIXEL_MM, PIXEL_MM, 2.0, 1.0]))
    implants = {"Ti-6Al-4V": np.tile(titanium, repeat), "CoCrMo": np.tile(chrome, repeat)}
    return volume, implants


def profile(volume: CTVolume, implants: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    """Seconds of each step of one slice, on one thread."""
    bench = prepare(volume, implants, ScannerSettings(), 0, with_truth=False)
    images = {name: fraction[0] for name, fraction in implants.items()}
    materials = bench.acquisition.materials
    seconds: dict[str, float] = {}

    def timed(name: str, job):  # type: ignore[no-untyped-def]
        start = time.perf_counter()
        result = job()
        spent = time.perf_counter() - start
        seconds[name] = min(spent, seconds.get(name, np.inf))
        return result

    for _ in range(4):
        paths = timed(
            "line integrals",
            lambda: slice_paths(volume.hu[0], images, materials, bench.project, with_truth=False),
        )
        exposure = timed("exposure", lambda: bench.acquisition.expose(paths.scan))  # noqa: B023
        noise = timed("random numbers", lambda: slice_noise(bench, 0))
        projections = timed(
            "read-out",
            lambda: bench.acquisition.read_out(exposure, noise),  # noqa: B023
        )
        timed("reconstruction", lambda: reconstruct(bench, projections[None]))  # noqa: B023
    return {name: round(value, 4) for name, value in seconds.items()}


def main() -> None:
    """Measure, print and record."""
    volume, implants = patient()
    settings = ScannerSettings()

    def scan(with_truth: bool) -> float:
        def job() -> None:
            simulate_scan(volume, implants, settings, with_truth=with_truth)

        return best_seconds(job, 3) / SLICES

    alone, pair = scan(False), scan(True)
    steps = profile(volume, implants)
    print(f"scan with two metals, 24 energies: {alone:.3f} s a slice (goal {GOAL_SECONDS})")
    print(f"scan and its metal-free truth:     {pair:.3f} s a slice")
    print("one slice on one thread, s: " + ", ".join(f"{k} {v:.3f}" for k, v in steps.items()))
    facts = {"machine": machine_facts(), "goal_s": GOAL_SECONDS}
    record(
        [
            {"name": "simulate_scan", "peer": "spinemar", "seconds_per_slice": alone, **facts},
            {"name": "simulate_pair", "peer": "spinemar", "seconds_per_slice": pair, **facts},
            {"name": "simulate_steps", "peer": "spinemar", "seconds": steps, **facts},
        ]
    )


if __name__ == "__main__":
    main()
