"""The shipped model in batches on a GPU gives what it gives slice by slice on the CPU.

On every machine: with a runtime that claims CUDA, forgets to use it, and runs out of memory on
the way. Where there is a GPU: the real thing.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models import session
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.result import CorrectionResult
from spinemar.volume import CTVolume

ort = onnx_runtime()
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
LIMIT_HU = 2.0

pytestmark = pytest.mark.skipif(shipped_model() is None, reason="no model ships")


@pytest.fixture(scope="module")
def volume(scan) -> CTVolume:
    case = scan("316L")
    return CTVolume(case.volume.hu[:4], case.volume.ijk_to_ras)


@pytest.fixture(scope="module")
def on_cpu(volume) -> CorrectionResult:
    return correct_volume(volume, method="generator", device="cpu", threads=1)


def _assert_same(result: CorrectionResult, expected: CorrectionResult, limit_hu: float) -> None:
    outside = ~expected.metal_mask
    assert np.abs(result.volume.hu - expected.volume.hu)[outside].max() <= limit_hu
    assert result.corrected == expected.corrected
    assert result.left_alone == expected.left_alone


class _ClaimsCuda:
    """A real CPU session that says CUDA, takes bound inputs, and holds few slices."""

    def __init__(self, real, room: int, sizes: list[int]) -> None:
        self._real, self._room, self._sizes = real, room, sizes

    def __getattr__(self, name):
        return getattr(self._real, name)

    def get_providers(self):
        return [CUDA, CPU]

    def io_binding(self):
        return SimpleNamespace(
            feed={},
            bind_ortvalue_input=lambda name, value: self._bound.update({name: value}),
            bind_output=lambda name, device, index: None,
            copy_outputs_to_cpu=lambda: self._out,
            clear=self._clear(),
        )

    def _clear(self) -> None:
        self._bound, self._out = {}, None

    def run_with_iobinding(self, binding, options=None):
        size = len(next(iter(self._bound.values())))
        if size > self._room:
            raise RuntimeError("CUDNN failure: out of memory while running Conv")
        self._sizes.append(size)
        self._out = self._real.run(None, self._bound, options)


@pytest.fixture
def claims_cuda(monkeypatch):
    def make(room: int) -> list[int]:
        sizes: list[int] = []

        def open_session(data, options, providers):
            real = ort.InferenceSession(data, options, providers=[CPU])
            claims = any(not isinstance(p, str) for p in providers)
            return _ClaimsCuda(real, room, sizes) if claims else real

        runtime = SimpleNamespace(
            get_available_providers=lambda: [CUDA, CPU],
            InferenceSession=open_session,
            SessionOptions=ort.SessionOptions,
            RunOptions=ort.RunOptions,
            GraphOptimizationLevel=ort.GraphOptimizationLevel,
            OrtValue=SimpleNamespace(ortvalue_from_numpy=lambda array, device, index: array),
        )
        monkeypatch.setattr(session, "onnx_runtime", lambda: runtime)
        monkeypatch.setattr(session, "free_gpu_bytes", lambda: None)
        return sizes

    return make


@pytest.mark.slow
def test_batches_change_nothing(claims_cuda, volume, on_cpu) -> None:
    sizes = claims_cuda(room=99)
    result = correct_volume(volume, method="generator", device="cuda", threads=1)
    assert max(sizes) > 1, "nothing ran in a batch"
    assert result.provenance.provider == CUDA
    assert result.provenance.fallback is None
    _assert_same(result, on_cpu, LIMIT_HU)


@pytest.mark.slow
@pytest.mark.parametrize("room", [1, 0])
def test_running_out_of_memory_changes_nothing(claims_cuda, volume, on_cpu, room) -> None:
    claims_cuda(room=room)
    result = correct_volume(volume, method="generator", device="cuda", threads=1)
    _assert_same(result, on_cpu, LIMIT_HU)
    assert result.provenance.provider == (CUDA if room else CPU)
    said = "did not hold" if room else "ran on CPU"
    assert said in result.provenance.fallback


@pytest.mark.slow
def test_threads_change_no_bit_of_the_learned_correction(volume, on_cpu) -> None:
    together = correct_volume(volume, method="generator", device="cpu", threads=2)
    np.testing.assert_array_equal(together.volume.hu, on_cpu.volume.hu)
    assert together.slices == on_cpu.slices


@pytest.mark.slow
def test_an_inpainter_keeps_nothing_of_the_last_volume(volume, on_cpu) -> None:
    from spinemar.mar.inpainters.methods import make_inpainter

    worker = make_inpainter("generator", None, "cpu")
    upside_down = CTVolume(volume.hu[::-1].copy(), volume.ijk_to_ras)
    correct_volume(upside_down, inpainter=worker)
    again = correct_volume(volume, inpainter=worker)
    np.testing.assert_array_equal(again.volume.hu, on_cpu.volume.hu)


@pytest.mark.gpu
@pytest.mark.skipif(CUDA not in ort.get_available_providers(), reason="needs onnxruntime-gpu")
def test_on_a_gpu(volume, on_cpu) -> None:
    result = correct_volume(volume, method="generator", device="cuda")
    if result.provenance.provider != CUDA:
        pytest.skip(f"no GPU: {result.provenance.fallback}")
    _assert_same(result, on_cpu, LIMIT_HU)
