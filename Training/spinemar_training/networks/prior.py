"""The prior network: cleans the image; only its reprojection inside the trace is ever used."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinemar_training.networks.features import (
    HIGH_HU,
    LOW_HU,
    N_FEATURES,
    PIXEL_MM,
    SCALE_HU,
    apply_matrices,
    input_of,
    nmar_of,
    resampling_matrix,
    stack,
)
from spinemar_training.networks.precision import has_bf16
from spinemar_training.networks.unet import FoldedUNet

_BLEND_BIAS = -3.0


def combine(raw_hu: Tensor, nmar_hu: Tensor, residual: Tensor, blend: Tensor) -> Tensor:
    """Put the network's two maps together to the cleaned image, HU."""
    return nmar_hu + blend * (raw_hu.clamp(LOW_HU, HIGH_HU) - nmar_hu) + SCALE_HU * residual


class PriorNetwork(nn.Module):
    """Two maps for the middle of three slices: a residual and how much of the input to keep.

    The cleaned image is ``nmar + blend * (input - nmar) + SCALE_HU * residual``: in mild cases
    the input's own detail is better than anything NMAR left of it.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 96, 144, 192, 192),
        blocks: Sequence[int] = (2, 2, 2, 2, 2),
    ) -> None:
        super().__init__()
        self.unet = FoldedUNet(N_FEATURES, 2, widths, blocks)

    def forward(self, features: Tensor) -> Tensor:
        """(b, 11, h, w) -> residual and blend (b, 2, h, w); sides: multiples of `unet.multiple`."""
        raw = self.unet(features)
        return torch.cat([raw[:, :1], torch.sigmoid(raw[:, 1:] + _BLEND_BIAS)], 1)

    def clean(self, window: Tensor, pixel_mm: Tensor, grid: tuple[int, int]) -> Tensor:
        """Run on whole images (b, 3, channels, h, w) and return cleaned HU (b, h, w)."""
        size = window.shape[-2:]
        new = torch.full_like(pixel_mm, PIXEL_MM)
        still = torch.zeros_like(pixel_mm)
        rows = resampling_matrix(size[0], pixel_mm, grid[0], new, still)
        columns = resampling_matrix(size[1], pixel_mm, grid[1], new, still)
        features = apply_matrices(stack(window), rows, columns)
        with torch.autocast(window.device.type, torch.bfloat16, enabled=has_bf16(window.device)):
            maps = self(features.contiguous(memory_format=torch.channels_last)).float()
        rows = resampling_matrix(grid[0], new, size[0], pixel_mm, still)
        columns = resampling_matrix(grid[1], new, size[1], pixel_mm, still)
        residual, blend = apply_matrices(maps, rows, columns).unbind(1)
        return combine(input_of(window), nmar_of(window), residual, blend)
