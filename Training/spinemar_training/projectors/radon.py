"""A differentiable parallel-beam Radon transform in PyTorch, for CPU and CUDA.

The Fourier slice theorem turns projection into a non-uniform FFT. Here the NUFFT is an
oversampled FFT followed by Kaiser-Bessel interpolation, and the interpolation is one sparse
matrix, so that forward, adjoint and their gradients are two sparse products. Conventions are
those of `spinemar.tomography`: angles ``pi * v / n_views``, bin ``b`` at
``(b - (n_bins - 1) / 2) * bin``, pixels centred on the grid's centre.

References
----------
J. A. Fessler, B. P. Sutton, "Nonuniform fast Fourier transforms using min-max interpolation",
IEEE Trans. Signal Process. 51 (2003) 560-574.
P. J. Beatty, D. G. Nishimura, J. M. Pauly, "Rapid gridding reconstruction with a minimal
oversampling ratio", IEEE Trans. Med. Imaging 24 (2005) 799-808 (kernel width and shape).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_TAPS = 5
"""Of the Kaiser-Bessel kernel, an axis: keeps the error near 1e-4 of the maximum."""


class _Gathering(NamedTuple):
    """A sparse real matrix by rows: columns, values and where each row starts."""

    columns: Tensor
    values: Tensor
    starts: Tensor

    def times(self, dense: Tensor) -> Tensor:
        """Multiply (columns, n) to (rows, n).

        A weighted embedding bag is this product, and on CUDA it runs ten times faster than the
        library's sparse matrices do.
        """
        return F.embedding_bag(
            self.columns, dense, self.starts, mode="sum", per_sample_weights=self.values
        )


class _SparseProduct(torch.autograd.Function):
    """Multiply by a fixed sparse matrix; the gradient uses its stored transpose."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: _Gathering, transpose: _Gathering) -> Tensor:
        ctx.matrices = (matrix, transpose)
        return matrix.times(dense)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        matrix, transpose = ctx.matrices
        return _SparseProduct.apply(grad.contiguous(), transpose, matrix), None, None


def _kaiser_bessel_beta(width: int, oversampling: float) -> float:
    return math.pi * math.sqrt((width / oversampling * (oversampling - 0.5)) ** 2 - 0.8)


