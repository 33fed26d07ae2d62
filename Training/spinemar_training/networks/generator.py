"""The generator G(x, m) = m * UNet(x) + (1 - m) * x on three adjacent slices' sinograms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spinemar_training.networks.unet import FoldedUNet

PAD_VIEWS = 12


class SinogramGenerator(nn.Module):
    """Inpaint the trace of the centre slice; every other ray leaves as it came.

    The network sees the three prefilled sinograms and traces, padded by flipped views
    (p(theta + pi, r) = p(theta, -r)), and learns a residual in nepers.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128, 128),
        blocks: Sequence[int] = (1, 1, 2, 2, 2),
    ) -> None:
        super().__init__()
        self.unet = FoldedUNet(6, 1, widths, blocks)

    def forward(self, sinogram: Tensor, trace: Tensor) -> Tensor:
        """(b, 3, views, bins) twice -> (b, 1, views, bins)."""
        x = torch.cat([sinogram, trace], 1)
        before = x[:, :, -PAD_VIEWS:].flip(-1)
        after = x[:, :, :PAD_VIEWS].flip(-1)
        residual = self.unet(torch.cat([before, x, after], 2))
        residual = residual[:, :, PAD_VIEWS : PAD_VIEWS + sinogram.shape[2]]
        centre, mask = sinogram[:, 1:2], trace[:, 1:2]
        return mask * (centre + residual) + (1 - mask) * centre
