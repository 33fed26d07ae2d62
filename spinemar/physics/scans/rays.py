"""Where a scanner's rays run, and the way back to the parallel sinogram that is reconstructed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.tomography.geometry import SinogramGeometry, grid_width_mm
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.rebinning import fan_to_parallel, parallel_to_fan


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
        """Distance (rays,) of each ray from the centre of rotation, `oversampling` rays a bin."""

    def cast(self, sinograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take line integrals (n, views, bins of `projected`) to rays (n, views, rays)."""

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
        """Distance (rays,) of each ray from the centre of rotation."""
        return self.projected.bins_mm

    def cast(self, sinograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the line integrals (n, views, rays) as they are."""
        return sinograms

    def rebin(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the projections (n, views, bins) as they are."""
        return projections


@dataclass(frozen=True)
class FanRays:
    """Rays of a fan beam, rebinned to parallel ones before the reconstruction."""

    projected: SinogramGeometry
    reconstructed: SinogramGeometry
    fan: FanGeometry
    oversampling: int

    @property
    def shape(self) -> tuple[int, int]:
        """(views, bins) of the measured data."""
        return self.fan.shape

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Distance (rays,) of each ray from the centre of rotation."""
        return self.fan.subdivided(self.oversampling).offsets_mm

    def cast(self, sinograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take line integrals (n, views, bins) to the fan's rays (n, views, rays)."""
        rays = self.fan.subdivided(self.oversampling)
        return np.stack([parallel_to_fan(each, self.projected, rays) for each in sinograms])

    def rebin(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rebin the fan (n, views, bins) to parallel rays (n, views, bins)."""
        return fan_to_parallel(projections, self.fan, self.reconstructed)


def ray_layout(
    shape: tuple[int, int], pixel_mm: tuple[float, float], settings: ScannerSettings
) -> ParallelRays | FanRays:
    """Choose the rays for an image and a scanner.

    736 bins are 1/512 of the field of view wide; other numbers of bins cover the same width.
    A fan has as many bins and twice the views (over its full turn). For a helical scan these
    are the rays of one turn.
    """
    fov_mm = max(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1])
    bin_mm = grid_width_mm(fov_mm) / settings.n_bins
    rays, views = settings.ray_oversampling, settings.n_views
    bins = SinogramGeometry(views, settings.n_bins, bin_mm)
    if settings.geometry == "parallel":
        return ParallelRays(SinogramGeometry(views, settings.n_bins * rays, bin_mm / rays), bins)
    diagonal_mm = float(np.hypot(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1]))
    fan = FanGeometry.covering(
        min(diagonal_mm / 2, 0.9 * settings.source_mm),
        source_mm=settings.source_mm,
        views_per_turn=2 * views,
        n_bins=settings.n_bins,
        detector="flat" if "flat" in settings.geometry else "arc",
        short=settings.geometry.endswith("short"),
    )
    # Twice the views: the fan samples its turn finely, and interpolation costs resolution.
    fine = SinogramGeometry(2 * views, settings.n_bins * rays, bin_mm / rays)
    return FanRays(fine, bins, fan, rays)
