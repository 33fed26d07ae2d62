"""How wide screws and rods look, against how wide they are.

The true edge of a shaft or rod is where metal fills half of the pixels along a profile across it.
It looks as wide as the profile of the image is above half of its maximum (from the tissue beside
it), or as the mask is along that profile. On a scale that ends below the metal's value the
maximum is the clip, and voxels that metal fills by a fifth are above its half: even the truth,
clipped, looks half a millimetre (rods) to a millimetre (threads) too wide. A mask does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.axial import find_axial_slices
from spinemar.implants.placement import Construct, Rod, Screw
from spinemar.implants.shapes.rod import rod_curve
from spinemar.implants.shapes.screw import shank_axis
from spinemar.volume import GridGeometry

STEP_MM = 0.1
_REACH_MM = 14.0
_STATION_MM = 1.0
# The tulip hides the shaft near its entry; the tip is tapered.
_FROM_ENTRY_MM, _TO_TIP_MM = 6.0, 6.0
# A slice shows the whole diameter only where it runs near the axis.
_SHAFT_IN_SLICE = 0.2
_FEWEST = 4
_ROD_DIRECTIONS = 12
# A rod that runs through a tulip, or grazes it, cannot be measured: so far about the head's middle.
_HEAD_FROM_ENTRY_MM, _HEAD_MM = 9.0, 11.0
# What the slice shows must be the part itself, not a tulip around it.
_USABLE = (0.5, 1.3)
_BESIDE_MM = (3.0, 6.0)

Shown = NDArray[np.floating] | NDArray[np.bool_]


@dataclass(frozen=True)
class ImplantWidth:
    """One shaft or rod in the slices.

    Parameters
    ----------
    implant : str
        Identifier in the plan.
    kind : {"shaft", "rod"}
    true_mm, shown_mm : float
        Medians over the profiles; `shown_mm` is NaN where no edge can be seen.
    """

    implant: str
    kind: Literal["shaft", "rod"]
    true_mm: float
    shown_mm: float

    @property
    def error_mm(self) -> float:
        """How much too wide it looks."""
        return self.shown_mm - self.true_mm


@dataclass(frozen=True)
class WidthErrors:
    """Errors of several widths; NaN where there is none.

    Parameters
    ----------
    mean_mm : float
        Mean of |shown - true|.
    worst_mm : float
        Largest of |shown - true|.
    bias_mm : float
        Mean of shown - true.
    measured, unseen : int
        Parts with and without an edge.
    """

    mean_mm: float
    worst_mm: float
    bias_mm: float
    measured: int
    unseen: int

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None for NaN."""
        return {k: v if np.isfinite(v) else None for k, v in vars(self).items()}


def implant_widths(
    shown: Shown, metal_fraction: NDArray[np.floating], geometry: GridGeometry, plan: Construct
) -> tuple[ImplantWidth, ...]:
    """Measure every shaft that lies in a slice and every rod that crosses one.

    Parameters
    ----------
    shown : ndarray, shape (k, j, i)
        HU, or a boolean mask.
    metal_fraction : ndarray, shape (k, j, i)
        True share of each voxel that metal fills, 0 to 1.
    geometry : GridGeometry
    plan : Construct

    Returns
    -------
    tuple of ImplantWidth
        Parts that are hidden by others (a rod in its tulip) or out of the slices are left out.

    Raises
    ------
    GeometryError
        If the volume has no axial slices.
    """
    slices = _Slices(shown, metal_fraction, geometry)
    found = [_shaft(screw, slices) for screw in plan.screws]
    heads = np.array(
        [np.asarray(s.entry) - _HEAD_FROM_ENTRY_MM * shank_axis(s) for s in plan.screws]
    ).reshape(-1, 3)
    found += [_rod(rod, heads, slices) for rod in plan.rods]
    return tuple(one for one in found if one is not None)


def width_errors(widths: Sequence[ImplantWidth]) -> WidthErrors:
    """Sum up the errors of several parts."""
    errors = np.array([one.error_mm for one in widths], dtype=float)
    seen = errors[np.isfinite(errors)]
    if not seen.size:
        return WidthErrors(float("nan"), float("nan"), float("nan"), 0, len(errors))
    size = np.abs(seen)
    return WidthErrors(
        float(size.mean()),
        float(size.max()),
        float(seen.mean()),
        seen.size,
        errors.size - seen.size,
    )


def profile_width_mm(profile: NDArray[np.floating], level: float, step_mm: float) -> float:
    """Return the width of the part around the middle that is above a level; NaN if it never ends.

    Parameters
    ----------
    profile : ndarray, shape (n,)
    level : float
    step_mm : float
        Between samples; edges are interpolated linearly between them.
    """
    middle = len(profile) // 2
    near = max(1, round(1.5 / step_mm))
    start = middle - near + int(np.argmax(profile[middle - near : middle + near + 1]))
    if profile[start] <= level:
        return 0.0
    edges = []
    for direction in (-1, 1):
        n = start
        while 0 <= n + direction < len(profile) and profile[n + direction] > level:
            n += direction
        if not 0 <= n + direction < len(profile):
            return float("nan")
        inside, outside = float(profile[n]), float(profile[n + direction])
        edges.append(n + direction * (inside - level) / (inside - outside))
    return abs(edges[1] - edges[0]) * step_mm


