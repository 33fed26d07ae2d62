"""Metal, traces, linear interpolation and NMAR on the GPU, as `spinemar.mar` does on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar.tomography.units import MU_WATER_PER_MM
from spinemar_training.radon import TorchRadon

AIR_HU, BONE_HU = -400.0, 225.0
FLOOR_PIXELS = 10.0


def to_mu(hu: Tensor) -> Tensor:
    """HU to attenuation per mm."""
    return MU_WATER_PER_MM * (1 + hu / 1000)


def project(hu: Tensor, radon: TorchRadon, pixel_mm: Tensor) -> Tensor:
    """Line integrals of HU images (n, size, size); `pixel_mm` is (n,)."""
    return radon.forward(to_mu(hu)) * pixel_mm[:, None, None]


def reconstruct_difference(difference: Tensor, radon: TorchRadon, pixel_mm: Tensor) -> Tensor:
    """HU change that a change of the sinogram (n, views, bins) makes."""
    mu = radon.fbp(difference) / pixel_mm[:, None, None]
    return mu * (1000 / MU_WATER_PER_MM)


def dilate_bins(trace: Tensor, bins: int = 1) -> Tensor:
    """Widen a boolean trace (n, views, bins) along the detector."""
    if bins == 0:
        return trace
    wide = F.max_pool1d(trace.float(), 2 * bins + 1, stride=1, padding=bins)
    return wide > 0.5


def trace_of(mask: Tensor, radon: TorchRadon, dilation: int = 1) -> Tensor:
    """Rays through a boolean mask (n, size, size): more than half a pixel of it, dilated."""
    return dilate_bins(radon.forward(mask.float()) > 0.5, dilation)


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
    metal_trace: Tensor
    lost_trace: Tensor
    sinogram: Tensor
    li: Tensor
    nmar: Tensor


def nmar_prior(li: Tensor, metal: Tensor) -> Tensor:
    """Classify tissue on the LI image: air, soft tissue, bone with its own HU."""
    smooth = _smooth(li, 1.0)
    soft = torch.zeros_like(smooth)
    prior = torch.where(smooth < AIR_HU, torch.full_like(smooth, -1000.0), soft)
    prior = torch.where(smooth > BONE_HU, smooth, prior)
    return torch.where(metal, soft, prior)


def saturated_pixels(
    hu: Tensor, metal: Tensor, depth_mm: Tensor, gas: Tensor, pixel_mm: float
) -> Tensor:
    """Pixels at the low clip that streaks explain (TRAINING notes: within 30 mm of metal)."""
    reach = max(1, round(30.0 / pixel_mm))
    near = metal.float()[:, None]
    near = F.max_pool2d(near, (2 * reach + 1, 1), 1, (reach, 0))
    near = F.max_pool2d(near, (1, 2 * reach + 1), 1, (0, reach))[:, 0] > 0.5
    return (hu <= -1000) & near & (depth_mm > 10) & ~gas


@torch.no_grad()
def classical(
    hu: Tensor,
    radon: TorchRadon,
    pixel_mm: Tensor,
    threshold_hu: float,
    depth_mm: Tensor,
    gas: Tensor,
) -> Classical:
    """Run LI and NMAR as difference images on slices of one field of view."""
    metal = hu > threshold_hu
    saturated = saturated_pixels(hu, metal, depth_mm, gas, float(pixel_mm[0]))
    trace = trace_of(metal, radon)
    lost = trace | trace_of(saturated, radon, 0)
    p = project(hu, radon, pixel_mm)
    li = hu + reconstruct_difference(fill_trace(p, trace) - p, radon, pixel_mm)
    prior = nmar_prior(li, metal)
    q = project(prior, radon, pixel_mm)
    q = q.clamp(min=FLOOR_PIXELS * MU_WATER_PER_MM * float(pixel_mm[0]))
    normalised = fill_trace(p / q, trace) * q
    difference = torch.where(trace, normalised - p, torch.zeros_like(p))
    nmar = hu + reconstruct_difference(difference, radon, pixel_mm)
    return Classical(metal, saturated, trace, lost, p, li, nmar)
