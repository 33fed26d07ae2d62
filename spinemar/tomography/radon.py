"""Parallel-beam projection and filtered backprojection by the Fourier slice theorem.

The transform of a projection is a radial line of the image's two-dimensional transform, so a
projection is one non-uniform FFT (finufft) and many short FFTs. A complex image carries two
real ones through one transform.

Frequencies beyond the pixel grid's Nyquist limit are set to zero in both directions: where
pixels are larger than bins the radial lines run past that limit into the periodic copies of
the image's spectrum, which show as a checkerboard around small bright objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.backends import Backend, HostBackend
from spinemar.tomography.filters import Kernel, filter_response, padded_length
from spinemar.tomography.geometry import SinogramGeometry

_NYQUIST = 0.5  # cycles per sample
_TAPER_START = 0.475


def available_threads() -> int:
    """Processors this process may use (not all that the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _window(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 inside the grid's band, 0 beyond its Nyquist limit, a short cosine between."""
    distance = np.abs(cycles)
    # Exactly zero beyond: what rounding leaves of the cosine there would make products so small
    # that processors take ten times as long for them.
    end = _NYQUIST - 1e-6 * (_NYQUIST - _TAPER_START)
    window = (distance < end).astype(np.float64)
    between = (distance > _TAPER_START) & (distance < end)
    position = (distance[between] - _TAPER_START) / (_NYQUIST - _TAPER_START)
    window[between] = np.cos(0.5 * np.pi * position) ** 2
    return window


_Number = TypeVar("_Number", np.float32, np.complex64)


def _both_signs(positive: NDArray[_Number], negative: NDArray[_Number], n: int) -> NDArray[_Number]:
    """Put values (views, n // 2 + 1) at frequencies 0 and up, and at 0 and down, in FFT order."""
    down = slice(n // 2, 0, -1)
    return np.concatenate([positive[:, : (n + 1) // 2], negative[:, down]], axis=1)


Pair = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Two slices that share a complex transform, or one."""


def _neighbours(stack: NDArray[np.float32]) -> list[Pair]:
    """Slices two by two, the last one alone where their number is odd."""
    return [
        (stack[k], stack[k + 1] if k + 1 < len(stack) else None) for k in range(0, len(stack), 2)
    ]


class RadonTransform:
    """Line integrals of images over half a turn, their adjoint, and their inverse (FBP).

    Safe to share between threads; its plans are made on first use and kept.

    Parameters
    ----------
    shape : (rows, columns)
        Matrix, any size.
    pixel_mm : (row spacing, column spacing) in mm
        Need not be equal.
    geometry : SinogramGeometry, optional
        By default `SinogramGeometry.for_image(shape, pixel_mm)`.
    eps : float
        Tolerance of the non-uniform FFT; 1e-3 costs 0.05 HU rms, 1e-5 time for nothing.
    threads : int, optional
        By default the processors this process may use.
    middle_mm : (down, right) in mm
        Where the matrix's middle lies, seen from the centre of rotation: a part of a larger image
        projects as the whole one whose other pixels are zero.

    Attributes
    ----------
    fallback : str or None
        Why it runs elsewhere than it was made for; see `spinemar.tomography.cuda`.

    Examples
    --------
    A disc of 30 mm radius, of attenuation 1/mm: its longest rays are 60 mm long.

    >>> import numpy as np
    >>> y, x = np.mgrid[-63.5:64, -63.5:64]
    >>> disc = (x**2 + y**2 < 30**2).astype(np.float32)
    >>> radon = RadonTransform((128, 128), (1.0, 1.0), threads=1)
    >>> sinogram = radon.forward(disc[None])
    >>> sinogram.shape, round(float(np.median(sinogram[0].max(axis=1))))
    ((1, 720, 736), 60)
    >>> back = radon.fbp(sinogram)[0]
    >>> round(float(back[60:68, 60:68].mean()), 2)
    1.0
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_mm: tuple[float, float],
        geometry: SinogramGeometry | None = None,
        *,
        eps: float = 1e-4,
        threads: int | None = None,
        middle_mm: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        self.pixel_mm = (float(pixel_mm[0]), float(pixel_mm[1]))
        self.geometry = geometry or SinogramGeometry.for_image(self.shape, self.pixel_mm)
        self.middle_mm = middle_mm
        self.threads = threads or available_threads()
        self.fallback: str | None = None
        self._eps = eps
        frequencies, weights = self._radial_lines()
        self._backends = {
            inner: HostBackend(self.shape, frequencies, weights, eps, inner)
            for inner in {1, self.threads}
        }

    @property
    def engine(self) -> str:
        """Library that carries the transforms."""
        return "finufft"

    def _radial_lines(
        self,
    ) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], NDArray[np.complex64]]:
        """Return radians per row and column of every sample, and its complex weight."""
        geometry = self.geometry
        n = geometry.n_bins
        # Of the frequencies of one sign; those of the other are theirs, negative or conjugate.
        index = np.arange(n // 2 + 1)
        per_mm = index / (n * geometry.bin_mm)
        angles = geometry.angles_rad[:, None]
        per_row = np.sin(angles) * per_mm * self.pixel_mm[0]
        per_col = np.cos(angles) * per_mm * self.pixel_mm[1]
        # The image's centre and the detector's lie between samples for even sizes.
        down, right = (
            size // 2 - (size - 1) / 2 + middle / pixel
            for size, middle, pixel in zip(self.shape, self.middle_mm, self.pixel_mm, strict=True)
        )
        turns = -(per_row * down + per_col * right) - index * (n - 1) / (2 * n)
        gain = _window(per_row) * _window(per_col)
        gain *= self.pixel_mm[0] * self.pixel_mm[1] / geometry.bin_mm
        # Whole turns go first: what is left is exact enough in single precision.
        phase = (2.0 * np.pi * (turns - np.rint(turns))).astype(np.float32)
        weights = np.exp(1j * phase) * gain.astype(np.float32)
        if n % 2 == 0:
            weights[:, n // 2] = 0.0  # has no partner, so a real image would turn complex
        rows, columns = ((2.0 * np.pi * cycles).astype(np.float32) for cycles in (per_row, per_col))
        return (
            (_both_signs(rows, -rows, n).ravel(), _both_signs(columns, -columns, n).ravel()),
            _both_signs(weights, np.conj(weights), n),
        )

    def forward(self, images: NDArray[np.floating]) -> NDArray[np.float32]:
        """Project images.

        Parameters
        ----------
        images : ndarray, shape (n, rows, columns) or (rows, columns)
            Values per mm.

        Returns
        -------
        ndarray of float32, shape (n, views, bins) or (views, bins)
            Line integrals.
        """
        stack = self._checked(images, self.shape, "image")
        result = np.empty((len(stack), *self.geometry.shape), dtype=np.float32)
        self._by_pairs(_neighbours(stack), self._project, _neighbours(result))
        return result if np.ndim(images) == 3 else result[0]

    def forward_pair(
        self, a: NDArray[np.floating], b: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Project two stacks of equal length, one slice of each through one transform.

        Parameters
        ----------
        a, b : ndarray, shape (n, rows, columns)

        Returns
        -------
        two ndarrays of float32, shape (n, views, bins)

        Raises
        ------
        GeometryError
            If they are not of equal length or not of this transform's matrix.
        """
        first = self._checked(a, self.shape, "image")
        second = self._checked(b, self.shape, "image")
        if len(first) != len(second):
            raise GeometryError(
                f"Two stacks of {len(first)} and {len(second)} slices cannot be paired.",
                "Pass as many slices of one as of the other.",
            )
        result = np.empty((2, len(first), *self.geometry.shape), dtype=np.float32)
        targets = list(zip(result[0], result[1], strict=True))
        self._by_pairs(list(zip(first, second, strict=True)), self._project, targets)
        return result[0], result[1]

    def adjoint(self, sinograms: NDArray[np.floating]) -> NDArray[np.float32]:
        """Apply the exact transpose of `forward` (an unfiltered, unscaled backprojection).

        Parameters
        ----------
        sinograms : ndarray, shape (n, views, bins) or (views, bins)

        Returns
        -------
        ndarray of float32, shape (n, rows, columns) or (rows, columns)
        """
        stack = self._checked(sinograms, self.geometry.shape, "sinogram")
        result = np.empty((len(stack), *self.shape), dtype=np.float32)
        self._by_pairs(_neighbours(stack), self._backproject, _neighbours(result))
        return result if np.ndim(sinograms) == 3 else result[0]

    def fbp(
        self, sinograms: NDArray[np.floating], kernel: Kernel = "ram-lak"
    ) -> NDArray[np.float32]:
        """Reconstruct by filtered backprojection.

        Parameters
        ----------
        sinograms : ndarray, shape (n, views, bins) or (views, bins)
            Line integrals.
        kernel : {"ram-lak", "shepp-logan", "hann"}

        Returns
        -------
        ndarray of float32, shape (n, rows, columns) or (rows, columns)
            Values per mm.
        """
        stack = self._checked(sinograms, self.geometry.shape, "sinogram")
        geometry = self.geometry
        n = geometry.n_bins
        length = padded_length(n)
        # `adjoint` carries pixel area / bin; the integral over angles wants d(theta) alone.
        scale = np.pi / geometry.n_views * geometry.bin_mm
        scale /= self.pixel_mm[0] * self.pixel_mm[1]
        response = filter_response(kernel, n, geometry.bin_mm) * np.float32(scale)

        def filtered(packed: Any, backend: Backend) -> Any:
            spectrum = backend.fft(packed)
            spectrum *= backend.constant(response)
            return self._backproject(backend.ifft(spectrum)[:, :n], backend)

        result = np.empty((len(stack), *self.shape), dtype=np.float32)
        self._by_pairs(_neighbours(stack), filtered, _neighbours(result), columns=length)
        return result if np.ndim(sinograms) == 3 else result[0]

    def _checked(
        self, array: NDArray[np.floating], shape: tuple[int, int], what: str
    ) -> NDArray[np.float32]:
        stack = np.asarray(array, dtype=np.float32)
        if stack.ndim == 2:
            stack = stack[None]
        if stack.ndim != 3 or stack.shape[1:] != shape:
            raise GeometryError(
                f"This transform takes {what}s of shape {shape}; got {np.shape(array)}.",
                f"Pass (n, {shape[0]}, {shape[1]}).",
            )
        return stack

    def _by_pairs(
        self,
        pairs: Sequence[Pair],
        transform: Callable[[Any, Backend], Any],
        targets: Sequence[Pair],
        *,
        columns: int | None = None,
    ) -> None:
        """Send slices two by two through a complex transform, pairs side by side in threads.

        `columns` pads the rows with zeros to that length on the way in.
        """
        inner = self.threads if len(pairs) == 1 else 1

        def one_pair(pair: Pair, target: Pair) -> None:
            real, imaginary = pair
            rows, width = real.shape
            if imaginary is None or columns is not None:
                packed = np.zeros((rows, columns or width), dtype=np.complex64)
            else:
                packed = np.empty((rows, width), dtype=np.complex64)
            packed.real[:, :width] = real
            if imaginary is not None:
                packed.imag[:, :width] = imaginary
            with self._backend(inner) as backend:
                out = backend.download(transform(backend.upload(packed), backend))
            target[0][...] = out.real
            if target[1] is not None:
                target[1][...] = out.imag

        if len(pairs) > 1 and self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(one_pair, pairs, targets))
        else:
            for pair, target in zip(pairs, targets, strict=True):
                one_pair(pair, target)

    @contextmanager
    def _backend(self, threads: int) -> Iterator[Backend]:
        """Lend what one complex transform runs on."""
        yield self._backends[threads]

    def _project(self, packed: Any, backend: Backend) -> Any:
        spectrum = backend.to_frequencies(packed).reshape(self.geometry.shape)
        spectrum *= backend.weights
        return backend.ifft(spectrum)

    def _backproject(self, packed: Any, backend: Backend) -> Any:
        spectrum = backend.fft(packed, norm="forward")
        spectrum *= backend.conjugate_weights
        return backend.to_image(spectrum.reshape(-1))
