"""A residual U-Net that works on folded pixels: quick on two CPU cores, no normalisation layers.

Group or instance norms would make the answer depend on how much air the crop holds, so the
blocks go without (zero-initialised residual branches keep them stable, as in Zhang et al. 2019,
"Fixup initialization"); two-by-two pixels are folded into channels first (Shi et al. 2016), so
that the widest layers run at a quarter of the pixels.

References
----------
O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for biomedical image
segmentation", MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_SLOPE = 0.1


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(x), _SLOPE))


class FoldedUNet(nn.Module):
    """U-Net on 2x2-folded pixels.

    Parameters
    ----------
    in_channels, out_channels : int
    widths : sequence of int
        Channels of each level; level n runs at 1 / 2^(n+1) of the input's resolution.
    blocks : sequence of int
        Residual blocks of each level, on the way down and again on the way up.
    """

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], blocks: Sequence[int]
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4 * in_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        self.encoders = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            self.encoders.append(nn.Sequential(*(ResidualBlock(width) for _ in range(count))))
            if level + 1 < len(widths):
                below = widths[level + 1]
                self.down.append(nn.Conv2d(width, below, 2, stride=2))
                self.up.append(nn.ConvTranspose2d(below, width, 2, stride=2))
                self.decoders.append(nn.Sequential(*(ResidualBlock(width) for _ in range(count))))
        self.head = nn.Conv2d(widths[0], 4 * out_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def multiple(self) -> int:
        """Rows and columns of the input must be a multiple of this."""
        return 2 ** len(self.encoders)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(F.pixel_unshuffle(x, 2))
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](F.leaky_relu(x, _SLOPE))
        for level in reversed(range(len(self.up))):
            x = self.up[level](F.leaky_relu(x, _SLOPE)) + skips[level]
            x = self.decoders[level](x)
        return F.pixel_shuffle(self.head(F.leaky_relu(x, _SLOPE)), 2)
