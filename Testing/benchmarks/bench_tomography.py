"""Projection and filtered backprojection per slice against scikit-image and ASTRA (CPU).

Appends to build/bench.json and prints a table. Run: python Testing/benchmarks/bench_tomography.py
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.tomography.radon import RadonTransform, available_threads
from spinemar.tomography.units import hu_to_mu

MATRIX = 512
SLICES = 16
PIXEL_MM = 0.8
BENCH_JSON = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def machine_facts() -> dict[str, Any]:
    """Return what a reader needs to place the figures."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cpu": model,
        "threads": available_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def best_seconds(job: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several runs, after one to warm up."""
    job()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def record(entries: list[dict[str, Any]]) -> None:
    """Replace entries of the same name in build/bench.json."""
    BENCH_JSON.parent.mkdir(exist_ok=True)
    known: list[dict[str, Any]] = json.loads(BENCH_JSON.read_text()) if BENCH_JSON.exists() else []
    fresh = {(entry["name"], entry["peer"]) for entry in entries}
    kept = [entry for entry in known if (entry["name"], entry["peer"]) not in fresh]
    with atomic_path(BENCH_JSON) as path:
        Path(path).write_text(json.dumps(kept + entries, indent=2) + "\n")


def phantom() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a stack of noisy ellipses in mu per mm."""
    y, x = np.mgrid[:MATRIX, :MATRIX] - (MATRIX - 1) / 2
    body = (x / 220) ** 2 + (y / 150) ** 2 < 1
    spine = (x / 25) ** 2 + ((y - 70) / 20) ** 2 < 1
    hu = np.where(spine, 400.0, np.where(body, 40.0, -1000.0))
    noise = np.random.default_rng(0).standard_normal((SLICES, MATRIX, MATRIX))
    return hu_to_mu(hu + 20.0 * noise * body) * body.astype(np.float32)


def ours(images: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[float, float]:
    """Return seconds per slice, forward and FBP."""
    transform = RadonTransform((MATRIX, MATRIX), (PIXEL_MM, PIXEL_MM))
    sinograms = transform.forward(images)
    forward = best_seconds(lambda: transform.forward(images), 5) / SLICES
    back = best_seconds(lambda: transform.fbp(sinograms), 5) / SLICES
    return forward, back


def scikit_image(image: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[float, float]:
    """Return seconds per slice, forward and FBP."""
    from skimage.transform import iradon, radon

    theta = np.arange(720) * 0.25
    start = time.perf_counter()
    sinogram = radon(image, theta=theta, circle=True)
    middle = time.perf_counter()
    iradon(sinogram, theta=theta, circle=True, filter_name="ramp")
    return middle - start, time.perf_counter() - middle


def astra(image: np.ndarray[Any, np.dtype[np.float32]], projector: str) -> tuple[float, float]:
    """Return seconds per slice, forward and FBP, of ASTRA's CPU code, which uses one core."""
    import astra as toolbox

    volume = toolbox.create_vol_geom(MATRIX, MATRIX)
    angles = np.pi * np.arange(720) / 720
    beams = toolbox.create_proj_geom("parallel", 1.0, 736, angles)
    kind = toolbox.create_projector(projector, beams, volume)
    image_id = toolbox.data2d.create("-vol", volume, image)
    sinogram_id = toolbox.data2d.create("-sino", beams)
    result_id = toolbox.data2d.create("-vol", volume)

    def run(name: str, **data: object) -> Callable[[], None]:
        settings = toolbox.astra_dict(name)
        settings["ProjectorId"] = kind
        settings.update(data)
        algorithm = toolbox.algorithm.create(settings)
        return lambda: toolbox.algorithm.run(algorithm)

    project = run("FP", VolumeDataId=image_id, ProjectionDataId=sinogram_id)
    reconstruct = run("FBP", ProjectionDataId=sinogram_id, ReconstructionDataId=result_id)
    forward = best_seconds(project, 2)
    back = best_seconds(reconstruct, 2)
    toolbox.clear()
    return forward, back


def compare() -> dict[str, Any]:
    """Measure ours and every peer at hand: seconds per slice, forward and FBP."""
    images = phantom()
    peers: dict[str, Callable[[], tuple[float, float]]] = {
        "scikit-image": lambda: scikit_image(images[0]),
        "ASTRA CPU line": lambda: astra(images[0], "line"),
        "ASTRA CPU linear": lambda: astra(images[0], "linear"),
    }
    # Ours before and after: on a busy machine the two tell how far to trust the ratios.
    seconds = {"ours": ours(images)}
    for peer, measure in peers.items():
        try:
            seconds[peer] = measure()
        except ImportError as missing:
            print(f"{peer}: not measured ({missing})")
    seconds["ours again"] = ours(images)
    for name, (forward, back) in seconds.items():
        total = sum(seconds["ours"]) + sum(seconds["ours again"])
        ratio = 2 * (forward + back) / total
        print(f"{name:17s} {1e3 * forward:8.1f} ms {1e3 * back:8.1f} ms {ratio:7.1f}x", flush=True)
    return {
        name: {"forward_s": round(forward, 5), "fbp_s": round(back, 5)}
        for name, (forward, back) in seconds.items()
    }


def main() -> None:
    """Measure, print and record."""
    seconds = compare()
    facts = machine_facts()
    entries: list[dict[str, Any]] = []
    for peer, theirs in seconds.items():
        if peer.startswith("ours"):
            continue
        for name in ("forward_s", "fbp_s"):
            mine = (seconds["ours"][name] + seconds["ours again"][name]) / 2
            entries.append(
                {
                    "name": f"tomography {name[:-2]}, 512x512, 720x736, per slice",
                    "seconds": round(mine, 5),
                    "peer": peer,
                    "peer_seconds": theirs[name],
                    "ratio": round(theirs[name] / mine, 1),
                    "machine": facts,
                }
            )
    record(entries)


if __name__ == "__main__":
    main()
