"""What the metal network sees; `metal_network.encode` of the core builds the same in NumPy."""

from __future__ import annotations

import torch
from torch import Tensor

N_FEATURES = 8
USUAL_TOP_HU = 3071.0
USUAL_PIXEL_MM = 0.7


def encode(hu: Tensor, pixel_mm: Tensor, top_hu: Tensor) -> Tensor:
    """Three slices (b, 3, h, w) in HU, as stored, to the network's input (b, 8, h, w).

    Up to the end of a 12-bit scale linearly, above it by the logarithm; then the pixel size and
    the end of the scale, each the same everywhere. Air is 0.
    """
    low = (hu.clamp(-1024.0, USUAL_TOP_HU) + 1000.0) / 1000.0
    high = torch.log1p((hu - USUAL_TOP_HU).clamp(min=0) / 3000.0)
    constant = torch.stack(
        [torch.log2(pixel_mm / USUAL_PIXEL_MM), torch.log2(top_hu / USUAL_TOP_HU)], 1
    )
    constant = constant[:, :, None, None].expand(-1, -1, *hu.shape[-2:])
    return torch.cat([low, high, constant], 1)
