"""Whole correction with NMAR: seconds by stage, against the same steps on other transforms.

Appends to build/bench.json and prints. Run: python Testing/benchmarks/bench_correct.py
[--slices 100] [--memory] (the latter: 1,000 slices in a process of its own, peak memory).
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spinemar.mar.correct import correct_volume
from spinemar.mar.gate import GateParameters
from spinemar.volume import CTVolume

MATRIX = 512
PIXEL_MM = 0.8
# Transforms of one metal slice: image, mask and prior forward; LI and result back.
FORWARD, BACK = 3, 2


def _tomography() -> ModuleType:
    path = Path(__file__).with_name("bench_tomography.py")
    spec = importlib.util.spec_from_file_location("bench_tomography", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def patient(slices: int) -> CTVolume:
    """Return an abdomen with two screws and two rods, and bands between them, in every slice."""
    y, x = np.mgrid[:MATRIX, :MATRIX].astype(np.float32) - (MATRIX - 1) / 2
    one = np.full((MATRIX, MATRIX), -1000.0, np.float32)
    one[(x / 215) ** 2 + (y / 150) ** 2 < 1] = -100.0
    one[(x / 195) ** 2 + (y / 130) ** 2 < 1] = 45.0
    one[(x / 28) ** 2 + ((y - 60) / 22) ** 2 < 1] = 300.0
    band = 250.0 * np.exp(-(((y - 70) / 12) ** 2)) * (np.abs(x) < 150) * (one > -500)
    one -= band.astype(np.float32)
    for side in (-1, 1):
        screw = (np.abs(x - side * (18 + 0.3 * (y - 60))) < 4) & (np.abs(y - 70) < 28)
        one[screw | ((x - side * 35) ** 2 + (y - 105) ** 2 < 16)] = 3071.0
    rng = np.random.default_rng(0)
    hu = np.empty((slices, MATRIX, MATRIX), np.float32)
    for k in range(slices):
        hu[k] = one
        hu[k] += rng.standard_normal((MATRIX, MATRIX), np.float32) * 12.0 * (one < 3000)
    return CTVolume(hu, np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))


def correct(volume: CTVolume) -> tuple[float, dict[str, float]]:
    """Correct every slice and return seconds, total and by stage."""
    full = GateParameters(offset=1.0, by_gain=0.0, by_log_spread=0.0, by_log_ratio=0.0)
    start = time.perf_counter()
    result = correct_volume(volume, method="nmar", gate=full)
    seconds = time.perf_counter() - start
    assert len(result.corrected) == len(volume.hu)
    return seconds, dict(result.seconds)


def measure_memory(slices: int) -> None:
    """Correct a large volume here and print the peak above its arrays, MiB."""
    volume = patient(slices)
    correct(patient(8))  # libraries loaded, plans made
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, _ = correct(volume)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    output = volume.hu.nbytes * 1.25 / 2**20  # corrected volume and mask
    print(f"{seconds:.1f} {peak - before - output:.0f}")


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--memory", action="store_true", help="also 1,000 slices (minutes)")
    parser.add_argument("--memory-child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_child:
        measure_memory(options.memory_child)
        return
    tomography = _tomography()
    facts = tomography.machine_facts()
    correct(patient(4))
    total, stages = correct(patient(options.slices))
    per_slice = total / options.slices
    print(f"NMAR, {options.slices} metal slices: {total:.2f} s, {1e3 * per_slice:.0f} ms a slice")
    for stage, seconds in stages.items():
        print(f"  {stage:12s} {1e3 * seconds / options.slices:7.1f} ms a slice")
    entries: list[dict[str, Any]] = []
    images = tomography.phantom()
    forward, back = tomography.ours(images)
    rest = max(0.0, per_slice - FORWARD * forward - BACK * back)
    for peer, measure in (
        ("scikit-image", lambda: tomography.scikit_image(images[0])),
        ("ASTRA CPU linear", lambda: tomography.astra(images[0], "linear")),
    ):
        try:
            one_forward, one_back = measure()
        except ImportError as missing:
            print(f"{peer}: not measured ({missing})")
            continue
        theirs = FORWARD * one_forward + BACK * one_back + rest
        print(f"  on {peer}: {1e3 * theirs:.0f} ms a slice, {theirs / per_slice:.1f}x")
        entries.append(
            {
                "name": "NMAR correction, 512x512, per metal slice",
                "seconds": round(per_slice, 4),
                "peer": f"same steps on {peer}",
                "peer_seconds": round(theirs, 3),
                "ratio": round(theirs / per_slice, 1),
                "stages": stages,
                "slices": options.slices,
                "machine": facts,
            }
        )
    if options.memory:
        command = [sys.executable, __file__, "--memory-child", "1000"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        print(f"1,000 metal slices: {answer[0]} s, peak {answer[1]} MiB above input and output")
        entries.append(
            {
                "name": "NMAR correction, 1,000 metal slices of 512x512",
                "seconds": float(answer[0]),
                "peer": "limit of 2 GiB above input and output",
                "peer_seconds": None,
                "ratio": None,
                "peak_mib_above_arrays": float(answer[1]),
                "machine": facts,
            }
        )
    tomography.record(entries)


if __name__ == "__main__":
    main()
