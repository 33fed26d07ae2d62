"""The small drawing of the HU along a screw."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.planning.grades.hu_profile import HuProfile
from spinemar.planning.report.profilechart import HEIGHT, WIDTH, profile_chart


def profile(hu: list[float]) -> HuProfile:
    depth = np.linspace(0.0, 40.0, len(hu))
    return HuProfile(depth, np.array(hu), 0.0, 0.0, 0.0, 0.0)


def test_the_line_runs_from_entry_to_tip_and_from_lowest_to_highest():
    chart = profile_chart(profile([100.0, 400.0, 250.0]))
    assert chart is not None
    points = np.array([[float(x) for x in p.split(",")] for p in chart.points.split()])
    assert (np.diff(points[:, 0]) > 0).all()
    assert points.min() >= 0
    assert points[:, 0].max() <= WIDTH
    assert points[:, 1].max() <= HEIGHT
    assert points[1, 1] < points[2, 1] < points[0, 1]  # SVG counts downwards
    assert points[2, 1] == pytest.approx((points[0, 1] + points[1, 1]) / 2)
    assert (chart.lowest_hu, chart.highest_hu, chart.depth_mm) == ("100", "400", "40")


def test_what_lies_outside_the_ct_is_left_out():
    chart = profile_chart(profile([np.nan, 100.0, 120.0]))
    assert chart is not None
    assert len(chart.points.split()) == 2
    assert profile_chart(profile([np.nan, np.nan, 120.0])) is None
    assert profile_chart(None) is None


def test_a_flat_profile_is_drawn():
    chart = profile_chart(profile([50.0, 50.0]))
    assert chart is not None
    assert "nan" not in chart.points
