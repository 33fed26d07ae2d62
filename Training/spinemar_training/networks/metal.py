"""The metal network: how much of each pixel is metal, behind glow, clip and streaks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spinemar_training.metal.encoding import N_FEATURES
from spinemar_training.networks.unet import FoldedUNet


class MetalNetwork(nn.Module):
    """Volume fraction of metal in the middle of three slices."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = FoldedUNet(N_FEATURES, 1, (32, 48, 64, 80, 96), (1, 1, 1, 1, 1))

    def logits(self, features: Tensor) -> Tensor:
        """Input of the sigmoid, (b, 8, h, w) -> (b, 1, h, w)."""
        return self.unet(features) - 2.0

    def forward(self, features: Tensor) -> Tensor:
        """Fraction 0 to 1, (b, 8, h, w) -> (b, 1, h, w); sides: multiples of `unet.multiple`."""
        return torch.sigmoid(self.logits(features))
