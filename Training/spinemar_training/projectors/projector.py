"""What training asks of a projector, whichever device it runs on."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Projector(Protocol):
    """Parallel-beam projector of square images, differentiable both ways; lengths in pixels.

    `spinemar_training.projectors.radon.TorchRadon` on a GPU,
    `spinemar_training.projectors.nufft.NufftRadon` on the CPU.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Project images (n, size, size) to line integrals (n, views, bins)."""

    def fbp(self, sinograms: Tensor) -> Tensor:
        """Reconstruct line integrals (n, views, bins) to images (n, size, size)."""
