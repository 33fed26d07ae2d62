"""The same transforms on an NVIDIA GPU, where cupy and cufinufft are installed.

A backend is a CUDA stream with plans of its own. Slabs that are in work side by side take one
each, so one's copies run while another computes. Should CUDA fail (memory, driver), the host
takes over for good and says so.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.tomography.backends import Backend, Frequencies, Norm
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import Pair, RadonTransform


def cuda_transforms_available() -> bool:
    """Whether cupy and cufinufft can be imported and find a GPU."""
    try:
        import cufinufft  # noqa: F401
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except Exception:  # missing packages, a wrong CUDA, no driver: each fails in its own way
        return False


class CudaRadonTransform(RadonTransform):
    """`RadonTransform` on the first GPU; `fallback` says why the host took over, if it did."""

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_mm: tuple[float, float],
        geometry: SinogramGeometry | None = None,
        *,
        eps: float = 1e-4,
        threads: int | None = None,
    ) -> None:
        super().__init__(shape, pixel_mm, geometry, eps=eps, threads=threads)
        self._idle: queue.SimpleQueue[_CudaBackend] = queue.SimpleQueue()
        self._making = threading.Lock()

    @property
    def engine(self) -> str:
        """Library that carries the transforms now."""
        return "cufinufft" if self.fallback is None else super().engine

    @contextmanager
    def _backend(self, threads: int) -> Iterator[Backend]:
        if self.fallback is not None:
            with super()._backend(threads) as host:
                yield host
            return
        try:
            backend = self._idle.get_nowait()
        except queue.Empty:
            with self._making:  # plans are made one at a time
                backend = _CudaBackend(self.shape, *self._radial_lines(), self._eps)
        with backend.stream:
            yield backend
        self._idle.put(backend)  # one that failed is not used again

    def _by_pairs(
        self,
        pairs: Sequence[Pair],
        transform: Callable[[Any, Backend], Any],
        targets: Sequence[Pair],
        *,
        columns: int | None = None,
    ) -> None:
        if self.fallback is None:
            try:
                super()._by_pairs(pairs, transform, targets, columns=columns)
                return
            except Exception as error:
                text = str(error).strip()
                cause = text.splitlines()[0][:200] if text else type(error).__name__
                self.fallback = f"Transforms on CUDA failed ({cause}); they ran on the CPU."
        super()._by_pairs(pairs, transform, targets, columns=columns)


class _CudaBackend:
    """One stream, its plans and its copies of the constants."""

    def __init__(
        self,
        shape: tuple[int, int],
        frequencies: Frequencies,
        weights: NDArray[np.complex64],
        eps: float,
    ) -> None:
        import cufinufft
        import cupy

        self._cupy = cupy
        self.stream = cupy.cuda.Stream(non_blocking=True)
        with self.stream:
            self.weights = cupy.asarray(weights)
            self.conjugate_weights = cupy.conj(self.weights)
            points = [cupy.asarray(x) for x in frequencies]
            self._plans = {}
            for kind, sign in ((1, 1), (2, -1)):
                plan = cufinufft.Plan(
                    kind,
                    shape,
                    1,
                    eps=eps,
                    isign=sign,
                    dtype="complex64",
                    gpu_stream=self.stream.ptr,
                )
                plan.setpts(*points)
                self._plans[kind] = plan

    def upload(self, host: NDArray[np.complex64]) -> Any:
        return self._cupy.asarray(host)

    def download(self, array: Any) -> NDArray[np.complex64]:
        result: NDArray[np.complex64] = self._cupy.asnumpy(array)
        return result

    def constant(self, host: NDArray[np.float32]) -> Any:
        return self._cupy.asarray(host)

    def fft(self, array: Any, norm: Norm = "backward") -> Any:
        return self._cupy.fft.fft(array, axis=-1, norm=norm)

    def ifft(self, array: Any) -> Any:
        return self._cupy.fft.ifft(array, axis=-1)

    def to_frequencies(self, image: Any) -> Any:
        return self._plans[2].execute(self._cupy.ascontiguousarray(image))

    def to_image(self, spectrum: Any) -> Any:
        return self._plans[1].execute(self._cupy.ascontiguousarray(spectrum))


def make_radon(
    shape: tuple[int, int],
    pixel_mm: tuple[float, float],
    geometry: SinogramGeometry,
    threads: int,
    device: str,
) -> RadonTransform:
    """Make the transform for a device: on the GPU where allowed and possible.

    Parameters
    ----------
    shape, pixel_mm, geometry, threads
        As for `RadonTransform`.
    device : str
        "cpu" keeps to the host.
    """
    on_gpu = device != "cpu" and cuda_transforms_available()
    kind = CudaRadonTransform if on_gpu else RadonTransform
    return kind(shape, pixel_mm, geometry, threads=threads)
