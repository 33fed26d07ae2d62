"""The threaded shank of a screw: a tapering core with a helical trapezoid thread."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spinemar.implants.catalogue import Thread
from spinemar.implants.shapes.solids import Bounds, FloatArray, cylinder, dots, perpendicular, unit

# Radius of the blunt point, as a share of the outer radius.
_POINT_SHARE = 0.25

# So close to the thread its bound has one scale on both sides of the surface.
_EASE_MM = 0.15
# So close to the thread its angle counts.
_NEAR_MM = 0.3


def _eased(distance: FloatArray, scale: float) -> FloatArray:
    """Return distances that start with slope `scale` and go on with slope 1, odd in 0."""
    return np.where(distance < _EASE_MM, distance * scale, distance - _EASE_MM * (1.0 - scale))


@dataclass(frozen=True)
class ThreadedShank:
    """The shank from `entry` to `tip`.

    At a depth s and an angle phi around the axis its radius is
    core(s) + height(s) * profile(s / pitch - phi / 2 pi), with piecewise linear core
    and height, so that its volume has a closed form (`volume_mm3`).
    """

    entry: FloatArray
    tip: FloatArray
    diameter_mm: float
    thread: Thread

    @property
    def length_mm(self) -> float:
        """Distance from entry to tip."""
        return float(np.linalg.norm(self.tip - self.entry))

    def _knots(self) -> FloatArray:
        """Return depth, core radius and outer radius at the ends of the linear pieces."""
        outer = self.diameter_mm / 2
        core = outer * self.thread.core_ratio
        length = self.length_mm
        tip_start = length - min(self.thread.tip_mm, length / 2)
        narrowed = core * (1.0 - self.thread.core_taper * tip_start / length)
        point = outer * _POINT_SHARE
        return np.array(
            [
                [0.0, core, outer],
                [tip_start, narrowed, outer],
                [length, min(point, narrowed), point],
            ]
        )

    def radii_mm(self, depth: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return core and outer radius in mm at depths (any shape) along the shank in mm."""
        knots = self._knots()
        return (
            np.interp(depth, knots[:, 0], knots[:, 1]),
            np.interp(depth, knots[:, 0], knots[:, 2]),
        )

    def profile(self, turns: FloatArray) -> FloatArray:
        """Return the thread's relative height (0 to 1) at positions (any shape) in pitches."""
        flank, crest = self.thread.flank_fraction, self.thread.crest_fraction
        phase = np.abs((turns % 1.0) - 0.5)
        height: FloatArray = np.clip((flank + crest / 2 - phase) / flank, 0.0, 1.0)
        return height

    def _scales(self) -> tuple[float, float]:
        """Return by how much radial gaps overestimate distance: on a cone, on a flank."""
        knots = self._knots()
        slope = float(np.abs(np.diff(knots[:, 1:], axis=0) / np.diff(knots[:, :1], axis=0)).max())
        flank = float((knots[:, 2] - knots[:, 1]).max()) / self.thread.flank_fraction
        along = slope + flank / self.thread.pitch_mm
        around = flank / (2 * np.pi * float(knots[:, 1].min()))
        return float(np.hypot(1.0, slope)), float(np.sqrt(1.0 + along**2 + around**2))

    def distance(self, points: FloatArray) -> FloatArray:
        """See `Solid.distance`.

        Points (..., 3) in mm give distances (...) in mm.
        """
        axis = unit(self.tip - self.entry)
        relative = points - self.entry
        depth = dots(relative, axis)
        radial = np.sqrt(np.maximum(np.einsum("ij,ij->i", relative, relative) - depth**2, 0.0))
        core, outer = self.radii_mm(depth)
        on_cone, on_flank = self._scales()
        inner = -_eased((core - radial) / on_cone, on_cone / on_flank)
        outside = _eased((radial - outer) / on_cone, on_cone / on_flank)
        side = np.where(radial < core, inner, outside)
        near = (radial > core - _NEAR_MM) & (radial < outer + _NEAR_MM)
        if near.any():
            turns = self._turns(relative[near], axis)
            profile = self.profile(depth[near] / self.thread.pitch_mm - turns)
            gap = (radial - core)[near] - (outer - core)[near] * profile
            side[near] = np.minimum(np.maximum(gap / on_flank, outside[near]), inner[near])
        result: FloatArray = np.maximum(side, np.maximum(-depth, depth - self.length_mm))
        return result

    @staticmethod
    def _turns(relative: FloatArray, axis: FloatArray) -> FloatArray:
        """Return the angle around the axis in turns."""
        first = perpendicular(axis, np.eye(3)[np.argmin(np.abs(axis))])
        second = np.cross(axis, first)
        turns: FloatArray = np.arctan2(dots(relative, second), dots(relative, first)) / (2 * np.pi)
        return turns

    def bounds(self) -> Bounds:
        """See `Solid.bounds`."""
        return cylinder(self.entry, self.tip, self.diameter_mm / 2).bounds()

    def volume_mm3(self) -> float:
        """Return the exact volume: radius squared averaged over the angle, integrated."""
        flank, crest = self.thread.flank_fraction, self.thread.crest_fraction
        mean, square = crest + flank, crest + 2 * flank / 3
        knots = self._knots()
        total = 0.0
        for (s0, c0, o0), (s1, c1, o1) in pairwise(knots):
            h0, h1 = o0 - c0, o1 - c1
            core2 = (c0 * c0 + c0 * c1 + c1 * c1) / 3
            cross = (2 * c0 * h0 + c0 * h1 + c1 * h0 + 2 * c1 * h1) / 6
            height2 = (h0 * h0 + h0 * h1 + h1 * h1) / 3
            total += (s1 - s0) * (core2 + 2 * mean * cross + square * height2)
        return float(np.pi * total)
