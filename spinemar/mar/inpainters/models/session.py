"""Run an ONNX network, and say truthfully on what.

Which provider a session registers is a promise; which one runs shows only after a first run.
So every session is warmed up and its provider asked afterwards. On a GPU slices go in batches
chosen by its free memory; where that was too many the batch is halved, and where even one does
not fit, or CUDA fails in another way, the CPU takes over. Each of these is kept as one sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import FaultError, ModelError
from spinemar.mar.inpainters.models.manifest import Network, Shape
from spinemar.mar.inpainters.models.memory import free_gpu_bytes, slices_that_fit
from spinemar.mar.inpainters.models.refusals import refusal, telling_line
from spinemar.mar.inpainters.models.runtime import onnx_runtime
from spinemar.mar.settings import Device
from spinemar.tomography.radon import available_threads

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_CUDA_OPTIONS = {
    "use_tf32": "0",  # ten bits of mantissa would show: 32-bit results equal the CPU's
    "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search for every size takes seconds
    "arena_extend_strategy": "kSameAsRequested",
}
FIRST_RUN_SECONDS = 600.0
"""A run takes seconds on the slowest machine; one that takes this long never ends."""
_WARM_UP_SIDE = 64
_TYPICAL_SIDE = 512
_OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate",
    "bfcarena",
    "memory_allocation",
    "alloc_failed",
)

Arrays = Mapping[str, NDArray[np.float32]]


class NetworkSession:
    """A network ready to run; safe to share between threads.

    Parameters
    ----------
    network : Network
        Verified by its manifest.
    device : {"auto", "cpu", "cuda", "cuda-fp16"}
        The last takes the model's 16-bit file where it has one.
    threads : int, optional
        CPU threads of one run; by default the processors this process may use.

    Attributes
    ----------
    network : Network
        The file that really runs.
    fallback : str or None
        What went otherwise than asked for.
    batch : int
        Slices in one run: one on the CPU, where more gain nothing.

    Raises
    ------
    ModelError
        If the runtime is missing, or the file is not what the manifest says.
    """

    def __init__(
        self, network: Network, device: Device = "auto", *, threads: int | None = None
    ) -> None:
        self.network = network
        self.fallback: str | None = None
        self.batch = 1
        self._threads = threads or available_threads()
        self._lock = threading.Lock()
        self._has_run = False
        self._session = self._start(device)
        self._check_signature()

    @property
    def provider(self) -> str:
        """Execution provider that runs the network now."""
        return str(self._session.get_providers()[0])

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Run the network on a batch of any length.

        Parameters
        ----------
        inputs : mapping of str to ndarray of float32
            All with the same first axis.

        Returns
        -------
        dict of str to ndarray of float32
            In the shapes that the manifest states.
        """
        feed = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        length = len(next(iter(feed.values())))
        parts: list[list[NDArray[np.float32]]] = []
        done = 0
        while done < length:
            size = min(self.batch, length - done)
            session = self._session
            try:
                part = {k: v[done : done + size] for k, v in feed.items()}
                parts.append(self._run_once(session, part))
                done += size
            except ModelError:
                raise
            except Exception as error:
                self._recover(session, error, size)
        names = list(self.network.outputs)
        if len(parts) == 1:
            return dict(zip(names, parts[0], strict=True))
        return {name: np.concatenate([p[n] for p in parts]) for n, name in enumerate(names)}

    def _run_once(self, session: Any, feed: Arrays) -> list[NDArray[np.float32]]:
        names = list(self.network.outputs)
        with self._first_run_bounded() as options:
            if session.get_providers()[0] != _CUDA:
                return list(session.run(names, feed, options))
            return run_bound(session, names, feed, "cuda", options)

    @contextmanager
    def _first_run_bounded(self) -> Iterator[Any]:
        """Give options under which a run ends late at the latest, until one has ended by itself."""
        options = onnx_runtime().RunOptions()
        if self._has_run:
            yield options
            return
        timer = threading.Timer(FIRST_RUN_SECONDS, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            yield options
        except Exception as error:
            if options.terminate:
                raise ModelError(
                    f"The network {self.network.file} did not end its first run within "
                    f"{FIRST_RUN_SECONDS / 60:g} minutes.",
                    "Use another model, or the method nmar.",
                ) from error
            raise
        finally:
            timer.cancel()
        self._has_run = True

    def _recover(self, session: Any, error: Exception, size: int) -> None:
        """Make the next try likelier to succeed: fewer slices, then the CPU; else give up."""
        cause = telling_line(error)
        with self._lock:
            if session is not self._session or size > self.batch:
                return  # another thread has recovered already
            if self.provider == _CPU:
                raise FaultError(
                    f"The network {self.network.file} failed ({cause}).",
                    "Use the method nmar, and report this with the model's name.",
                ) from error
            if size > 1 and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                self.batch = size // 2
                self.fallback = (
                    f"The GPU's memory did not hold {size} slices at a time; "
                    f"ran {self.batch} at a time."
                )
                return
            self._fall_back(cause)

    def _start(self, device: Device) -> Any:
        runtime = onnx_runtime()
        if device == "cpu":
            return self._open([_CPU])
        if _CUDA not in runtime.get_available_providers():
            if device != "auto":
                self.fallback = "CUDA was asked for, but this onnxruntime has no CUDA; ran on CPU."
            return self._open([_CPU])
        if device == "cuda-fp16":
            self._take_half_precision()
        try:
            session = self._open([(_CUDA, _CUDA_OPTIONS), _CPU])
            with self._first_run_bounded() as options:
                _warm_up(session, self.network, options)
        except ModelError:
            raise
        except Exception as error:
            return self._fall_back(telling_line(error))
        if session.get_providers()[0] != _CUDA:
            return self._fall_back("it could not be started")
        self.batch = slices_that_fit(free_gpu_bytes(), _input_bytes(self.network))
        return session

    def _take_half_precision(self) -> None:
        if self.network.half is None:
            self.fallback = f"The model has no 16-bit {self.network.role}; ran it in 32 bits."
        else:
            self.network = self.network.half

    def _fall_back(self, cause: str) -> Any:
        self.fallback = f"CUDA failed ({cause}); ran on CPU."
        self.batch = 1
        self.network = self.network.full or self.network
        self._session = self._open([_CPU])
        return self._session

    def _open(self, providers: list[Any]) -> Any:
        runtime = onnx_runtime()
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that spin for work take it from the slabs that are in work beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Else it would guess by the first bytes, and could take another model for the one that
        # was looked at: a file can be both of its formats.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        options.log_severity_level = 4  # its warnings would reach the user; ours say more
        try:
            return runtime.InferenceSession(self.network.data, options, providers=providers)
        except Exception as error:
            if providers != [_CPU]:
                raise
            version = str(getattr(runtime, "__version__", "of unknown version"))
            raise refusal(self.network.file, error, version) from error

    def _check_signature(self) -> None:
        for kind, declared, found in (
            ("inputs", self.network.inputs, self._session.get_inputs()),
            ("outputs", self.network.outputs, self._session.get_outputs()),
        ):
            actual = {x.name: tuple(x.shape) for x in found if x.type == "tensor(float)"}
            fits = len(actual) == len(found) and set(actual) == set(declared)
            if not fits or not all(_same_shape(declared[n], actual[n]) for n in declared):
                raise ModelError(
                    f"The model file {self.network.file} has other {kind} than its manifest says "
                    f"({', '.join(f'{n} {s}' for n, s in actual.items())}).",
                    "Use the manifest that came with the model.",
                )


def run_bound(
    session: Any, names: list[str], feed: Arrays, device: str, options: Any = None
) -> list[NDArray[np.float32]]:
    """Run with inputs and outputs bound to a device: one copy in, one out, none in between.

    Parameters
    ----------
    session : InferenceSession
    names : list of str
        Outputs.
    feed : mapping of str to ndarray
    device : {"cuda", "cpu"}
    options : RunOptions, optional

    Returns
    -------
    list of ndarray of float32
        In the order of `names` and the shapes that the manifest states.
    """
    runtime = onnx_runtime()
    binding = session.io_binding()
    for name, array in feed.items():
        value = runtime.OrtValue.ortvalue_from_numpy(array, device, 0)
        binding.bind_ortvalue_input(name, value)
    for name in names:
        binding.bind_output(name, device, 0)
    session.run_with_iobinding(binding, options)
    return list(binding.copy_outputs_to_cpu())


def _same_shape(declared: Shape, actual: tuple[object, ...]) -> bool:
    if len(declared) != len(actual):
        return False
    return all(
        n == a or (n is None and not isinstance(a, int))
        for n, a in zip(declared, actual, strict=True)
    )


def _sizes(network: Network, side: int) -> dict[str, list[int]]:
    """Shapes of the inputs of one slice, free sides set to `side`."""
    return {
        name: [n if n is not None else (side if i else 1) for i, n in enumerate(shape)]
        for name, shape in network.inputs.items()
    }


def _input_bytes(network: Network) -> int:
    return 4 * sum(int(np.prod(size)) for size in _sizes(network, _TYPICAL_SIDE).values())


def _warm_up(session: Any, network: Network, options: Any) -> None:
    feed = {
        name: np.zeros(size, dtype=np.float32)
        for name, size in _sizes(network, _WARM_UP_SIDE).items()
    }
    session.run(None, feed, options)
