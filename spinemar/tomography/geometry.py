"""The parallel-beam sinogram grid: its angles, its bins and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.units import MU_WATER_PER_MM

__all__ = [
    "BINS_PER_FOV",
    "MU_WATER_PER_MM",
    "STANDARD_BINS",
    "STANDARD_VIEWS",
    "SinogramGeometry",
    "grid_width_mm",
]

BINS_PER_FOV = 512
"""Bins across the field of view, whatever the pixel grid: one generator serves every matrix."""

STANDARD_BINS = 736
"""Bins of the standard grid: a square's diagonal (724), and some more."""

STANDARD_VIEWS = 720
"""Views of the standard grid over half a turn."""


def grid_width_mm(fov_mm: float) -> float:
    """Return what the standard grid's bins cover together; other numbers of bins cover the same."""
    return fov_mm / BINS_PER_FOV * STANDARD_BINS


@dataclass(frozen=True)
class SinogramGeometry:
    """A parallel-beam sinogram over half a turn.

    View v looks along the angle pi * v / n_views; bin b lies at
    r = (b - (n_bins - 1) / 2) * bin_mm, with r = x cos(theta) + y sin(theta), where
    x = (column - (columns - 1) / 2) * pixel width and y likewise with the row. So
    p(theta + pi, r) = p(theta, -r) is an exact flip of the bin axis.

    Parameters
    ----------
    n_views : int
        Views over [0, pi).
    n_bins : int
        Detector bins.
    bin_mm : float
        Bin width in mm.
    """

    n_views: int = STANDARD_VIEWS
    n_bins: int = STANDARD_BINS
    bin_mm: float = 1.0

    def __post_init__(self) -> None:
        if self.n_views < 1 or self.n_bins < 2 or not 0.0 < self.bin_mm < np.inf:
            raise GeometryError(
                f"A sinogram of {self.n_views} views and {self.n_bins} bins of "
                f"{self.bin_mm} mm cannot exist.",
                "Use at least one view, two bins and a positive, finite bin width.",
            )

    @classmethod
    def for_image(
        cls,
        shape: tuple[int, int],
        pixel_mm: tuple[float, float],
        *,
        n_views: int = STANDARD_VIEWS,
        n_bins: int = STANDARD_BINS,
    ) -> SinogramGeometry:
        """Choose the geometry for an image.

        Parameters
        ----------
        shape : (rows, columns)
        pixel_mm : (row spacing, column spacing) in mm
        n_views, n_bins : int

        Returns
        -------
        SinogramGeometry
            Bin width = field of view / 512, field of view = the longer side in mm. 736 bins
            then cover the whole diagonal (724 bins for a square).

        Raises
        ------
        GeometryError
            If the image has no size.

        Examples
        --------
        >>> geometry = SinogramGeometry.for_image((512, 512), (0.75, 0.75))
        >>> geometry.shape, geometry.bin_mm
        ((720, 736), 0.75)
        """
        if min(shape) < 1 or not all(0.0 < p < np.inf for p in pixel_mm):
            raise GeometryError(
                f"An image of {shape} pixels of {pixel_mm} mm cannot be projected.",
                "Check matrix size and pixel spacing in the file's header.",
            )
        fov_mm = max(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1])
        return cls(n_views=n_views, n_bins=n_bins, bin_mm=fov_mm / BINS_PER_FOV)

    @property
    def shape(self) -> tuple[int, int]:
        """(views, bins)."""
        return self.n_views, self.n_bins

    @property
    def angles_rad(self) -> NDArray[np.float64]:
        """Angles of the views, shape (n_views,), over [0, pi)."""
        return np.arange(self.n_views, dtype=np.float64) * (np.pi / self.n_views)

    @property
    def bins_mm(self) -> NDArray[np.float64]:
        """Signed distance of each bin from the centre of rotation, shape (n_bins,), mm."""
        return (np.arange(self.n_bins, dtype=np.float64) - (self.n_bins - 1) / 2) * self.bin_mm