@dataclass(frozen=True)
class _Slices:
    """Image, truth and grid; samples stay within the slice that is nearest."""

    shown: Shown
    fraction: NDArray[np.floating]
    geometry: GridGeometry

    def place(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Distance of points (n, 3) from the nearest slice in mm, and whether there is one."""
        layout = find_axial_slices(self.geometry)
        along = self.geometry.to_ijk(points)[:, 2 - layout.axis]
        nearest = np.rint(along)
        count = self.geometry.shape[layout.axis]
        return (along - nearest) * layout.spacing_mm, (nearest >= 0) & (nearest < count)

    def profiles(
        self, array: Shown, points: NDArray[np.float64], across: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sample an array across points (n, 3) along unit vectors (n, 3); shape (n, samples)."""
        count = round(_REACH_MM / STEP_MM)
        offsets = np.arange(-count, count + 1) * STEP_MM
        ijk = self.geometry.to_ijk(points[:, None] + offsets[:, None] * across[:, None])
        axis = find_axial_slices(self.geometry).axis
        where = [ijk[..., 2 - n] for n in range(3)]
        where[axis] = np.repeat(np.rint(where[axis][:, count])[:, None], len(offsets), axis=1)
        sampled = ndimage.map_coordinates(
            np.asarray(array, dtype=np.float64), where, order=1, mode="nearest"
        )
        return np.asarray(sampled)


def _shaft(screw: Screw, slices: _Slices) -> ImplantWidth | None:
    axis = shank_axis(screw)
    along = np.arange(_FROM_ENTRY_MM, screw.length_mm - _TO_TIP_MM + 1e-6, _STATION_MM)
    points = np.asarray(screw.entry) + along[:, None] * axis
    off, inside = slices.place(points)
    points = points[inside & (np.abs(off) < _SHAFT_IN_SLICE * screw.diameter_mm)]
    normal = np.array([-axis[1], axis[0], 0.0])
    across = np.broadcast_to(normal / max(np.linalg.norm(normal), 1e-9), points.shape)
    return _measure(screw.id, "shaft", screw.diameter_mm, points, across, slices)


def _rod(rod: Rod, heads: NDArray[np.float64], slices: _Slices) -> ImplantWidth | None:
    curve = rod_curve(rod.control_points)
    off, inside = slices.place(curve)
    free = np.linalg.norm(curve[:, None] - heads, axis=-1) > _HEAD_MM
    inside &= free.all(axis=1)
    crossing = np.flatnonzero(inside & (np.abs(off) < 0.3))
    if not crossing.size:
        return None
    # Where the rod crosses several slices, each crossing is measured.
    groups = np.split(crossing, np.flatnonzero(np.diff(crossing) > 1) + 1)
    centres = np.array([curve[group].mean(axis=0) for group in groups])
    angles = np.pi * np.arange(_ROD_DIRECTIONS) / _ROD_DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    points = np.repeat(centres, len(directions), axis=0)
    across = np.tile(directions, (len(centres), 1))
    return _measure(rod.id, "rod", rod.diameter_mm, points, across, slices)


def _measure(
    name: str,
    kind: Literal["shaft", "rod"],
    diameter_mm: float,
    points: NDArray[np.float64],
    across: NDArray[np.float64],
    slices: _Slices,
) -> ImplantWidth | None:
    if len(points) < _FEWEST:
        return None
    fraction = slices.profiles(slices.fraction, points, across)
    true = np.array([profile_width_mm(row, 0.5, STEP_MM) for row in fraction])
    low, high = (share * diameter_mm for share in _USABLE)
    usable = (true > low) & (true < high)
    # A rod is measured across all round; half of it hidden in a tulip is no rod.
    if usable.sum() < max(_FEWEST, (0.75 if kind == "rod" else 0.0) * len(points)):
        return None
    rows = slices.profiles(slices.shown, points[usable], across[usable])
    widths = [
        _shown_mm(row, width, slices.shown.dtype == bool)
        for row, width in zip(rows, true[usable], strict=True)
    ]
    seen = [width for width in widths if np.isfinite(width)]
    median = float(np.median(seen)) if len(seen) >= 0.5 * len(widths) else float("nan")
    return ImplantWidth(name, kind, float(np.median(true[usable])), median)


def _shown_mm(row: NDArray[np.float64], true_mm: float, is_mask: bool) -> float:
    if is_mask:
        return profile_width_mm(row, 0.5, STEP_MM)
    middle = len(row) // 2
    half = max(1, round(true_mm / 2 / STEP_MM))
    near, far = (round((true_mm / 2 + mm) / STEP_MM) for mm in _BESIDE_MM)
    beside = np.concatenate([row[middle - far : middle - near], row[middle + near : middle + far]])
    peak = float(row[middle - half : middle + half + 1].max())
    return profile_width_mm(row, 0.5 * (float(np.median(beside)) + peak), STEP_MM)
