"""What one complex transform runs on: plans, short FFTs and weights, on the host or a GPU."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.tomography.nufft import PlanPool

Frequencies = tuple[NDArray[np.float32], NDArray[np.float32]]
Norm = Literal["backward", "forward"]


class Backend(Protocol):
    """The steps of a transform; arrays are the backend's own between `upload` and `download`."""

    weights: Any
    conjugate_weights: Any

    def upload(self, host: NDArray[np.complex64]) -> Any:
        """Take an array of any shape in; it may be overwritten from then on."""

    def download(self, array: Any) -> NDArray[np.complex64]:
        """Give an array back in its own shape."""

    def constant(self, host: NDArray[np.float32]) -> Any:
        """Take a constant of any shape in."""

    def fft(self, array: Any, norm: Norm = "backward") -> Any:
        """Transform along the last axis; the array may be overwritten."""

    def ifft(self, array: Any) -> Any:
        """Transform back along the last axis; the array may be overwritten."""

    def to_frequencies(self, image: Any) -> Any:
        """Non-uniform transform of an image (rows, columns) to the radial lines (m,)."""

    def to_image(self, spectrum: Any) -> Any:
        """Adjoint of `to_frequencies`."""


class HostBackend:
    """Transforms in this process's memory.

    Parameters
    ----------
    shape : (rows, columns)
    frequencies : two ndarrays of float32, shape (m,)
        Radians per row and per column.
    weights : ndarray of complex64, shape (views, bins)
        Of each frequency.
    eps : float
        Tolerance of the non-uniform FFT.
    threads : int
        Inside one transform.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        frequencies: Frequencies,
        weights: NDArray[np.complex64],
        eps: float,
        threads: int,
    ) -> None:
        self.weights = weights
        self.conjugate_weights = np.conj(weights)
        self._threads = threads
        # Frequencies beyond the grid's limit weigh nothing: the transforms leave them out.
        used = np.flatnonzero(weights)
        self._used = used if len(used) < weights.size else None
        self._size = weights.size
        if self._used is not None:
            frequencies = frequencies[0][used], frequencies[1][used]
        self._plans = {kind: PlanPool(kind, shape, frequencies, eps, threads) for kind in (1, 2)}

    def upload(self, host: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the array itself."""
        return host

    def download(self, array: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the array itself."""
        return array

    def constant(self, host: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the array itself."""
        return host

    def fft(self, array: NDArray[np.complex64], norm: Norm = "backward") -> NDArray[np.complex64]:
        """Transform along the last axis, in place where that is possible."""
        result: NDArray[np.complex64] = scipy.fft.fft(
            array, axis=-1, norm=norm, overwrite_x=True, workers=self._threads
        )
        return result

    def ifft(self, array: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Transform back along the last axis, in place where that is possible."""
        result: NDArray[np.complex64] = scipy.fft.ifft(
            array, axis=-1, overwrite_x=True, workers=self._threads
        )
        return result

    def to_frequencies(self, image: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Non-uniform transform of an image to the radial lines."""
        found = self._plans[2].run(image)
        if self._used is None:
            return found
        spectrum = np.zeros(self._size, dtype=np.complex64)
        spectrum[self._used] = found
        return spectrum

    def to_image(self, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Adjoint of `to_frequencies`."""
        return self._plans[1].run(spectrum if self._used is None else spectrum[self._used])
