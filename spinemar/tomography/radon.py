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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.filters import Kernel, filter_response, padded_length
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.nufft import PlanPool

_NYQUIST = 0.5  # cycles per sample
_TAPER_START = 0.475


def available_threads() -> int:
    """Processors this process may use (not all that the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _window(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 inside the grid's band, 0 beyond its Nyquist limit, a short cosine between."""
    position = (np.abs(cycles) - _TAPER_START) / (_NYQUIST - _TAPER_START)
    taper = np.cos(0.5 * np.pi * np.clip(position, 0.0, 1.0)) ** 2
    return np.asarray(taper, dtype=np.float64)


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
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_mm: tuple[float, float],
        geometry: SinogramGeometry | None = None,
        *,
        eps: float = 1e-4,
        threads: int | None = None,
    ) -> None:
        self.shape = (int(shape[0]), int(shape[1]))
        self.pixel_mm = (float(pixel_mm[0]), float(pixel_mm[1]))
        self.geometry = geometry or SinogramGeometry.for_image(self.shape, self.pixel_mm)
        self.threads = threads or available_threads()
        frequencies, self._weights = self._radial_lines()
        self._conjugate_weights = np.conj(self._weights)
        self._plans = {
            (kind, inner): PlanPool(kind, self.shape, frequencies, eps, inner)
            for kind in (1, 2)
            for inner in {1, self.threads}
        }

    def _radial_lines(
        self,
    ) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], NDArray[np.complex64]]:
        """Return radians per row and column of every sample, and its complex weight."""
        geometry = self.geometry
        n = geometry.n_bins
        index = np.fft.fftfreq(n, 1.0 / n)
        per_mm = index / (n * geometry.bin_mm)
        angles = geometry.angles_rad[:, None]
        per_row = np.sin(angles) * per_mm * self.pixel_mm[0]
        per_col = np.cos(angles) * per_mm * self.pixel_mm[1]
        # The image's centre and the detector's lie between samples for even sizes.
        rows, cols = self.shape
        turns = per_row * (rows // 2 - (rows - 1) / 2) + per_col * (cols // 2 - (cols - 1) / 2)
        turns = -turns - index * (n - 1) / (2 * n)
        weights = np.exp(2j * np.pi * turns) * _window(per_row) * _window(per_col)
        weights *= self.pixel_mm[0] * self.pixel_mm[1] / geometry.bin_mm
        if n % 2 == 0:
            weights[:, n // 2] = 0.0  # has no partner, so a real image would turn complex
        radians = 2.0 * np.pi * per_row.ravel(), 2.0 * np.pi * per_col.ravel()
        return (
            (radians[0].astype(np.float32), radians[1].astype(np.float32)),
            weights.astype(np.complex64),
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
        result = self._by_pairs(stack, self.geometry.shape, self._project)
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
        """
        first = self._checked(a, self.shape, "image")
        second = self._checked(b, self.shape, "image")
        if len(first) != len(second):
            raise GeometryError(
                f"Two stacks of {len(first)} and {len(second)} slices cannot be paired.",
                "Pass as many slices of one as of the other.",
            )
        result = self.forward(np.stack((first, second), axis=1).reshape(-1, *self.shape))
        return result[0::2], result[1::2]

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
        result = self._by_pairs(stack, self.shape, self._backproject)
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

        def filtered(packed: NDArray[np.complex64], inner_threads: int) -> NDArray[np.complex64]:
            spectrum = scipy.fft.fft(packed, n=length, axis=-1, workers=inner_threads)
            spectrum *= response
            views = scipy.fft.ifft(spectrum, axis=-1, overwrite_x=True, workers=inner_threads)
            return self._backproject(np.ascontiguousarray(views[:, :n]), inner_threads)

        result = self._by_pairs(stack, self.shape, filtered)
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
        stack: NDArray[np.float32],
        out_shape: tuple[int, int],
        transform: Callable[[NDArray[np.complex64], int], NDArray[np.complex64]],
    ) -> NDArray[np.float32]:
        """Send slices two by two through a complex transform, pairs side by side in threads."""
        result = np.empty((len(stack), *out_shape), dtype=np.float32)
        starts = range(0, len(stack), 2)
        inner = self.threads if len(starts) == 1 else 1

        def one_pair(start: int) -> None:
            packed = np.zeros(stack.shape[1:], dtype=np.complex64)
            packed.real = stack[start]
            if start + 1 < len(stack):
                packed.imag = stack[start + 1]
            out = transform(packed, inner)
            result[start] = out.real
            if start + 1 < len(stack):
                result[start + 1] = out.imag

        if len(starts) > 1 and self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(one_pair, starts))
        else:
            for start in starts:
                one_pair(start)
        return result

    def _project(self, packed: NDArray[np.complex64], inner_threads: int) -> NDArray[np.complex64]:
        with self._plans[2, inner_threads].borrow() as plan:
            spectrum = plan.execute(packed).reshape(self.geometry.shape)
        spectrum *= self._weights
        views: NDArray[np.complex64] = scipy.fft.ifft(
            spectrum, axis=-1, overwrite_x=True, workers=inner_threads
        )
        return views

    def _backproject(
        self, packed: NDArray[np.complex64], inner_threads: int
    ) -> NDArray[np.complex64]:
        spectrum = scipy.fft.fft(
            packed, axis=-1, norm="forward", overwrite_x=True, workers=inner_threads
        )
        spectrum *= self._conjugate_weights
        with self._plans[1, inner_threads].borrow() as plan:
            image: NDArray[np.complex64] = plan.execute(spectrum.reshape(-1))
        return image
