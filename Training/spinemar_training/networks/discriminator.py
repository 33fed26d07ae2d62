"""The PatchGAN discriminator D(x, y): tells real traces from generated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """MONAI's patch discriminator on the pair (condition x, candidate y) and the trace.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, "Image-to-image translation with conditional
    adversarial networks", CVPR 2017.
    """

    def __init__(self, channels: int = 32, layers: int = 3) -> None:
        super().__init__()
        from monai.networks.nets import PatchDiscriminator as MonaiDiscriminator

        self.network = MonaiDiscriminator(
            spatial_dims=2,
            channels=channels,
            in_channels=3,
            num_layers_d=layers,
            norm="INSTANCE",
        )

    def forward(self, condition: Tensor, candidate: Tensor, trace: Tensor) -> Tensor:
        """(b, 1, views, bins) three times -> logits of patches (b, 1, h, w).

        The candidate enters as its difference to the condition, magnified: that is where real
        and generated traces differ, and it is a hundredth of the line integrals themselves.
        """
        detail = (candidate - condition) * 10.0
        return self.network(torch.cat([condition / 4.0, detail, trace], 1))[-1]
