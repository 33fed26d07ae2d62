"""Run an ONNX network, and say truthfully on what.

Which provider a session registers is a promise; which one runs shows only after a first run.
So every session is warmed up, its provider is asked afterwards, and when CUDA fails, at start
or later (memory), the CPU takes over and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import FaultError, ModelError
from spinemar.mar.models.manifest import Network, Shape
from spinemar.tomography.radon import available_threads

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_FREE_DIMENSION = {"batch": 1, "other": 64}

Arrays = Mapping[str, NDArray[np.float32]]


class NetworkSession:
    """A network ready to run.

    Parameters
    ----------
    network : Network
        Verified by its manifest.
    device : {"auto", "cpu", "cuda"}
    threads : int, optional
        CPU threads; by default the processors this process may use.

    Raises
    ------
    ModelError
        If the runtime is missing, or the file is not what the manifest says.
    """

    def __init__(
        self,
        network: Network,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        *,
        threads: int | None = None,
    ) -> None:
        self.network = network
        self.fallback: str | None = None
        self._threads = threads or available_threads()
        self._session = self._start(device)
        self._check_signature()

    @property
    def provider(self) -> str:
        """Execution provider that runs the network now."""
        return str(self._session.get_providers()[0])

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.float32]]:
        """Run the network once.

        Parameters
        ----------
        inputs : mapping of str to ndarray of float32

        Returns
        -------
        dict of str to ndarray of float32
        """
        names = list(self.network.outputs)
        feed = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        try:
            values = self._session.run(names, feed)
        except Exception as error:
            if self.provider == _CPU:
                raise FaultError(
                    f"The network {self.network.file} failed ({_first_line(error)}).",
                    "Use the method nmar, and report this with the model's name.",
                ) from error
            self._fall_back(_first_line(error))
            values = self._session.run(names, feed)
        return dict(zip(names, values, strict=True))

    def _start(self, device: str) -> Any:
        runtime = _runtime()
        if device == "cpu":
            return self._open([_CPU])
        if _CUDA not in runtime.get_available_providers():
            if device == "cuda":
                self.fallback = "CUDA was asked for, but this onnxruntime has no CUDA; ran on CPU."
            return self._open([_CPU])
        try:
            session = self._open([_CUDA, _CPU])
            _warm_up(session, self.network)
        except ModelError:
            raise
        except Exception as error:
            self._fall_back(_first_line(error))
            return self._session
        if session.get_providers()[0] != _CUDA:
            self.fallback = "CUDA could not be started; ran on CPU."
        return session

    def _fall_back(self, cause: str) -> None:
        self.fallback = f"CUDA failed ({cause}); ran on CPU."
        self._session = self._open([_CPU])

    def _open(self, providers: list[str]) -> Any:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its warnings would reach the user; ours say more
        try:
            return runtime.InferenceSession(self.network.data, options, providers=providers)
        except Exception as error:
            if providers != [_CPU]:
                raise
            raise ModelError(
                f"The model file {self.network.file} cannot be loaded ({_first_line(error)}).",
                "Get the model again, or use the method nmar.",
            ) from error

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


def _same_shape(declared: Shape, actual: tuple[object, ...]) -> bool:
    if len(declared) != len(actual):
        return False
    return all(
        n == a or (n is None and not isinstance(a, int))
        for n, a in zip(declared, actual, strict=True)
    )


def _warm_up(session: Any, network: Network) -> None:
    def size(position: int, n: int | None) -> int:
        return n if n is not None else _FREE_DIMENSION["other" if position else "batch"]

    feed = {
        name: np.zeros([size(i, n) for i, n in enumerate(shape)], dtype=np.float32)
        for name, shape in network.inputs.items()
    }
    session.run(None, feed)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "Running a learned model needs the package onnxruntime.",
            "Install it (pip install onnxruntime), or use the method nmar.",
        ) from error
    return onnxruntime


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
