"""The correction on an NVIDIA GPU: 32 and 16 bits, against this machine's CPU.

Run: make bench-gpu. Without a GPU, or without onnxruntime-gpu, it says so and ends well.
Writes build/performance_gpu.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from correction_case import Case, measure, patient, run

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import ModelError
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import make_inpainter, shipped_model
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.tomography.cuda import cuda_transforms_available

RESULTS = Path(__file__).resolve().parents[2] / "build" / "performance_gpu.json"
CUDA = "CUDAExecutionProvider"
SLICES = 100
COMPARED_SLICES = 4
GOAL_S = 3.0


def why_not() -> str | None:
    """Why nothing can be measured here, in one sentence; None where it can."""
    try:
        runtime = onnx_runtime()
    except ModelError as missing:
        return missing.problem
    if CUDA not in runtime.get_available_providers():
        return "this onnxruntime has no CUDA (pip install onnxruntime-gpu)."
    if shipped_model() is None:
        return "no model ships with this copy."
    facts = make_inpainter("generator", None, "cuda").facts()
    if facts.provider != CUDA:
        return f"{facts.fallback or 'CUDA did not start.'}"
    return None


def agreement(device: str) -> dict[str, Any]:
    """Compare a device with the CPU on a few slices: HU outside metal, gate decisions."""
    volume = patient(COMPARED_SLICES)
    cpu = correct_volume(volume, method="generator", device="cpu")
    other = correct_volume(volume, method="generator", device=device)  # type: ignore[arg-type]
    difference = (other.volume.hu - cpu.volume.hu)[~cpu.metal_mask]
    return {
        "device": device,
        "most_hu": float(np.abs(difference).max()),
        "rms_hu": float(np.sqrt(np.mean(difference**2))),
        "same_decisions": other.corrected == cpu.corrected,
        "fallback": other.provenance.fallback,
    }


def main() -> None:
    """Measure or say why not."""
    problem = why_not()
    if problem is not None:
        print(f"No GPU to measure here: {problem}")
        return
    if not cuda_transforms_available():
        print("The transforms stay on the CPU: cupy and cufinufft are not both installed.")
    results: dict[str, Any] = {"agreement": [], "corrections": []}
    for device in ("cuda", "cuda-fp16"):
        found = agreement(device)
        print(f"{device} against cpu: {found}")
        results["agreement"].append(found)
        timed = measure(Case("generator", SLICES, device=device))
        print(f"{device}, {SLICES} slices after warm-up: {timed['wall_s']:.2f} s (goal {GOAL_S} s)")
        results["corrections"].append(timed)
    try:
        peer = run(Case("nmar", COMPARED_SLICES, peer="ASTRA CUDA"))
        ours = run(Case("nmar", COMPARED_SLICES, device="cuda"))
        results["corrections"] += [peer, ours]
        print(f"NMAR on ASTRA CUDA {peer['wall_s']:.2f} s, on ours {ours['wall_s']:.2f} s")
    except Exception as missing:  # no ASTRA, or one without CUDA
        print(f"ASTRA on CUDA: not measured ({missing})")
    RESULTS.parent.mkdir(exist_ok=True)
    with atomic_path(RESULTS) as path:
        path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    main()
