"""Helical scans, single- and multi-slice, interpolated to circular fan-beam slices.

Every ray counts as lying in the transverse plane in which it crosses the axis of rotation
(the cone angle of a few detector rows is neglected, as 2-D helical methods do).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from spinemar.errors import GeometryError
from spinemar.tomography.raw_data.fan import FanGeometry

Interpolation = Literal["180", "360"]


@dataclass(frozen=True)
class HelicalGeometry:
    """A helical scan.

    Parameters
    ----------
    fan : FanGeometry
        One full turn of the fan.
    n_views : int
        Views of the whole scan; view v stands at angle 2 pi v / fan.views_per_turn.
    feed_mm : float
        Table travel along +z per turn.
    n_rows : int
        Detector rows.
    row_mm : float
        Row height at the centre of rotation.
    start_mm : float
        z of the middle of the detector at view 0.
    """

    fan: FanGeometry
    n_views: int
    feed_mm: float
    n_rows: int = 1
    row_mm: float = 1.0
    start_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.fan.is_short:
            raise GeometryError(
                "A helical scan needs a fan that turns fully.", "Describe one full turn."
            )
        if not (self.n_rows >= 1 and 0 < self.row_mm < np.inf and 0 < self.feed_mm < np.inf):
            raise GeometryError(
                f"A helix of {self.n_rows} rows of {self.row_mm} mm with {self.feed_mm} mm per "
                "turn cannot exist.",
                "Give at least one row and positive, finite distances.",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(views, rows, bins)."""
        return self.n_views, self.n_rows, self.fan.n_bins

    @property
    def rows_mm(self) -> NDArray[np.float64]:
        """Place of each row along z relative to the detector's middle, shape (n_rows,)."""
        return np.asarray((np.arange(self.n_rows) - (self.n_rows - 1) / 2) * self.row_mm)

    @property
    def views_mm(self) -> NDArray[np.float64]:
        """Place along z of the detector's middle at each view, shape (n_views,)."""
        turns = np.arange(self.n_views) / self.fan.views_per_turn
        return np.asarray(self.start_mm + self.feed_mm * turns)

    def reach_mm(self, method: Interpolation) -> tuple[float, float]:
        """Lowest and highest z that can be reconstructed."""
        fan = self.fan
        wait = 1.0 if method == "360" else 0.5 + 2.0 * fan.half_fan_rad / (2.0 * np.pi)
        half = self.rows_mm[-1]
        return (
            float(self.views_mm[0] + wait * self.feed_mm - half),
            float(self.views_mm[-1] - wait * self.feed_mm + half),
        )


def helical_to_fan(
    data: NDArray[np.floating],
    helix: HelicalGeometry,
    slices_mm: Sequence[float],
    method: Interpolation = "180",
) -> NDArray[np.float32]:
    """Interpolate helical data to circular full-turn fan sinograms.

    Parameters
    ----------
    data : ndarray, shape (n_views, n_rows, n_bins)
    helix : HelicalGeometry
    slices_mm : sequence of float
        z of the slices.
    method : {"180", "360"}
        Linear interpolation between the nearest rays above and below the slice: of the same
        direction only ("360"), or also of the opposite direction ("180"), whose slices are
        thinner and noisier.

    Returns
    -------
    ndarray of float32, shape (len(slices_mm), views_per_turn, n_bins)

    Raises
    ------
    GeometryError
        If a slice lies outside the scan's reach.
    """
    values = np.asarray(data, dtype=np.float32)
    if values.shape != helix.shape:
        raise GeometryError(
            f"Helical data of shape {values.shape} do not fit a geometry of {helix.shape}.",
            "Check the number of views, rows and bins.",
        )
    low, high = helix.reach_mm(method)
    slack = 1e-6 * helix.feed_mm
    for z in slices_mm:
        if not low - slack <= z <= high + slack:
            raise GeometryError(
                f"The slice at z = {z:.2f} mm lies outside the helical scan's reach of "
                f"{low:.2f} to {high:.2f} mm.",
                "Choose slices inside, or scan more turns.",
            )
    families = [_direct_rays(values, helix)]
    if method == "180":
        families.append(_opposite_rays(values, helix))
    return np.stack([_interpolate(families, helix, float(z)) for z in slices_mm])


@dataclass(frozen=True)
class _Rays:
    """Rays in order of the view they stand for, and where along z they were measured.

    `values` has shape (views, rows, bins); `first` is the view of the first entry; `z_mm`
    (views, bins) is the z of the detector's middle.
    """

    values: NDArray[np.float32]
    first: int
    z_mm: NDArray[np.float64]


