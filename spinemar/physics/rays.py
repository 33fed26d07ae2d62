"""Where a scanner's rays run, and the way back to the parallel sinogram that is reconstructed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.settings import ScannerSettings
from spinemar.tomography.geometry import BINS_PER_FOV, SinogramGeometry

_STANDARD_BINS = 736


class RayLayout(Protocol):
    """The rays of one slice of a scanner."""

    @property
    def projected(self) -> SinogramGeometry:
        """Parallel rays onto which the slice's materials are projected first."""

    @property
    def reconstructed(self) -> SinogramGeometry:
        """Parallel sinogram that goes into the reconstruction."""

    @property
    def shape(self) -> tuple[int, int]:
        """(views, bins) of the measured data."""

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Distance of each ray from the centre of rotation, `oversampling` rays a bin."""

    def cast(self, sinograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take line integrals (n, views, bins of `projected`) to the scanner's rays."""

    def rebin(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take measured projections (views, bins) to the grid of `reconstructed`."""


@dataclass(frozen=True)
class ParallelRays:
    """Rays on the parallel grid itself."""

    projected: SinogramGeometry
    reconstructed: SinogramGeometry

    @property
    def shape(self) -> tuple[int, int]:
        """(views, bins) of the measured data."""
        return self.reconstructed.shape

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Distance of each ray from the centre of rotation."""
        return self.projected.bins_mm

    def cast(self, sinograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the line integrals as they are."""
        return sinograms

    def rebin(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the projections as they are."""
        return projections


def parallel_geometries(
    shape: tuple[int, int], pixel_mm: tuple[float, float], settings: ScannerSettings
) -> tuple[SinogramGeometry, SinogramGeometry]:
    """Return the fine grid of single rays and the grid of detector bins for an image.

    736 bins are 1/512 of the field of view wide; other numbers of bins cover the same width.
    """
    fov_mm = max(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1])
    bin_mm = fov_mm / BINS_PER_FOV * _STANDARD_BINS / settings.n_bins
    rays = settings.ray_oversampling
    bins = SinogramGeometry(settings.n_views, settings.n_bins, bin_mm)
    return SinogramGeometry(settings.n_views, settings.n_bins * rays, bin_mm / rays), bins


def ray_layout(
    shape: tuple[int, int], pixel_mm: tuple[float, float], settings: ScannerSettings
) -> RayLayout:
    """Choose the rays for an image and a scanner."""
    fine, bins = parallel_geometries(shape, pixel_mm, settings)
    return ParallelRays(fine, bins)
