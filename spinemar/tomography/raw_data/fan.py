"""Fan beams with an arc or a flat detector, full or short scan.

A ray of view angle beta and fan angle gamma is the parallel ray theta = beta + gamma,
r = R sin(gamma), where R is the distance from the source to the centre of rotation; the source
stands at R (-sin(beta), cos(beta)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.geometry import STANDARD_BINS

Detector = Literal["arc", "flat"]


@dataclass(frozen=True)
class FanGeometry:
    """A fan-beam sinogram.

    Parameters
    ----------
    source_mm : float
        From the focal spot to the centre of rotation.
    n_views : int
        Measured views, at angles 2 pi v / views_per_turn.
    views_per_turn : int
        Views of a full turn; fewer `n_views` make a short scan.
    n_bins : int
        Detector bins, symmetric about the central ray.
    bin_mm : float
        Bin width at the centre of rotation: equal angles (bin_mm / source_mm) on an arc,
        equal distances on a flat detector.
    detector : {"arc", "flat"}
        Equiangular or equidistant bins.
    """

    source_mm: float
    n_views: int
    views_per_turn: int
    n_bins: int
    bin_mm: float
    detector: Detector = "arc"

    def __post_init__(self) -> None:
        numbers = (self.source_mm, self.bin_mm)
        if not all(0.0 < number < np.inf for number in numbers) or self.n_bins < 2:
            raise GeometryError(
                f"A fan of {self.n_bins} bins of {self.bin_mm} mm, {self.source_mm} mm from the "
                "source, cannot exist.",
                "Give at least two bins and positive, finite distances.",
            )
        if self.detector not in ("arc", "flat"):
            raise GeometryError(f"There is no detector {self.detector!r}.", "Use 'arc' or 'flat'.")
        if self.half_fan_rad >= np.pi / 2:
            raise GeometryError(
                "The fan opens to half a turn or more.", "Check bin width and source distance."
            )
        if not self.shortest_scan <= self.n_views <= self.views_per_turn:
            raise GeometryError(
                f"{self.n_views} of {self.views_per_turn} views do not measure every ray: half a "
                f"turn and the fan angle are needed.",
                f"Measure {self.shortest_scan} to {self.views_per_turn} views.",
            )

    @classmethod
    def covering(
        cls,
        radius_mm: float,
        *,
        source_mm: float = 570.0,
        views_per_turn: int = 1440,
        n_bins: int = STANDARD_BINS,
        detector: Detector = "arc",
        short: bool = False,
    ) -> FanGeometry:
        """Choose a fan that sees a circle of `radius_mm` about the centre of rotation.

        Raises
        ------
        GeometryError
            If the circle does not fit between source and detector.
        """
        if radius_mm >= 0.95 * source_mm:
            raise GeometryError(
                f"A field of {2 * radius_mm:.0f} mm does not fit a source {source_mm:.0f} mm from "
                "the centre.",
                "Use a smaller field of view or a larger source distance.",
            )
        half = np.arcsin(radius_mm / source_mm)
        edge = source_mm * (half if detector == "arc" else np.tan(half))
        bin_mm = float(2.0 * edge / (n_bins - 1))
        turn = cls(source_mm, views_per_turn, views_per_turn, n_bins, bin_mm, detector)
        if not short:
            return turn
        return cls(source_mm, turn.shortest_scan, views_per_turn, n_bins, bin_mm, detector)

    @property
    def shape(self) -> tuple[int, int]:
        """(views, bins)."""
        return self.n_views, self.n_bins

    @property
    def is_short(self) -> bool:
        """Whether less than a full turn was measured."""
        return self.n_views < self.views_per_turn

    @property
    def shortest_scan(self) -> int:
        """Views that half a turn plus the whole fan takes."""
        share = (np.pi + 2.0 * self.half_fan_rad) / (2.0 * np.pi)
        return min(self.views_per_turn, int(np.ceil(share * self.views_per_turn)) + 1)

    @property
    def view_angles_rad(self) -> NDArray[np.float64]:
        """Angle beta of each view, shape (n_views,)."""
        return np.asarray(2.0 * np.pi * np.arange(self.n_views) / self.views_per_turn)

    @property
    def fan_angles_rad(self) -> NDArray[np.float64]:
        """Angle gamma of each bin, shape (n_bins,)."""
        at_centre = (np.arange(self.n_bins) - (self.n_bins - 1) / 2) * self.bin_mm
        if self.detector == "arc":
            return np.asarray(at_centre / self.source_mm)
        return np.asarray(np.arctan(at_centre / self.source_mm))

    @property
    def half_fan_rad(self) -> float:
        """Fan angle of the detector's edge."""
        edge = self.n_bins / 2 * self.bin_mm / self.source_mm
        return float(edge if self.detector == "arc" else np.arctan(edge))

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Signed distance r of each bin's ray from the centre of rotation, shape (n_bins,)."""
        return np.asarray(self.source_mm * np.sin(self.fan_angles_rad))

    def subdivided(self, rays: int) -> FanGeometry:
        """Return the same fan with `rays` rays in each bin."""
        return FanGeometry(
            self.source_mm,
            self.n_views,
            self.views_per_turn,
            self.n_bins * rays,
            self.bin_mm / rays,
            self.detector,
        )


def parker_weights(fan: FanGeometry) -> NDArray[np.float32]:
    """Weight of each measured ray so that every line counts once.

    Parameters
    ----------
    fan : FanGeometry

    Returns
    -------
    ndarray of float32, shape (n_views, n_bins)
        One half for a full turn. For a short scan Parker's smooth weights with the excess
        angle of the measured arc: the weights of the two rays that see one line sum to 1.
    """
    if not fan.is_short:
        return np.full(fan.shape, 0.5, dtype=np.float32)
    beta = fan.view_angles_rad[:, None]
    gamma = fan.fan_angles_rad[None, :]
    arc = (fan.n_views - 1) * 2.0 * np.pi / fan.views_per_turn
    excess = (arc - np.pi) / 2.0  # at least the half fan
    # The line seen at (beta, gamma) is seen again at (beta + pi + 2 gamma, -gamma).
    rise = np.clip(beta / np.maximum(2.0 * (excess - gamma), 1e-9), 0.0, 1.0)
    fall = np.clip((arc - beta) / np.maximum(2.0 * (excess + gamma), 1e-9), 0.0, 1.0)
    weights = np.sin(0.5 * np.pi * rise) ** 2 * np.sin(0.5 * np.pi * fall) ** 2
    return np.asarray(weights, dtype=np.float32)
