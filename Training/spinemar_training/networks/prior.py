"""The prior network: cleans the image; only its reprojection inside the trace is ever used."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinemar_training.features import N_FEATURES, PIXEL_MM, SCALE_HU, apply_matrices, nmar_of
from spinemar_training.features import resampling_matrix, stack
from spinemar_training.networks.unet import FoldedUNet


class PriorNetwork(nn.Module):
    """Residual to NMAR of the middle of three slices, in units of `SCALE_HU`."""

    def __init__(
        self,
        widths: Sequence[int] = (64, 96, 144, 192, 192),
        blocks: Sequence[int] = (2, 2, 2, 2, 2),
    ) -> None:
        super().__init__()
        self.unet = FoldedUNet(N_FEATURES, 1, widths, blocks)

    def forward(self, features: Tensor) -> Tensor:
        """(b, 11, h, w) -> (b, 1, h, w); h and w are multiples of `unet.multiple`."""
        return self.unet(features)

    def clean(self, window: Tensor, pixel_mm: Tensor, grid: tuple[int, int]) -> Tensor:
        """Run on whole images (b, 3, channels, h, w) and return cleaned HU (b, h, w)."""
        size = window.shape[-2:]
        new = torch.full_like(pixel_mm, PIXEL_MM)
        still = torch.zeros_like(pixel_mm)
        rows = resampling_matrix(size[0], pixel_mm, grid[0], new, still)
        columns = resampling_matrix(size[1], pixel_mm, grid[1], new, still)
        features = apply_matrices(stack(window), rows, columns)
        with torch.autocast(window.device.type, torch.bfloat16, enabled=window.is_cuda):
            residual = self(features.contiguous(memory_format=torch.channels_last)).float()
        rows = resampling_matrix(grid[0], new, size[0], pixel_mm, still)
        columns = resampling_matrix(grid[1], new, size[1], pixel_mm, still)
        return nmar_of(window) + SCALE_HU * apply_matrices(residual, rows, columns)[:, 0]
