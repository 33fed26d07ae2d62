"""The core's transforms (finufft) as differentiable steps of PyTorch, for training on the CPU.

Backprojection is the transpose of projection and the ramp is a symmetric filter, so the gradient
of FBP is the ramp applied to the projection of the image's gradient, and the gradient of a
projection is a backprojection: one more NUFFT each, and nothing of the interpolation is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinemar.tomography.filters import filter_response, padded_length
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform

_Map = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class NufftRadon:
    """Parallel-beam projector; lengths in pixels.

    Images are (n, size, size), sinograms (n, views, bins). On the CPU only; on a GPU use
    `spinemar_training.projectors.radon.TorchRadon`, which has gradients too.

    Parameters
    ----------
    size : int
        Rows and columns of the image.
    n_views, n_bins : int
    bin_px : float
        Width of the bins.
    threads : int
    """

    def __init__(
        self, size: int, n_views: int, n_bins: int, *, bin_px: float = 1.0, threads: int = 1
    ) -> None:
        geometry = SinogramGeometry(n_views, n_bins, bin_px)
        self.radon = RadonTransform((size, size), (1.0, 1.0), geometry, threads=threads)
        self._length = padded_length(n_bins)
        # A backprojection is the transpose of a projection over the bins' width.
        response = filter_response("ram-lak", n_bins, bin_px) * np.float32(np.pi / n_views)
        self._response = response * np.float32(bin_px)

    def forward(self, images: Tensor) -> Tensor:
        """Project images; differentiable."""
        sinograms: Tensor = _Linear.apply(images, self.radon.forward, self.radon.adjoint)
        return sinograms

    def frequencies(self) -> Tensor:
        """Radial frequencies in units of the detector's Nyquist frequency, shape (n,)."""
        return torch.linspace(0, 1, self._length // 2 + 1)

    def fbp(self, sinograms: Tensor, window: Tensor | None = None) -> Tensor:
        """Reconstruct images; differentiable.

        Parameters
        ----------
        sinograms : Tensor, shape (n, views, bins)
        window : Tensor, optional
            Factor on the ramp at `frequencies`.
        """
        if window is not None:
            spectra = torch.fft.rfft(sinograms, n=self._length, dim=-1) * window
            sinograms = torch.fft.irfft(spectra, n=self._length, dim=-1)[..., : sinograms.shape[-1]]
        images: Tensor = _Linear.apply(sinograms, self.radon.fbp, self.transposed_fbp)
        return images

    def transposed_fbp(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the transpose of the whole reconstruction to images."""
        views = self.radon.forward(images)
        spectra = scipy.fft.fft(views, n=self._length, axis=-1)
        filtered = scipy.fft.ifft(spectra * self._response, axis=-1).real
        return np.ascontiguousarray(filtered[..., : views.shape[-1]], dtype=np.float32)


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)


class _Linear(torch.autograd.Function):
    """A linear map of arrays, and its transpose for the gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, apply: _Map, transpose: _Map) -> Tensor:
        ctx.transpose = transpose
        return torch.from_numpy(apply(_array(values)))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return torch.from_numpy(ctx.transpose(_array(grad))), None, None