def _direct_rays(data: NDArray[np.float32], helix: HelicalGeometry) -> _Rays:
    z = np.broadcast_to(helix.views_mm[:, None], (helix.n_views, helix.fan.n_bins))
    return _Rays(data, 0, z)


def _opposite_rays(data: NDArray[np.float32], helix: HelicalGeometry) -> _Rays:
    """For view beta and bin gamma, the ray measured at beta + pi + 2 gamma, bin -gamma."""
    fan = helix.fan
    turn = fan.views_per_turn
    later = (np.pi + 2.0 * fan.fan_angles_rad) / (2.0 * np.pi) * turn  # in views
    margin = int(np.ceil(np.abs(2.0 * fan.half_fan_rad) / (2.0 * np.pi) * turn)) + turn // 2 + 1
    # Entry i stands for view i - margin: rays measured at view 0 serve views before it.
    first = -margin
    count = helix.n_views + margin
    padded = np.concatenate((data[..., ::-1], np.repeat(data[-1:, ..., ::-1], 64, axis=0)))
    length = scipy.fft.next_fast_len(count + 128, real=True)
    spectrum = scipy.fft.rfft(_faded(padded, length), axis=0)
    cycles = np.arange(spectrum.shape[0])[:, None] / length
    shift = np.exp(2j * np.pi * cycles * (later + first)[None, :]).astype(np.complex64)
    spectrum *= shift[:, None, :]
    moved = scipy.fft.irfft(spectrum, n=length, axis=0)[:count]
    views = np.arange(first, first + count)[:, None] + later[None, :]
    z = helix.start_mm + helix.feed_mm * views / turn
    outside = (views < 0) | (views > helix.n_views - 1)
    return _Rays(np.asarray(moved, np.float32), first, np.where(outside, np.nan, z))


def _faded(data: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Extend the views to `length` by a ramp from the last to the first: no jump, no ringing."""
    missing = length - len(data)
    share = np.linspace(0.0, 1.0, missing + 2, dtype=np.float32)[1:-1, None, None]
    return np.concatenate((data, data[-1] * (1 - share) + data[0] * share))


def _candidates(
    family: _Rays, helix: HelicalGeometry, z_mm: float
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Yield full turns of rays near a slice: distances (views, bins) and values."""
    turn = helix.fan.views_per_turn
    reach = helix.feed_mm + helix.row_mm
    lowest = int(np.floor(family.first / turn))
    for number in range(lowest, int(np.ceil((family.first + len(family.values)) / turn))):
        start, stop = number * turn - family.first, (number + 1) * turn - family.first
        inside = slice(max(start, 0), min(stop, len(family.values)))
        views = slice(inside.start - start, inside.stop - start)
        middle = np.full((turn, helix.fan.n_bins), np.nan)
        middle[views] = family.z_mm[inside]
        for row, height in enumerate(helix.rows_mm):
            distance = middle + height - z_mm
            if not (np.abs(distance) <= reach).any():
                continue
            values = np.zeros((turn, helix.fan.n_bins), dtype=np.float32)
            values[views] = family.values[inside, row]
            yield distance, values


def _interpolate(
    families: Sequence[_Rays], helix: HelicalGeometry, z_mm: float
) -> NDArray[np.float32]:
    """Take, for every ray of a turn, the nearest measurements below and above the slice."""
    shape = (helix.fan.views_per_turn, helix.fan.n_bins)
    below = np.full(shape, -np.inf)
    above = np.full(shape, np.inf)
    value_below = np.zeros(shape, dtype=np.float32)
    value_above = np.zeros(shape, dtype=np.float32)
    for family in families:
        for distance, values in _candidates(family, helix, z_mm):
            nearer = (distance <= 0) & (distance > below)
            below[nearer], value_below[nearer] = distance[nearer], values[nearer]
            nearer = (distance >= 0) & (distance < above)
            above[nearer], value_above[nearer] = distance[nearer], values[nearer]
    has_below, has_above = np.isfinite(below), np.isfinite(above)
    gap = np.where(has_below & has_above, above - below, 1.0)
    weight_above = np.where(has_below, np.where(has_above, -below / np.maximum(gap, 1e-12), 0), 1)
    weight_above = np.where(gap < 1e-9, 0.5, weight_above)
    return np.asarray(value_below + weight_above * (value_above - value_below), dtype=np.float32)
