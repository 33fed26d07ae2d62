"""The HU along a screw as a small drawing for its page of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spinemar.planning.grades.hu_profile import HuProfile

WIDTH, HEIGHT = 380, 110
_MARGIN = 4.0


@dataclass(frozen=True)
class ProfileChart:
    """A line in SVG coordinates, and the numbers at the ends of its axes."""

    points: str
    lowest_hu: str
    highest_hu: str
    depth_mm: str


def profile_chart(profile: HuProfile | None) -> ProfileChart | None:
    """Draw a profile; None where fewer than two of its points lie in the CT."""
    if profile is None:
        return None
    inside = np.isfinite(profile.hu)
    if inside.sum() < 2:
        return None
    depth, hu = profile.depth_mm[inside], profile.hu[inside]
    low, high = float(hu.min()), float(hu.max())
    last = float(profile.depth_mm[-1])
    x = _MARGIN + (WIDTH - 2 * _MARGIN) * depth / last
    y = HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * (hu - low) / max(high - low, 1.0)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return ProfileChart(line, f"{low:.0f}", f"{high:.0f}", f"{last:.0f}")
