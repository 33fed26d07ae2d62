"""What the prior network sees: images resampled to its own pixel size, as channels.

Resampling is two small matrices an image (rows and columns), a triangle kernel that widens when
pixels grow, so that the core's NumPy code and this one agree to rounding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar.evaluation.regions import BODY_HU
from spinemar_training.simulate.slabs import CHANNELS

PIXEL_MM = 0.8
SCALE_HU = 500.0
LOW_HU, HIGH_HU = -2000.0, 3500.0
N_FEATURES = 11
MARGIN_MM = 24.0
THICK_PX, THICK_SHARE = 31, 0.75
GRID_MULTIPLE = 32

_INPUT, _NMAR, _LI = CHANNELS.index("input"), CHANNELS.index("nmar"), CHANNELS.index("li")
_METAL, _SATURATED = CHANNELS.index("metal"), CHANNELS.index("saturated")
TRUTH = CHANNELS.index("truth")


def resampling_matrix(
    n_in: int, in_mm: Tensor, n_out: int, out_mm: Tensor, centre_mm: Tensor
) -> Tensor:
    """Rows that make `n_out` samples of `out_mm` from `n_in` of `in_mm`, shape (b, n_out, n_in).

    Both grids are centred; `centre_mm` (b,) moves the new one. Outside the image counts as 0.
    """
    device = in_mm.device
    source = (torch.arange(n_in, device=device) - (n_in - 1) / 2)[None, None, :]
    wanted = (torch.arange(n_out, device=device) - (n_out - 1) / 2)[None, :, None]
    position = (wanted * out_mm[:, None, None] + centre_mm[:, None, None]) / in_mm[:, None, None]
    width = torch.clamp(out_mm / in_mm, min=1.0)[:, None, None]
    return torch.clamp(1 - (position - source).abs() / width, min=0) / width


def apply_matrices(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resample (b, c, h, w) with (b, h', h) and (b, w', w)."""
    return torch.einsum("bph,bchw,bqw->bcpq", rows, images, columns)


def stack(window: Tensor) -> Tensor:
    """Native-resolution channels of the middle of three slices (b, 3, channels, h, w).

    Values are offset so that 0 is air (or no mask): what lies outside the image is air.
    """
    window = window.float()
    hu = torch.cat([window[:, :, _INPUT], window[:, :, _NMAR], window[:, 1:2, _LI]], 1)
    hu = (hu.clamp(LOW_HU, HIGH_HU) + 1000.0) / SCALE_HU
    masks = torch.cat([window[:, :, _METAL], window[:, 1:2, _SATURATED]], 1)
    return torch.cat([hu, masks], 1)


def grid_around_bodies(slabs: Tensor, pixel_mm: Tensor) -> tuple[int, int]:
    """Rows and columns of a centred window at `PIXEL_MM` that holds the bodies of slabs.

    Slabs (b, s, channels, h, w); pixels of the window are what the prior costs.
    """
    tissue = (slabs[:, :, _NMAR] > BODY_HU).any(1).float()
    tissue = F.avg_pool2d(tissue, THICK_PX, 1, THICK_PX // 2) > THICK_SHARE  # no table, no clothes
    sides = []
    for axis in (1, 2):
        size = tissue.shape[axis]
        away = (torch.arange(size, device=tissue.device) - (size - 1) / 2).abs()
        reach_mm = (tissue.any(3 - axis) * away).amax(1) * pixel_mm
        half = (float(reach_mm.max()) + MARGIN_MM) / PIXEL_MM
        sides.append(GRID_MULTIPLE * math.ceil(2 * half / GRID_MULTIPLE))
    return sides[0], sides[1]


def near_metal(metal: Tensor, reach_px: int) -> Tensor:
    """Dilate a mask (b, h, w) by a square of `reach_px`."""
    x = F.max_pool2d(metal[:, None].float(), (2 * reach_px + 1, 1), 1, (reach_px, 0))
    return F.max_pool2d(x, (1, 2 * reach_px + 1), 1, (0, reach_px))[:, 0]


def slice_windows(slabs: Tensor, alone: bool = False) -> Tensor:
    """Every slice with its neighbours, edges repeated: (b, s, c, h, w) -> (b*s, 3, c, h, w).

    `alone` repeats each slice in place of its neighbours, as short volumes do.
    """
    if alone:
        return torch.stack([slabs] * 3, 2).flatten(0, 1)
    padded = torch.cat([slabs[:, :1], slabs, slabs[:, -1:]], 1)
    windows = torch.stack([padded[:, n : n + slabs.shape[1]] for n in range(3)], 2)
    return windows.flatten(0, 1)


def truth_of(window: Tensor) -> Tensor:
    """Metal-free HU of the middle slice, (b, h, w)."""
    return window[:, 1, TRUTH].float()


def nmar_of(window: Tensor) -> Tensor:
    """NMAR's HU of the middle slice, (b, h, w)."""
    return window[:, 1, _NMAR].float()


def input_of(window: Tensor) -> Tensor:
    """Uncorrected HU of the middle slice, (b, h, w)."""
    return window[:, 1, _INPUT].float()


def li_of(window: Tensor) -> Tensor:
    """Linear interpolation's HU of the middle slice, (b, h, w)."""
    return window[:, 1, _LI].float()


def metal_of(window: Tensor) -> Tensor:
    """Metal mask of the middle slice, (b, h, w), bool."""
    return window[:, 1, _METAL] > 0.5


def saturated_of(window: Tensor) -> Tensor:
    """Saturated pixels of the middle slice, (b, h, w), bool."""
    return window[:, 1, _SATURATED] > 0.5
