"""The CT scanner on the GPU: polychromatic rays, noise, scatter, starvation, reconstruction.

The physics follows `spinemar.physics` (same tables, same effects); the constants of the scanner
are drawn anew for every slab, so that no single scanner is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from spinemar.physics.spectra import Beam, detected_beam
from spinemar.tomography.geometry import grid_width_mm
from spinemar.tomography.units import MU_WATER_PER_MM
from spinemar_training.projectors.nufft import NufftRadon
from spinemar_training.projectors.radon import TorchRadon

BODY = ("water", "cortical_bone")
_WIDE_TAPS = 24


@dataclass(frozen=True)
class Scanner:
    """One draw of a scanner's constants."""

    kvp: int
    n_energies: int
    photons: float
    electronic_noise: float
    focal_blur_bins: float
    view_blur: float
    scatter: float
    scatter_corrected: float
    floor_photons: float
    kernel_boost: float
    kernel_cutoff: float
    kernel_power: float
    clip_hu: tuple[float, float]
    bone_fraction_top_hu: float


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Draw a scanner from the range of clinical ones."""
    extended = rng.random() < 0.3
    if extended:
        clip = (-10240.0, 22000.0) if rng.random() < 0.6 else (-8192.0, 31743.0)
    else:
        clip = (-1024.0, 3071.0)
    return Scanner(
        kvp=int(rng.choice([80, 100, 120, 140], p=[0.05, 0.2, 0.5, 0.25])),
        n_energies=int(rng.integers(12, 20)),
        photons=float(np.exp(rng.uniform(np.log(8e4), np.log(2.5e6)))),
        electronic_noise=float(rng.uniform(2, 15)),
        focal_blur_bins=float(rng.uniform(0.2, 0.9)),
        view_blur=float(rng.uniform(0, 0.3)),
        scatter=float(rng.uniform(0, 0.06)),
        scatter_corrected=float(rng.uniform(0.6, 1.1)),
        floor_photons=float(np.exp(rng.uniform(np.log(0.5), np.log(20)))),
        kernel_boost=float(max(0.0, rng.normal(0.05, 0.25))),
        kernel_cutoff=float(rng.uniform(0.65, 1.0)),
        kernel_power=float(rng.uniform(0.3, 1.3)),
        clip_hu=clip,
        bone_fraction_top_hu=float(rng.uniform(1200, 1900)),
    )


def _gaussian(signal: Tensor, sigma: float) -> Tensor:
    """Blur along the last axis."""
    if sigma < 0.05:
        return signal
    radius = max(1, round(3 * sigma))
    if radius > _WIDE_TAPS:
        return _wide_gaussian(signal, sigma, radius)
    taps = torch.arange(-radius, radius + 1, device=signal.device, dtype=signal.dtype)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = signal.reshape(-1, 1, signal.shape[-1])
    return F.conv1d(F.pad(flat, (radius, radius), mode="replicate"), kernel[None, None]).reshape(
        signal.shape
    )


def _wide_gaussian(signal: Tensor, sigma: float, radius: int) -> Tensor:
    """Blur along the last axis by its transform, edges repeated: what scatter takes."""
    flat = signal.reshape(-1, 1, signal.shape[-1])
    padded = F.pad(flat, (radius, radius), mode="replicate")
    frequency = torch.fft.rfftfreq(padded.shape[-1], device=signal.device)
    response = torch.exp(-2 * (torch.pi * sigma * frequency) ** 2)
    blurred = torch.fft.irfft(torch.fft.rfft(padded) * response, n=padded.shape[-1])
    return blurred[..., radius:-radius].reshape(signal.shape)


def _decompose(hu: Tensor, top_hu: float) -> Tensor:
    """Split HU into water-like and bone-like relative amounts, (slices, 2, size, size)."""
    relative = (1 + hu / 1000).clamp(min=0)
    bone_share = ((hu - 100) / (top_hu - 100)).clamp(0, 1)
    mu_water, mu_bone = (float(v[0]) for v in _reference_mu())
    bone = bone_share * relative * (mu_water / mu_bone)
    return torch.stack([(1 - bone_share) * relative, bone], 1)


def _reference_mu() -> tuple[np.ndarray, np.ndarray]:
    from spinemar.physics.materials import mu_per_mm

    return mu_per_mm("water", [70.0]), mu_per_mm("cortical_bone", [70.0])


def transmission(lengths_mm: Tensor, mu: np.ndarray, signal: np.ndarray) -> Tensor:
    """Signal-weighted polychromatic transmission of lengths (n, materials, views, bins)."""
    total = torch.zeros_like(lengths_mm[:, 0])
    for energy in range(len(signal)):
        exponent = sum(lengths_mm[:, m] * -float(mu[m, energy]) for m in range(len(mu)))
        total += torch.exp(exponent) * float(signal[energy])
    return total


class WaterCorrection:
    """Beam-hardening correction that makes water read true, by a polynomial in p."""

    def __init__(self, mu_water: np.ndarray, signal: np.ndarray) -> None:
        thickness = np.linspace(0, 700, 1400)
        poly = -np.log(np.exp(-np.outer(thickness, mu_water)) @ signal)
        mono = thickness * MU_WATER_PER_MM
        scale = poly.max()
        self._scale = float(scale)
        powers = np.stack([(poly / scale) ** n for n in range(1, 6)], 1)
        self._weights = np.linalg.lstsq(powers, mono, rcond=None)[0]

    def __call__(self, p: Tensor) -> Tensor:
        inside = (p / self._scale).clamp(max=1.0)
        total = torch.zeros_like(p)
        for weight in self._weights[::-1]:
            total = (total + float(weight)) * inside
        slope = float(np.dot(self._weights, np.arange(1, 6))) / self._scale
        return total + (p - self._scale).clamp(min=0) * slope


def detect(
    transmission: Tensor, noise: tuple[Tensor, Tensor], scanner: Scanner, bowtie: Tensor
) -> Tensor:
    """Turn ideal transmission into measured line integrals (before water correction)."""
    signal = _gaussian(transmission, scanner.focal_blur_bins)
    if scanner.view_blur > 0:
        share = scanner.view_blur / 2
        rolled = torch.roll(signal, 1, 1) + torch.roll(signal, -1, 1)
        rolled[:, 0] = signal[:, 0] + signal[:, 1]
        rolled[:, -1] = signal[:, -1] + signal[:, -2]
        signal = signal * (1 - 2 * share) + rolled * share
    photons = scanner.photons * bowtie
    source = signal * -torch.log(signal.clamp(min=1e-9))
    scatter = _gaussian(source, signal.shape[-1] / 16) * scanner.scatter
    total = signal + scatter
    quantum, electronic = noise
    counts = total * photons
    counts = counts + quantum * counts.clamp(min=0).sqrt() + electronic * scanner.electronic_noise
    counts = counts - scatter * photons * scanner.scatter_corrected
    counts = counts.clamp(min=0) + scanner.floor_photons * torch.exp(
        -counts.clamp(min=0) / scanner.floor_photons
    )
    return -torch.log(counts / photons)


def kernel_window(radon: TorchRadon | NufftRadon, scanner: Scanner, reach: float = 1.0) -> Tensor:
    """Window of the reconstruction kernel, at the projector's frequencies times `reach`."""
    f = radon.frequencies() * reach
    taper = 0.5 + 0.5 * torch.cos(torch.pi * (f / scanner.kernel_cutoff).clamp(max=1))
    return (1 + 2.5 * scanner.kernel_boost * f) * taper**scanner.kernel_power


