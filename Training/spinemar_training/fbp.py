"""Filtered backprojection of the core (finufft) as a differentiable step of PyTorch.

Backprojection is the transpose of projection and the ramp is a symmetric filter, so the gradient
of FBP is the ramp applied to the projection of the image's gradient: one more NUFFT, and nothing
of the interpolation needs to be kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinemar.tomography.filters import filter_response, padded_length
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform


class DifferentiableFbp:
    """Reconstruct sinograms of a grid whose bins are as wide as its pixels; lengths in pixels.

    On the CPU only; on a GPU use `spinemar_training.radon.TorchRadon`, which has gradients too.

    Parameters
    ----------
    size : int
        Rows and columns of the image.
    n_views, n_bins : int
    threads : int
    """

    def __init__(self, size: int, n_views: int, n_bins: int, *, threads: int = 1) -> None:
        geometry = SinogramGeometry(n_views, n_bins, 1.0)
        self.radon = RadonTransform((size, size), (1.0, 1.0), geometry, threads=threads)
        self._length = padded_length(n_bins)
        self._response = filter_response("ram-lak", n_bins, 1.0) * np.float32(np.pi / n_views)

    def __call__(self, sinograms: Tensor) -> Tensor:
        """(n, views, bins) of pixel lengths -> (n, size, size); differentiable."""
        images: Tensor = _Fbp.apply(sinograms, self)
        return images

    def transposed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply the transpose of the whole reconstruction to images (n, size, size)."""
        views = self.radon.forward(images)
        spectra = scipy.fft.fft(views, n=self._length, axis=-1)
        filtered = scipy.fft.ifft(spectra * self._response, axis=-1).real
        return np.ascontiguousarray(filtered[..., : views.shape[-1]], dtype=np.float32)


class _Fbp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sinograms: Tensor, fbp: DifferentiableFbp) -> Tensor:  # type: ignore[override]
        ctx.fbp = fbp
        return torch.from_numpy(fbp.radon.fbp(sinograms.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return torch.from_numpy(ctx.fbp.transposed(np.ascontiguousarray(grad.numpy()))), None
