"""Batches, memory and fallbacks of a GPU session, on a runtime that only pretends to have one.

What a real GPU does is tested where there is one (`gpu` marks, here and in test_learned_runs.py).
"""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.errors import FaultError
from spinemar.mar.inpainters.models import memory, session
from spinemar.mar.inpainters.models.batches import by_shape
from spinemar.mar.inpainters.models.manifest import Network
from spinemar.mar.inpainters.models.memory import free_gpu_bytes, slices_that_fit
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.inpainters.models.session import NetworkSession, run_bound

OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal "
    "Failed to allocate memory for requested buffer of size 1073741824"
)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class FakeRuntime:
    """Doubles its input; its GPU holds `capacity` slices, or fails with `error`."""

    def __init__(self, *, cuda=True, starts=True, capacity=99, error=None) -> None:
        self.cuda, self.starts, self.capacity, self.error = cuda, starts, capacity, error
        self.runs: list[tuple[str, int, bytes]] = []
        self.options: list[object] = []
        self.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL=99)
        self.OrtValue = SimpleNamespace(
            ortvalue_from_numpy=lambda array, device, index: (device, np.array(array))
        )

    def get_available_providers(self):
        return [CUDA, CPU] if self.cuda else [CPU]

    def SessionOptions(self):  # noqa: N802
        entries = {}
        return SimpleNamespace(add_session_config_entry=entries.__setitem__, entries=entries)

    def RunOptions(self):  # noqa: N802
        return SimpleNamespace(terminate=False)

    def InferenceSession(self, data, options, providers):  # noqa: N802
        self.options.append((options, providers))
        names = [p if isinstance(p, str) else p[0] for p in providers]
        if not self.starts:
            names = [CPU]
        return FakeSession(self, data, names)


class FakeSession:
    def __init__(self, runtime, data, names) -> None:
        self.runtime, self.data, self.names = runtime, data, names

    def get_providers(self):
        return self.names

    def get_inputs(self):
        return [SimpleNamespace(name="x", type="tensor(float)", shape=["B", 2, "R"])]

    def get_outputs(self):
        return [SimpleNamespace(name="y", type="tensor(float)", shape=["B", 2, "R"])]

    def run(self, names, feed, options=None):
        x = np.asarray(feed["x"])
        if self.names[0] == CUDA and x.shape[-1] != 64:  # the warm-up's size always fits
            if self.runtime.error:
                raise RuntimeError(self.runtime.error)
            if len(x) > self.runtime.capacity:
                raise RuntimeError(OUT_OF_MEMORY)
        self.runtime.runs.append((self.names[0], len(x), self.data))
        return [2.0 * x]

    def io_binding(self):
        return FakeBinding()

    def run_with_iobinding(self, binding, options=None):
        assert binding.outputs == {"y": "cuda"}
        assert all(device == "cuda" for device, _ in binding.inputs.values())
        binding.result = self.run(["y"], {k: v for k, (_, v) in binding.inputs.items()})


class FakeBinding:
    def __init__(self) -> None:
        self.inputs, self.outputs, self.result = {}, {}, None

    def bind_ortvalue_input(self, name, value):
        self.inputs[name] = value

    def bind_output(self, name, device, index):
        self.outputs[name] = device

    def copy_outputs_to_cpu(self):
        return self.result


def _network(half: bool = False) -> Network:
    shape = {"x": (None, 2, None)}, {"y": (None, 2, None)}
    full = Network("prior", "full.onnx", b"full", "f" * 64, *shape, {}, {})
    if not half:
        return full
    small = Network("prior", "half.onnx", b"half", "a" * 64, *shape, {}, {}, full=full)
    return Network("prior", "full.onnx", b"full", "f" * 64, *shape, {}, {}, half=small)


@pytest.fixture
def pretend(monkeypatch):
    def make(free_bytes: int | None = None, **behaviour) -> FakeRuntime:
        runtime = FakeRuntime(**behaviour)
        monkeypatch.setattr(session, "onnx_runtime", lambda: runtime)
        monkeypatch.setattr(session, "free_gpu_bytes", lambda: free_bytes)
        return runtime

    return make


def _slices(count: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).random((count, 2, 7)).astype(np.float32)}


def test_batches_follow_the_free_memory(pretend) -> None:
    runtime = pretend(free_bytes=1 << 20)
    small = NetworkSession(_network(), "cuda")
    runtime.runs.clear()
    feed = _slices(20)
    out = small.run(feed)["y"]
    np.testing.assert_array_equal(out, 2 * feed["x"])
    assert small.provider == CUDA
    assert small.fallback is None
    assert {n for _, n, _ in runtime.runs} <= {small.batch, 20 % small.batch}
    assert small.batch == slices_that_fit(1 << 20, 4 * 2 * 512) > 1
    assert NetworkSession(_network(), "cpu").batch == 1


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_too_large_a_batch_is_halved_in_one_sentence(pretend, capacity) -> None:
    runtime = pretend(free_bytes=80 << 30, capacity=capacity)
    cuda = NetworkSession(_network(), "auto")
    assert cuda.batch == 4
    runtime.runs.clear()
    feed = _slices(21)
    np.testing.assert_array_equal(cuda.run(feed)["y"], 2 * feed["x"])
    assert cuda.provider == CUDA
    assert cuda.batch <= capacity
    assert cuda.batch > capacity / 2
    assert "did not hold" in cuda.fallback
    assert f"ran {cuda.batch} at a time" in cuda.fallback
    assert "\n" not in cuda.fallback
    assert sum(n for _, n, _ in runtime.runs) == 21  # no slice ran twice, none was lost


