"""Metal, traces, linear interpolation and NMAR on the GPU, as `spinemar.mar` does on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar.mar.pipeline.interpolation.prior_image import AIR_THRESHOLD_HU, BONE_THRESHOLD_HU
from spinemar.mar.segmentation.trace import (
    ADDED_SHARE_CAP,
    TRACE_DILATION_BINS,
    TRACE_LENGTH_PX,
)
from spinemar.tomography.units import MU_WATER_PER_MM
from spinemar_training.projectors.projector import Projector

_FLOOR_PIXELS = 10.0
_FEW_PIXELS = 200
_BODY_RAY = 0.4
"""Line integral of 2 cm of water: rays with less do not pass through the body."""


def _to_mu(hu: Tensor) -> Tensor:
    """HU to attenuation per mm."""
    return MU_WATER_PER_MM * (1 + hu / 1000)


def project(hu: Tensor, radon: Projector, pixel_mm: Tensor) -> Tensor:
    """Line integrals of HU images (n, size, size); `pixel_mm` is (n,)."""
    return radon.forward(_to_mu(hu)) * pixel_mm[:, None, None]


def reconstruct_difference(difference: Tensor, radon: Projector, pixel_mm: Tensor) -> Tensor:
    """HU change that a change of the sinogram (n, views, bins) makes."""
    mu = radon.fbp(difference) / pixel_mm[:, None, None]
    return mu * (1000 / MU_WATER_PER_MM)


def dilate_bins(trace: Tensor, bins: int = 1) -> Tensor:
    """Widen a boolean trace (n, views, bins) along the detector."""
    if bins == 0:
        return trace
    wide = F.max_pool1d(trace.float(), 2 * bins + 1, stride=1, padding=bins)
    return wide > 0.5


def trace_of(mask: Tensor, radon: Projector) -> Tensor:
    """Rays through a boolean mask (n, size, size): more than half a pixel of it, dilated."""
    return dilate_bins(radon.forward(mask.float()) > TRACE_LENGTH_PX, TRACE_DILATION_BINS)


def lost_rays_of(metal: Tensor, saturated: Tensor, radon: Projector) -> Tensor:
    """Metal trace and the rays through saturated pixels, those capped at a share of all rays."""
    trace = trace_of(metal, radon)
    lengths = radon.forward(saturated.float())
    added = (lengths > TRACE_LENGTH_PX) & ~trace
    allowed = int(ADDED_SHARE_CAP * added[0].numel())
    for n in range(len(added)):
        if int(added[n].sum()) > allowed:
            worth = torch.where(added[n], lengths[n], torch.zeros_like(lengths[n])).flatten()
            kept = torch.zeros_like(worth, dtype=torch.bool)
            kept[worth.topk(allowed).indices] = True
            added[n] = kept.view_as(added[n])
    return trace | added


def fill_trace(values: Tensor, trace: Tensor) -> Tensor:
    """Interpolate along the detector over the trace; outside the detector the value is 0.

    Differentiable in `values`. Shapes (n, views, bins).
    """
    n_bins = values.shape[-1]
    index = torch.arange(n_bins, device=values.device).expand_as(values)
    left = torch.where(trace, -1, index).cummax(-1).values
    right = torch.where(trace, n_bins, index).flip(-1).cummin(-1).values.flip(-1)
    has_left, has_right = left >= 0, right < n_bins
    a = values.gather(-1, left.clamp(min=0))
    b = values.gather(-1, right.clamp(max=n_bins - 1))
    a = torch.where(has_left, a, torch.where(has_right, b, torch.zeros_like(b)))
    b = torch.where(has_right, b, a)
    share = (index - left).to(values.dtype) / (right - left).clamp(min=1).to(values.dtype)
    return torch.where(trace, a + share * (b - a), values)


def _smooth(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of images (n, h, w)."""
    radius = max(1, round(3 * sigma))
    taps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    x = F.pad(images[:, None], (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel[..., None, :]), kernel[..., None])[:, 0]


@dataclass(frozen=True)
class Classical:
    """What the classical correction gives for images (n, size, size)."""

    metal: Tensor
    saturated: Tensor
    li: Tensor
    nmar: Tensor


def _class_median(hu: Tensor, region: Tensor, near: Tensor, fallback: float) -> float:
    """Median of a tissue class away from metal, as NMAR's prior image takes it."""
    away = hu[region & ~near]
    values = away if away.numel() >= _FEW_PIXELS else hu[region]
    return float(values.median()) if values.numel() >= _FEW_PIXELS else fallback