def _interpolation_matrices(
    points: np.ndarray, grid: int, width: int, beta: float, device: torch.device
) -> tuple[_Gathering, _Gathering]:
    """Build the (points x grid^2) Kaiser-Bessel matrix and its transpose.

    `points` holds (row, column) frequencies in grid units, shape (n, 2).
    """
    n = len(points)
    nearest = np.ceil(points - width / 2).astype(np.int64)
    taps = np.arange(width)
    weights, indices = [], []
    for axis in range(2):
        position = nearest[:, axis, None] + taps
        distance = position - points[:, axis, None]
        argument = np.clip(1 - (2 * distance / width) ** 2, 0, None)
        weights.append(np.i0(beta * np.sqrt(argument)) * (argument > 0) / np.i0(beta))
        indices.append(position % grid)
    values = (weights[0][:, :, None] * weights[1][:, None, :]).reshape(-1).astype(np.float32)
    columns = (indices[0][:, :, None] * grid + indices[1][:, None, :]).reshape(-1)
    values_t = torch.from_numpy(values).to(device)
    columns_t = torch.from_numpy(columns.astype(np.int32)).to(device)
    del values, columns
    per_point = width * width
    starts = torch.arange(0, n * per_point, per_point, dtype=torch.int32, device=device)
    order = torch.argsort(columns_t)
    counts = torch.bincount(columns_t.long(), minlength=grid * grid)
    starts_t = (torch.cumsum(counts, 0) - counts).int()
    rows = (order // per_point).int()
    return (
        _Gathering(columns_t, values_t, starts),
        _Gathering(rows, values_t[order], starts_t),
    )


class TorchRadon:
    """Parallel-beam projector of square images, differentiable in both directions.

    Lengths are in pixels: multiply line integrals by the pixel size to get mm.

    Parameters
    ----------
    size : int
        Rows and columns of the image.
    n_views : int
        Views over [0, pi).
    n_bins : int
        Detector bins.
        As wide as pixels.
    device : torch.device or str
    """

    def __init__(
        self,
        size: int,
        n_views: int,
        n_bins: int,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.size, self.n_views, self.n_bins = size, n_views, n_bins
        self.device = torch.device(device)
        self._grid = 2 * size
        self._padded = int(2 ** math.ceil(math.log2(2 * n_bins) - 1e-9))
        if 1.5 * 2 ** math.floor(math.log2(2 * n_bins)) >= 2 * n_bins:
            self._padded = int(1.5 * 2 ** math.floor(math.log2(2 * n_bins)))
        beta = _kaiser_bessel_beta(_TAPS, 2.0)
        frequency = np.arange(self._padded // 2 + 1) / self._padded
        angle = np.pi * np.arange(n_views) / n_views
        # (row, column) frequencies in cycles a pixel
        nu = np.stack(
            [np.outer(np.sin(angle), frequency), np.outer(np.cos(angle), frequency)], -1
        ).reshape(-1, 2)
        self._matrix, self._transpose = _interpolation_matrices(
            nu * self._grid, self._grid, _TAPS, beta, self.device
        )
        # Beyond the pixel grid's Nyquist frequency the FFT is periodic: take nothing from there.
        inside = np.clip((0.5 + 0.5 / size - np.abs(nu).max(1)) * size, 0, 1)
        shift = np.exp(-1j * np.pi * nu.sum(1)) * inside
        self._pixel_phase = self._complex(shift.reshape(n_views, -1))
        k = np.arange(self._padded // 2 + 1)
        self._bin_phase = self._complex(np.exp(-1j * np.pi * k * (n_bins - 1) / self._padded))
        offset = np.arange(size) - size // 2
        argument = np.sqrt(np.maximum(beta**2 - (np.pi * _TAPS * offset / self._grid) ** 2, 1e-12))
        kernel = _TAPS * np.sinh(argument) / argument / np.i0(beta)
        roll = (1.0 / kernel).astype(np.float32)
        self._deapodisation = torch.from_numpy(np.outer(roll, roll)).to(self.device)
        self._ramp = self._ram_lak()

    def _complex(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.complex64)).to(self.device)

    def _ram_lak(self) -> Tensor:
        """Transfer function of the sampled Ram-Lak kernel (no DC bias; Kak & Slaney 1988, 3.3)."""
        n = np.arange(self._padded)
        n = np.minimum(n, self._padded - n)
        kernel = np.zeros(self._padded)
        kernel[n == 0] = 0.25
        odd = n % 2 == 1
        kernel[odd] = -1 / (np.pi * n[odd]) ** 2
        return torch.from_numpy(np.fft.rfft(kernel).real.astype(np.float32)).to(self.device)

    def frequencies(self) -> Tensor:
        """Radial frequencies in units of the detector's Nyquist frequency, shape (n,)."""
        return torch.linspace(0, 1, self._padded // 2 + 1, device=self.device)

    def forward(self, images: Tensor) -> Tensor:
        """Project images (n, size, size) to line integrals (n, views, bins) in pixels."""
        n = images.shape[0]
        half = self.size // 2
        padded = images.new_zeros((n, self._grid, self._grid))
        padded[:, half : half + self.size, half : half + self.size] = images * self._deapodisation
        # centre of the padded grid: index `size`
        centred = torch.fft.ifftshift(padded, dim=(1, 2))
        spectrum = torch.view_as_real(torch.fft.fft2(centred))
        dense = spectrum.permute(1, 2, 0, 3).reshape(self._grid**2, 2 * n)
        radial = _SparseProduct.apply(dense, self._matrix, self._transpose)
        radial = torch.view_as_complex(radial.reshape(self.n_views, -1, n, 2).contiguous())
        radial = radial.permute(2, 0, 1) * self._pixel_phase * self._bin_phase
        return torch.fft.irfft(radial, n=self._padded, dim=-1)[..., : self.n_bins]

    def backproject(self, spectra: Tensor) -> Tensor:
        """Sum the plane waves of filtered projections; `spectra` is their rfft."""
        n = spectra.shape[0]
        weight = torch.full((self._padded // 2 + 1,), 2.0, device=self.device)
        weight[0] = weight[-1] = 1.0
        radial = spectra * (weight / self._padded) * torch.conj(self._pixel_phase * self._bin_phase)
        dense = torch.view_as_real(radial).permute(1, 2, 0, 3).reshape(-1, 2 * n)
        gridded = _SparseProduct.apply(dense.contiguous(), self._transpose, self._matrix)
        gridded = torch.view_as_complex(
            gridded.reshape(self._grid, self._grid, n, 2).contiguous()
        ).permute(2, 0, 1)
        image = torch.fft.ifft2(gridded).real * self._grid**2
        half = self.size // 2
        image = torch.fft.fftshift(image, dim=(1, 2))
        image = image[:, half : half + self.size, half : half + self.size]
        return image * self._deapodisation

    def fbp(self, sinograms: Tensor, window: Tensor | None = None) -> Tensor:
        """Reconstruct sinograms (n, views, bins) of pixel lengths to images (n, size, size).

        Parameters
        ----------
        sinograms : Tensor
        window : Tensor, optional
            Factor on the ramp at `frequencies`, shape (frequencies,) or (n, 1, frequencies).
        """
        spectra = torch.fft.rfft(sinograms, n=self._padded, dim=-1)
        response = self._ramp if window is None else self._ramp * window
        scale = math.pi / self.n_views
        return self.backproject(spectra * (response * scale))
