"""The fusion network: how far to believe the earlier CT beside metal, and what both lack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spinemar.mar.earlier.candidates import N_FEATURES, N_MAPS
from spinemar_training.networks.unet import FoldedUNet

_MOST_OWN = 3.0


class FusionNetwork(nn.Module):
    """Maps of `spinemar.mar.earlier.candidates` from what is seen of both pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = FoldedUNet(N_FEATURES, N_MAPS, (32, 48, 64, 80, 96), (1, 1, 1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Shares of coarse and fine, 0 to 1, and the own correction, (b, 9, h, w) -> (b, 3, h, w).

        Sides are multiples of `unet.multiple`.
        """
        shares, own = self.unet(features).split((2, 1), dim=1)
        return torch.cat([torch.sigmoid(shares), _MOST_OWN * torch.tanh(own / _MOST_OWN)], dim=1)
