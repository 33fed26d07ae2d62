"""The generator G(x, m) = m * UNet(x) + (1 - m) * x on three adjacent slices' sinograms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from spinemar_training.networks.unet import FoldedUNet

PAD_VIEWS = 12
_LEVEL_WINDOW = (9, 33)
"""Views and bins over which the level of the line integrals is taken."""
_LEVEL_SCALE = 8.0


class SinogramGenerator(nn.Module):
    """Inpaint the trace of the centre slice; every other ray leaves as it came.

    The network sees the three prefilled sinograms and traces, padded by flipped views
    (p(theta + pi, r) = p(theta, -r)), and learns a residual in nepers.

    Sinograms enter as differences from their local level. What is to be mended is a hundredth of
    the line integrals themselves, and 16-bit arithmetic has no room for both: between 4 and 8
    nepers a step of bfloat16 is 1/32.

    Parameters
    ----------
    widths, blocks : sequence of int
        Of the U-Net's levels.
    sees_measured : bool
        Whether it also sees the rays as they were measured. They are spoiled, not empty: beside
        metal and in saturated pixels they hold detail that no prior has.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128, 128),
        blocks: Sequence[int] = (1, 1, 2, 2, 2),
        sees_measured: bool = False,
    ) -> None:
        super().__init__()
        self.sees_measured = sees_measured
        self.unet = FoldedUNet(10 if sees_measured else 7, 1, widths, blocks)

    def forward(self, sinogram: Tensor, trace: Tensor, measured: Tensor | None = None) -> Tensor:
        """(b, 3, views, bins) each -> (b, 1, views, bins)."""
        given = [sinogram, trace] if measured is None else [sinogram, trace, measured]
        padded = [
            torch.cat([x[:, :, -PAD_VIEWS:].flip(-1), x, x[:, :, :PAD_VIEWS].flip(-1)], 2)
            for x in given
        ]
        residual = self.residual(*padded)
        centre, mask = sinogram[:, 1:2], trace[:, 1:2]
        return mask * (centre + residual) + (1 - mask) * centre

    def residual(self, sinogram: Tensor, trace: Tensor, measured: Tensor | None = None) -> Tensor:
        """Residual of the inner views of sinograms that have `PAD_VIEWS` more on each side."""
        x = self.channels(sinogram, trace, measured)
        return self.unet(x)[:, :, PAD_VIEWS:-PAD_VIEWS]

    def channels(self, sinogram: Tensor, trace: Tensor, measured: Tensor | None) -> Tensor:
        """Return what the U-Net sees of three slices, (b, channels, views, bins), float32."""
        with torch.autocast(sinogram.device.type, enabled=False):
            level = F.avg_pool2d(
                sinogram[:, 1:2],
                _LEVEL_WINDOW,
                stride=1,
                padding=(_LEVEL_WINDOW[0] // 2, _LEVEL_WINDOW[1] // 2),
                count_include_pad=False,
            )
            channels = [sinogram - level, trace, level / _LEVEL_SCALE]
            if self.sees_measured:
                assert measured is not None
                # Behind heavy metal the difference is large and says little.
                channels.append(F.softsign(measured - sinogram))
            return torch.cat(channels, 1)
