"""The whole correction as one differentiable function, from images to corrected images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spinemar_training.networks.features import (
    input_of,
    metal_of,
    saturated_of,
    slice_windows,
)
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.networks.precision import has_bf16
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.projectors.projector import Projector
from spinemar_training.simulate.classical import (
    dilate_bins,
    fill_trace,
    lost_rays_of,
    project,
    reconstruct_difference,
)


@dataclass(frozen=True)
class Prefilled:
    """Sinograms (n, views, bins) of slices: measured, prior-filled, and the lost-ray trace."""

    measured: Tensor
    filled: Tensor
    trace: Tensor


def lost_rays(
    window: Tensor, radon: Projector, pixel_mm: Tensor, widening_mm: float = 0.0
) -> Tensor:
    """Rays through metal (one bin wider) or through saturated pixels, (n, views, bins) bool.

    `widening_mm` more are taken in on either side, as the model's manifest says; a bin is as
    wide as a pixel here.
    """
    with torch.no_grad():
        lost = lost_rays_of(metal_of(window), saturated_of(window), radon)
        if widening_mm == 0.0:
            return lost
        wide = [
            dilate_bins(one[None], round(widening_mm / float(pixel)))
            for one, pixel in zip(lost, pixel_mm, strict=True)
        ]
        return torch.cat(wide)


def prefill(
    prior_hu: Tensor,
    window: Tensor,
    pixel_mm: Tensor,
    radon: Projector,
    widening_mm: float = 0.0,
) -> Prefilled:
    """Fill the trace with the prior's rays, matched to the measured rays beside the trace."""
    measured = project(input_of(window), radon, pixel_mm)
    trace = lost_rays(window, radon, pixel_mm, widening_mm)
    prior = project(prior_hu, radon, pixel_mm)
    filled = prior + fill_trace(measured - prior, trace)
    return Prefilled(measured, torch.where(trace, filled, measured), trace)


def corrected(
    window: Tensor, prefilled: Prefilled, inpainted: Tensor, pixel_mm: Tensor, radon: Projector
) -> Tensor:
    """Add the difference of the trace's rays to the images, (n, h, w) HU."""
    difference = torch.where(
        prefilled.trace, inpainted - prefilled.measured, torch.zeros_like(inpainted)
    )
    return input_of(window) + reconstruct_difference(difference, radon, pixel_mm)


def neighbours(values: Tensor, n_slices: int, alone: bool = False) -> Tensor:
    """Stack each slice with its neighbours: (b*s, v, r) -> (b*s, 3, v, r), edges repeated."""
    slabs = values.unflatten(0, (-1, n_slices))[:, :, None]
    return slice_windows(slabs, alone)[:, :, 0]


def correct_slabs(
    slabs: Tensor,
    pixel_mm: Tensor,
    prior: PriorNetwork,
    generator: SinogramGenerator | None,
    radon: Projector,
    grid: tuple[int, int],
    alone: bool = False,
    widening_mm: float = 0.0,
) -> tuple[Tensor, Tensor, Prefilled, Tensor]:
    """Correct every slice of slabs (b, s, channels, h, w).

    `alone` as in `slice_windows`, `widening_mm` as in `lost_rays`.

    Returns
    -------
    corrected, prior-only corrected : Tensor (b*s, h, w)
    prefilled : Prefilled
    inpainted : Tensor (b*s, views, bins)
    """
    windows = slice_windows(slabs, alone)
    pixels = pixel_mm.repeat_interleave(slabs.shape[1])
    prior_hu = prior.clean(windows, pixels, grid).float()
    before = prefill(prior_hu, windows, pixels, radon, widening_mm)
    first = corrected(windows, before, before.filled, pixels, radon)
    if generator is None:
        return first, first, before, before.filled
    count = slabs.shape[1]
    with torch.autocast(slabs.device.type, torch.bfloat16, enabled=has_bf16(slabs.device)):
        inpainted = generator(
            neighbours(before.filled, count, alone),
            neighbours(before.trace.float(), count, alone),
            neighbours(before.measured, count, alone),
        )[:, 0]
    inpainted = torch.where(before.trace, inpainted.float(), before.filled)
    final = corrected(windows, before, inpainted, pixels, radon)
    return final, first, before, inpainted
