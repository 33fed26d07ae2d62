"""The generator of the seed that also sees the rest of the measured rays."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from spinemar_training.networks.generator import PAD_VIEWS, SinogramGenerator
from spinemar_training.networks.unet import FoldedUNet
from torch import Tensor

from spinemar_study.measured.evidence import CHANNELS

WIDTHS, BLOCKS = (16, 32, 48, 64, 64), (1, 1, 2, 2, 2)
_USUAL = 10


class EvidenceGenerator(SinogramGenerator):
    """G(x, m) = m * UNet(x) + (1 - m) * x, x with three channels of evidence more.

    Begins as a generator without them: their weights are zero.

    Parameters
    ----------
    state : mapping of str to Tensor
        Of a generator that sees the measured rays, or of one like this.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__(WIDTHS, BLOCKS, sees_measured=True)
        self.unet = FoldedUNet(_USUAL + CHANNELS, 1, WIDTHS, BLOCKS)
        own = self.state_dict()
        for name, values in state.items():
            if own[name].shape == values.shape:
                own[name] = values
            else:  # the stem: pixels are folded channel by channel, new ones come last
                own[name] = torch.zeros_like(own[name])
                own[name][:, : values.shape[1]] = values
        self.load_state_dict(own)

    def forward(  # type: ignore[override]
        self, sinogram: Tensor, trace: Tensor, measured: Tensor, seen: Tensor
    ) -> Tensor:
        """(b, 3, views, bins) each -> (b, 1, views, bins)."""
        padded = [
            torch.cat([x[:, :, -PAD_VIEWS:].flip(-1), x, x[:, :, :PAD_VIEWS].flip(-1)], 2)
            for x in (sinogram, trace, measured, seen)
        ]
        x = torch.cat([self.channels(*padded[:3]), padded[3]], 1)
        residual = self.unet(x)[:, :, PAD_VIEWS:-PAD_VIEWS].float()
        centre, mask = sinogram[:, 1:2], trace[:, 1:2]
        return mask * (centre + residual) + (1 - mask) * centre