def test_when_not_even_one_slice_fits_the_cpu_takes_over(pretend) -> None:
    pretend(free_bytes=80 << 30, capacity=0)
    cuda = NetworkSession(_network(), "cuda")
    feed = _slices(5)
    np.testing.assert_array_equal(cuda.run(feed)["y"], 2 * feed["x"])
    assert cuda.provider == CPU
    assert cuda.batch == 1
    assert "ran on CPU" in cuda.fallback
    assert "\n" not in cuda.fallback


def test_a_lost_device_is_no_matter_of_memory(pretend) -> None:
    pretend(free_bytes=80 << 30, error="CUDA error 999: the launch failed\nmore lines")
    cuda = NetworkSession(_network(), "auto")
    feed = _slices(5)
    np.testing.assert_array_equal(cuda.run(feed)["y"], 2 * feed["x"])
    assert cuda.provider == CPU
    assert cuda.fallback == "CUDA failed (CUDA error 999: the launch failed); ran on CPU."


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda-fp16"])
def test_no_gpu_and_a_wrong_cuda_are_said(pretend, device) -> None:
    pretend(cuda=False)
    none = NetworkSession(_network(half=True), device)
    assert none.provider == CPU
    assert (none.fallback is None) == (device == "auto")
    assert none.network.file == "full.onnx"
    pretend(starts=False)
    wrong = NetworkSession(_network(half=True), device)
    assert wrong.provider == CPU
    assert wrong.fallback == "CUDA failed (it could not be started); ran on CPU."
    assert wrong.network.file == "full.onnx"


def test_half_precision_runs_where_asked_for_and_there(pretend) -> None:
    runtime = pretend(free_bytes=80 << 30)
    half = NetworkSession(_network(half=True), "cuda-fp16")
    half.run(_slices(1))
    assert runtime.runs[-1] == (CUDA, 1, b"half")
    assert half.network.sha256 == "a" * 64
    assert NetworkSession(_network(half=True), "cuda").network.file == "full.onnx"
    missing = NetworkSession(_network(), "cuda-fp16")
    assert missing.fallback == "The model has no 16-bit prior; ran it in 32 bits."
    runtime.capacity = 0
    half.run(_slices(1))
    assert runtime.runs[-1] == (CPU, 1, b"full")
    assert half.network.file == "full.onnx"


def test_full_precision_really_is(pretend) -> None:
    runtime = pretend(free_bytes=80 << 30)
    NetworkSession(_network(), "cuda")
    options, providers = runtime.options[-1]
    assert providers[0][1]["use_tf32"] == "0"
    assert options.entries["session.intra_op.allow_spinning"] == "0"


def test_a_failure_on_the_cpu_is_a_fault(pretend, monkeypatch) -> None:
    pretend(cuda=False)
    cpu = NetworkSession(_network(), "cpu")

    def broken(names, feed, options):
        raise RuntimeError("bad shape")

    monkeypatch.setattr(cpu._session, "run", broken)
    with pytest.raises(FaultError, match=r"failed \(bad shape\)"):
        cpu.run(_slices(1))


def test_free_memory_is_asked_of_the_driver(monkeypatch) -> None:
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(memory.ctypes, "CDLL", missing)
    assert free_gpu_bytes() is None
    asked = []

    class Driver:
        def nvmlInit_v2(self):  # noqa: N802
            return 0

        def nvmlDeviceGetHandleByIndex_v2(self, index, handle):  # noqa: N802
            asked.append(index.value)
            return 0

        def nvmlDeviceGetMemoryInfo(self, handle, found):  # noqa: N802
            ctypes.cast(found, ctypes.POINTER(memory._NvmlMemory)).contents.free = 123
            return 0

        def nvmlShutdown(self):  # noqa: N802
            return 0

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Driver())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert free_gpu_bytes() == 123
    assert asked == [3]


def test_the_batch_never_leaves_its_limits() -> None:
    assert slices_that_fit(None, 10**7) == 2
    assert slices_that_fit(0, 10**7) == 1
    assert slices_that_fit(10**12, 10**7) == 4
    sizes = [slices_that_fit(free, 10**7) for free in range(0, 4 * 10**9, 10**8)]
    assert sizes == sorted(sizes)


def test_inputs_of_one_shape_run_together_and_come_back_in_order() -> None:
    rng = np.random.default_rng(1)
    widths = [3, 5, 3, 3, 5, 3, 3]
    inputs = [{"x": rng.random((2, w)), "m": rng.random((2, w))} for w in widths]
    calls = []

    def run(feed):
        calls.append(feed["x"].shape)
        return {"y": feed["x"] + feed["m"], "z": feed["x"].sum(axis=(1, 2))}

    out = by_shape(inputs, run, most=3)
    assert sorted(calls) == [(2, 2, 3), (2, 2, 5), (3, 2, 3)]
    for one, result in zip(inputs, out, strict=True):
        np.testing.assert_array_equal(result["y"], one["x"] + one["m"])
        assert result["z"] == one["x"].sum()
    assert by_shape([], run, most=3) == []


def test_bound_runs_equal_plain_ones(tiny_network) -> None:
    plain = onnx_runtime().InferenceSession(tiny_network, providers=[CPU])
    feed = {"x": np.random.default_rng(2).random((3, 4)).astype(np.float32)}
    bound = run_bound(plain, ["y"], feed, "cpu")
    np.testing.assert_array_equal(bound[0], plain.run(["y"], feed)[0])


@pytest.fixture
def tiny_network() -> bytes:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", kind, ["B", 4])],
        [helper.make_tensor_value_info("y", kind, ["B", 4])],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