@dataclass(frozen=True)
class Projectors:
    """The projectors of the scanner (fine grid) and of its reconstruction (image grid)."""

    fine: TorchRadon | NufftRadon
    coarse: TorchRadon | NufftRadon


def detector_bins(size: int) -> int:
    """Bins, as wide as pixels, that see an image of `size` pixels from everywhere."""
    return 2 * round(grid_width_mm(size) / 2)


def make_projectors(size: int, n_views: int, device: torch.device | str) -> Projectors:
    """Build them for an image of `size` pixels: the scan runs on twice as fine a grid."""
    bins = detector_bins(size)
    return Projectors(
        TorchRadon(2 * size, n_views, 2 * bins, device=device),
        TorchRadon(size, n_views, bins, device=device),
    )


@torch.no_grad()
def scan(
    hu: Tensor,
    metals: dict[str, Tensor],
    pixel_mm: float,
    scanner: Scanner,
    projectors: Projectors,
    targeted: bool,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Scan slices with and without their metal; both share their noise ray by ray.

    Parameters
    ----------
    hu : Tensor, shape (slices, 2 size, 2 size)
        On the fine grid of pixels of `pixel_mm`.
    metals : dict of str to Tensor, same shape
        Volume fractions.
    targeted : bool
        Reconstruct the fine grid (for a targeted field of view) instead of the image grid.

    Returns
    -------
    with_metal, without_metal : Tensor, shape (slices, size or 2 size, same), HU, unclipped
    """
    body = _decompose(hu, scanner.bone_fraction_top_hu)
    maps = [body * _free(hu, metals)[:, None], *(m[:, None] for m in metals.values()), body]
    beam, mu = _beam(scanner, metals)
    lengths = _lengths(maps, projectors, pixel_mm)
    through = [
        transmission(lengths[:, :-2], mu, beam.signal),
        transmission(lengths[:, -2:], mu[:2], beam.signal),
    ]
    del lengths, maps
    images = _images(through, beam, mu, pixel_mm, scanner, projectors, targeted, generator)
    return images[0], images[1]


@torch.no_grad()
def scan_metal(
    hu: Tensor,
    metals: dict[str, Tensor],
    pixel_mm: float,
    scanner: Scanner,
    projectors: Projectors,
    targeted: bool,
    generator: torch.Generator,
) -> Tensor:
    """As `scan`, but with metal alone, at half the cost."""
    body = _decompose(hu, scanner.bone_fraction_top_hu)
    maps = [body * _free(hu, metals)[:, None], *(m[:, None] for m in metals.values())]
    beam, mu = _beam(scanner, metals)
    through = [transmission(_lengths(maps, projectors, pixel_mm), mu, beam.signal)]
    return _images(through, beam, mu, pixel_mm, scanner, projectors, targeted, generator)[0]


def _free(hu: Tensor, metals: dict[str, Tensor]) -> Tensor:
    """Share of each pixel that no metal takes."""
    return 1 - torch.clamp(sum(metals.values()), max=1) if metals else torch.ones_like(hu)


def _beam(scanner: Scanner, metals: dict[str, Tensor]) -> tuple[Beam, np.ndarray]:
    names = [*BODY, *metals]
    beam = detected_beam(scanner.kvp, names, n_groups=scanner.n_energies)
    return beam, beam.mu_table(names)


def _lengths(maps: list[Tensor], projectors: Projectors, pixel_mm: float) -> Tensor:
    """Path lengths (slices, maps, views, bins), mm."""
    stack = torch.cat(maps, 1)
    lengths = projectors.fine.forward(stack.reshape(-1, *stack.shape[2:])) * pixel_mm
    return lengths.reshape(len(stack), -1, *lengths.shape[1:])


def _images(
    through: list[Tensor],
    beam: Beam,
    mu: np.ndarray,
    pixel_mm: float,
    scanner: Scanner,
    projectors: Projectors,
    targeted: bool,
    generator: torch.Generator,
) -> list[Tensor]:
    """HU of transmissions (slices, views, fine bins) that share their noise ray by ray."""
    if not targeted:
        through = [0.5 * (t[..., 0::2] + t[..., 1::2]) for t in through]
    shape, device = through[0].shape, through[0].device
    noise = tuple(torch.randn(shape, device=device, generator=generator) for _ in range(2))
    radius = torch.linspace(-1, 1, shape[-1], device=device)
    bowtie = 1 - 0.75 * (1 - torch.exp(-2.5 * radius**2))
    correct = WaterCorrection(mu[0], beam.signal)
    projector = projectors.fine if targeted else projectors.coarse
    pixel = pixel_mm if targeted else 2 * pixel_mm
    window = kernel_window(projector, scanner, 2.0 if targeted else 1.0)
    images = []
    for each in through:
        p = correct(detect(each, noise, scanner, bowtie))
        images.append(1000 * (projector.fbp(p, window) / pixel / MU_WATER_PER_MM - 1))
    return images
