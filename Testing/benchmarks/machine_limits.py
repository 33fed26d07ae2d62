"""What this machine can do at most: multiply-adds a second, bytes a second; and what networks need.

Run as a script it measures in a process of its own: python machine_limits.py THREADS
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

_MATRIX = 3072
_COPY_BYTES = 256 << 20
_TRIES = 5


def measure(threads: int) -> dict[str, float]:
    """Return GFLOP/s of a float32 matrix product and GB/s of a copy (read plus written)."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, str(threads)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    result: dict[str, float] = json.loads(answer.stdout)
    return result


def _gemm_gflops() -> float:
    a = np.random.default_rng(0).random((_MATRIX, _MATRIX), dtype=np.float32)
    out = np.empty_like(a)
    best = np.inf
    for _ in range(_TRIES):
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - start)
    return float(2 * _MATRIX**3 / best / 1e9)


def _copy_gb(threads: int) -> float:
    size = _COPY_BYTES // 4 // threads
    pairs = [(np.ones(size, np.float32), np.zeros(size, np.float32)) for _ in range(threads)]
    best = np.inf
    for _ in range(_TRIES):
        jobs = [threading.Thread(target=np.copyto, args=(out, a)) for a, out in pairs]
        start = time.perf_counter()
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        best = min(best, time.perf_counter() - start)
    return 2 * size * 4 * threads / best / 1e9


def network_gflop(data: bytes, sizes: dict[str, list[int]]) -> float:
    """Multiply-adds (counted as two) of the convolutions of an ONNX network, in 1e9.

    Parameters
    ----------
    data : bytes
    sizes : mapping of str to list of int
        Shape of each input.
    """
    import onnx

    model = onnx.load_from_string(data)
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, sizes[value.name], strict=True):
            dim.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]
    }
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    for node in model.graph.node:  # weights stored in 16 bits are cast before they are used
        if node.op_type == "Cast" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    total = 0.0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose"):
            continue
        kernel = float(np.prod(weights[node.input[1]]))
        # A convolution multiplies its kernel with every output pixel, a transposed one with
        # every input pixel.
        image = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
        total += 2 * kernel * image[0] * image[2] * image[3]
    return total / 1e9


def nufft_mflop(pixels: int, views: int, bins: int) -> float:
    """FLOP of one complex transform between image and radial lines, in 1e6.

    A kernel of 7 x 7 (tolerance 1e-4, oversampling 1.25) at every sample, four FLOP each, and
    one FFT of the oversampled grid.
    """
    grid = (1.25 * pixels) ** 2
    return float(4.0 * 49 * views * bins + 5.0 * grid * np.log2(grid)) / 1e6


def fft_mflop(rows: int, length: int) -> float:
    """FLOP of complex FFTs along rows, in 1e6."""
    return float(5.0 * rows * length * np.log2(length) / 1e6)


def cpu_facts() -> dict[str, Any]:
    """Return what a reader needs to place figures."""
    import bench_tomography

    return bench_tomography.machine_facts()


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(json.dumps({"gflops": round(_gemm_gflops(), 1), "copy_gb_s": round(_copy_gb(count), 2)}))