def nmar_prior(li: Tensor, metal: Tensor, inside: Tensor, pixel_mm: float) -> Tensor:
    """Classify tissue on the LI image: air, gas, soft tissue at their medians, bone as it is."""
    smooth = _smooth(li, 1.0 / pixel_mm)
    near = _within(metal, 30.0, pixel_mm)
    air, bone = smooth < AIR_THRESHOLD_HU, smooth > BONE_THRESHOLD_HU
    prior = torch.full_like(smooth, -1000.0)
    for n in range(len(li)):
        soft = _class_median(li[n], inside[n] & ~air[n] & ~bone[n], near[n], 30.0)
        gas = min(_class_median(li[n], inside[n] & air[n], near[n], -850.0), -500.0)
        prior[n] = torch.where(inside[n], torch.where(air[n], gas, soft), prior[n])
        outside = ~inside[n] & ~air[n]
        prior[n] = torch.where(outside | bone[n], smooth[n], prior[n])
        prior[n] = torch.where(metal[n], prior[n].clamp(min=soft), prior[n])
    return prior


def _within(mask: Tensor, reach_mm: float, pixel_mm: float) -> Tensor:
    """Pixels within a reach of a mask (n, h, w), an octagon standing in for the disc."""
    reach = max(1, round(reach_mm / pixel_mm))
    x = mask.float()[:, None]
    square = F.max_pool2d(x, (2 * reach + 1, 1), 1, (reach, 0))
    square = F.max_pool2d(square, (1, 2 * reach + 1), 1, (0, reach))
    small = round(0.5858 * reach)
    diamond = x
    for _ in range(4):  # a diamond of radius 2 * reach - small, by crosses
        step = max(1, round((2 * reach - small) / 4))
        diamond = torch.maximum(
            F.max_pool2d(diamond, (2 * step + 1, 1), 1, (step, 0)),
            F.max_pool2d(diamond, (1, 2 * step + 1), 1, (0, step)),
        )
    return (torch.minimum(square, diamond) > 0.5)[:, 0]


def saturated_pixels(
    hu: Tensor, li: Tensor, metal: Tensor, depth_mm: Tensor, pixel_mm: float
) -> Tensor:
    """Pixels at the low clip of a 12-bit scale that streaks explain, as `spinemar.mar`."""
    low = (hu <= -1000) & ~metal & (depth_mm >= 10) & (li - hu >= 100)
    return low & _within(metal, 30.0, pixel_mm)


@torch.no_grad()
def classical(
    hu: Tensor,
    radon: Projector,
    pixel_mm: float,
    threshold_hu: float,
    depth_mm: Tensor,
    twelve_bit: bool,
) -> Classical:
    """Run LI and NMAR as difference images on slices (n, size, size) of one field of view."""
    pixels = torch.full((hu.shape[0],), pixel_mm, device=hu.device)
    metal = hu >= threshold_hu
    trace = trace_of(metal, radon)
    p = project(hu, radon, pixels)
    li = hu + reconstruct_difference(fill_trace(p, trace) - p, radon, pixels)
    saturated = torch.zeros_like(metal)
    if twelve_bit:
        saturated = saturated_pixels(hu, li, metal, depth_mm, pixel_mm)
    q = project(nmar_prior(li, metal, depth_mm > 0, pixel_mm), radon, pixels)
    q = q.clamp(min=_FLOOR_PIXELS * MU_WATER_PER_MM * pixel_mm)
    difference = torch.where(trace, fill_trace(p / q, trace) * q - p, torch.zeros_like(p))
    nmar = hu + reconstruct_difference(difference, radon, pixels)
    return Classical(metal, saturated, li, nmar)


@torch.no_grad()
def lost_share(
    hu: Tensor, metal: Tensor, saturated: Tensor, radon: Projector, pixel_mm: float
) -> float:
    """Share of the rays through the body that are lost, mean over the slices with metal."""
    chosen = metal.flatten(1).any(1)
    pixels = torch.full((int(chosen.sum()),), pixel_mm, device=hu.device)
    lost = lost_rays_of(metal[chosen], saturated[chosen], radon)
    body = (project(hu[chosen], radon, pixels) > _BODY_RAY) | lost
    return float((lost.sum((1, 2)) / body.sum((1, 2))).mean())
