"""Whole corrections: seconds by stage, memory, scaling, and the same pipeline on other transforms.

Writes build/performance.json, from which scripts/make_performance_page.py makes
Docs/performance.md. Run: python Testing/benchmarks/bench_correct.py [--quick] [--only NAMES]
Every figure comes from a process of its own (correction_case.py).
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import bench_tomography
import machine_limits
from correction_case import Case, patient, run

from spinemar.base.atomic_files import atomic_path
from spinemar.mar.correct import correct_volume
from spinemar.tomography.filters import padded_length
from spinemar.tomography.radon import available_threads

RESULTS = Path(__file__).resolve().parents[2] / "build" / "performance.json"
SLICES = 100
QUICK_SLICES = 8
PEER_SLICES = 2
PEERS = ("scikit-image", "ASTRA CPU")
MANY_SLICES = (50, 100, 200, 400, 1000)
MATRICES = (256, 384, 512, 768, 1024)


def _told(case: Case) -> dict[str, Any]:
    result = run(case)
    stages = ", ".join(f"{name} {value:.1f}" for name, value in result["stages_s"].items())
    of = f" on {case.peer}" if case.peer else ""
    print(
        f"{case.method}{of}, {case.slices} x {case.matrix}^2, threads {case.threads or 'all'}: "
        f"{result['wall_s']:.1f} s, peak {result['peak_mib_above_arrays']:.0f} MiB ({stages})",
        flush=True,
    )
    return result


def headline(quick: bool) -> list[dict[str, Any]]:
    """100 metal slices from file to file, with NMAR and with the shipped generator."""
    slices = QUICK_SLICES if quick else SLICES
    return [_told(Case(method, slices, files=True)) for method in ("nmar", "generator")]


def peers(quick: bool) -> list[dict[str, Any]]:
    """A few slices end to end on our transforms and on those of others."""
    methods = ("nmar",) if quick else ("nmar", "generator")
    results = []
    for method in methods:
        for peer in (None, *PEERS):
            try:
                results.append(_told(Case(method, PEER_SLICES, peer=peer)))
            except Exception as missing:  # a peer that is not installed is no failure
                print(f"{method} on {peer}: not measured ({missing})")
    return results


def slices(quick: bool) -> list[dict[str, Any]]:
    """Time and memory over the number of slices."""
    counts = MANY_SLICES[:2] if quick else MANY_SLICES
    results = [_told(Case("nmar", count)) for count in counts]
    return results + [_told(Case("generator", count)) for count in ((10,) if quick else (25, 50))]


def matrices(quick: bool) -> list[dict[str, Any]]:
    """Time and memory over the matrix, at the same field of view."""
    sizes = MATRICES[::2] if quick else MATRICES
    results = [_told(Case("nmar", 16, matrix)) for matrix in sizes]
    return results + [_told(Case("generator", 8, matrix)) for matrix in sizes[::2]]


def threads(quick: bool) -> list[dict[str, Any]]:
    """Time over threads."""
    counts = [n for n in (1, 2, 4, 8, 16) if n <= available_threads()]
    some = 16 if quick else 32
    results = [_told(Case("nmar", some, threads=n)) for n in counts]
    return results + [_told(Case("generator", some // 4, threads=n)) for n in counts]


def transforms(quick: bool) -> dict[str, Any]:
    """Single transforms against scikit-image and ASTRA."""
    return bench_tomography.compare()


def _networks_of_a_slice() -> list[tuple[Any, dict[str, list[int]]]]:
    """Return each network that the phantom's slice goes through, and its inputs' shapes."""
    from spinemar.mar.inpainters.models.session import NetworkSession

    seen: dict[str, tuple[Any, dict[str, list[int]]]] = {}
    run_network = NetworkSession.run

    def noting(self: NetworkSession, inputs: Any) -> Any:
        shapes = {name: list(array.shape) for name, array in inputs.items()}
        seen[self.network.role] = (self.network, shapes)
        return run_network(self, inputs)

    with mock.patch.object(NetworkSession, "run", noting):
        correct_volume(patient(1), method="auto", device="cpu")
    return list(seen.values())


def limits(quick: bool) -> dict[str, Any]:
    """The machine's limits, and what each step of a slice needs."""
    counts = [n for n in (1, 2) if n <= available_threads()]
    measured = {str(n): machine_limits.measure(n) for n in counts}
    needs: dict[str, Any] = {
        "nufft_mflop": round(machine_limits.nufft_mflop(512, 720, 736), 1),
        "ramp_mflop": round(2 * machine_limits.fft_mflop(720, padded_length(736)), 1),
        "views_mflop": round(machine_limits.fft_mflop(720, 736), 1),
    }
    for network, sizes in _networks_of_a_slice():
        gflop = machine_limits.network_gflop(network.data, sizes)
        needs[f"{network.role}_gflop"] = round(gflop, 2)
        needs[f"{network.role}_inputs"] = sizes
    for count, values in measured.items():
        print(f"limits, {count} threads: {values}")
    print(f"needs: {needs}", flush=True)
    return {"measured": measured, "needs": needs}


PARTS: dict[str, Callable[[bool], Any]] = {
    "limits": limits,
    "transforms": transforms,
    "headline": headline,
    "peers": peers,
    "slices": slices,
    "matrices": matrices,
    "threads": threads,
}


def main() -> None:
    """Measure what is asked for, print it, and renew it in the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.only:
        results[name] = PARTS[name](options.quick)
        results["machine"] = machine_limits.cpu_facts()
        results["date"] = datetime.date.today().isoformat()
        with atomic_path(RESULTS) as path:
            path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()
