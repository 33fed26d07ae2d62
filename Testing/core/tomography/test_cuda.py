"""The transforms on a GPU: their protocol on stand-ins for cupy and cufinufft, and the real thing.

The stand-ins compute with NumPy and finufft, so what is tested here is everything but CUDA.
"""

from __future__ import annotations

import sys
import types
from contextlib import nullcontext

import numpy as np
import pytest

from spinemar.tomography import cuda
from spinemar.tomography.cuda import CudaRadonTransform, cuda_transforms_available, make_radon
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform

SHAPE, PIXEL = (48, 60), (1.0, 1.2)
GEOMETRY = SinogramGeometry(60, 96, 1.0)


class _Stream(nullcontext):
    made = 0

    def __init__(self, non_blocking=False) -> None:
        super().__init__()
        assert non_blocking
        _Stream.made += 1
        self.ptr = _Stream.made


def _stand_ins(monkeypatch, *, devices=1, room=10**9, plan_error=None) -> list[int]:
    streams: list[int] = []
    cupy = types.ModuleType("cupy")

    def asarray(host):
        if host.nbytes > room:
            raise MemoryError("Out of memory allocating 1 bytes\nsecond line")
        return np.array(host)

    cupy.asarray, cupy.asnumpy = asarray, np.array
    cupy.conj, cupy.ascontiguousarray, cupy.fft = np.conj, np.ascontiguousarray, np.fft
    cupy.cuda = types.SimpleNamespace(
        Stream=_Stream, runtime=types.SimpleNamespace(getDeviceCount=lambda: devices)
    )
    cufinufft = types.ModuleType("cufinufft")

    def plan(kind, shape, n_trans, *, eps, isign, dtype, gpu_stream):
        import finufft

        if plan_error:
            raise RuntimeError(plan_error)
        streams.append(gpu_stream)
        return finufft.Plan(kind, shape, n_trans, eps=eps, isign=isign, dtype=dtype, nthreads=1)

    cufinufft.Plan = plan
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cufinufft", cufinufft)
    return streams


def _close(a: RadonTransform, b: RadonTransform) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, *SHAPE), dtype=np.float32)
    rays = b.forward(images)
    size = np.abs(rays).max()
    assert np.abs(a.forward(images) - rays).max() < 3e-4 * size
    for ours, theirs in zip(a.forward_pair(images, images), (rays, rays), strict=True):
        assert np.abs(ours - theirs).max() < 3e-4 * size
    for kernel in ("ram-lak", "hann"):
        expected = b.fbp(rays, kernel)
        assert np.abs(a.fbp(rays, kernel) - expected).max() < 1e-3 * np.abs(expected).max()
    expected = b.adjoint(rays)
    assert np.abs(a.adjoint(rays) - expected).max() < 1e-3 * np.abs(expected).max()


def test_the_same_numbers_by_another_road(monkeypatch) -> None:
    streams = _stand_ins(monkeypatch)
    transform = CudaRadonTransform(SHAPE, PIXEL, GEOMETRY, threads=2)
    _close(transform, RadonTransform(SHAPE, PIXEL, GEOMETRY, threads=1))
    assert transform.engine == "cufinufft"
    assert transform.fallback is None
    assert 2 <= len(streams) <= 4  # two plans a lane, a lane a thread, kept for later
    assert len(set(streams)) * 2 == len(streams)


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [({"room": 64}, "Out of memory"), ({"plan_error": "CUDA driver too old"}, "too old")],
)
def test_the_host_takes_over_in_one_sentence(monkeypatch, behaviour, cause) -> None:
    _stand_ins(monkeypatch, **behaviour)
    transform = CudaRadonTransform(SHAPE, PIXEL, GEOMETRY, threads=1)
    _close(transform, RadonTransform(SHAPE, PIXEL, GEOMETRY, threads=1))
    assert cause in transform.fallback
    assert "\n" not in transform.fallback
    assert transform.engine == "finufft"


def test_the_gpu_is_used_only_where_it_may_and_can(monkeypatch) -> None:
    def made(device: str) -> type:
        return type(make_radon(SHAPE, PIXEL, GEOMETRY, 1, device))

    _stand_ins(monkeypatch)
    assert made("auto") is made("cuda") is CudaRadonTransform
    assert made("cpu") is RadonTransform
    _stand_ins(monkeypatch, devices=0)
    assert made("auto") is RadonTransform
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert made("cuda") is RadonTransform
    assert not cuda_transforms_available()


@pytest.mark.gpu
@pytest.mark.skipif(not cuda.cuda_transforms_available(), reason="needs a GPU, cupy, cufinufft")
def test_on_a_gpu() -> None:
    shape, pixel = (512, 512), (0.8, 0.8)
    ours = CudaRadonTransform(shape, pixel)
    host = RadonTransform(shape, pixel)
    image = np.random.default_rng(0).random((5, *shape), dtype=np.float32)
    rays = host.forward(image)
    assert np.abs(ours.forward(image) - rays).max() < 3e-4 * np.abs(rays).max()
    back = host.fbp(rays)
    assert np.abs(ours.fbp(rays) - back).max() < 1e-3 * np.abs(back).max()
    assert ours.fallback is None
