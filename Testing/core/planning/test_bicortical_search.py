"""Bicortical screws in bone whose walls are known: only the cortex at the tip may be passed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.trajectories.scores import Pedicle, score
from spinemar.planning.trajectories.targets import Target

BACK, FRONT, AXIS_X, RADIUS = -42.0, 17.0, 12.0, 3.25
LENGTH = FRONT - BACK + 1.0  # the tip passes the front by 1 mm
STEP = 0.5


def field_with_step(frame, step_mm, wall_mm):
    """Bone up to a flat front, whose side is `wall_mm` beside the axis in the last `step_mm`."""
    axes = [np.arange(-40, 45, STEP), np.arange(-50, 30, STEP), np.arange(-30, 40, STEP)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    # What is cut away beside the axis: a quarter of space with its corner there.
    into_side, into_step = x - (AXIS_X + wall_mm), y - (FRONT - step_mm)
    away = np.where(
        (into_side > 0) & (into_step > 0),
        np.minimum(into_side, into_step),
        -np.hypot(np.minimum(into_side, 0), np.minimum(into_step, 0)),
    )
    outside = np.maximum.reduce([y - FRONT, BACK - y, np.abs(x) - 39.0, np.abs(z) - 29.0, away])
    return BoneField(outside.astype(np.float32), np.array([-40.0, -50.0, -30.0]), frame, STEP)


def margin_mm(column, step_mm, wall_mm, lean_deg=0.0):
    frame = column.vertebra("L1")
    model = load_catalogue().screw("generic-polyaxial")
    model = replace(model, diameters_mm=(2 * RADIUS,), lengths_mm=(LENGTH,))
    pedicle = Pedicle(
        field_with_step(frame, step_mm, wall_mm),
        frame.pedicles["right"],
        Target(0.0, 0.0, longest_mm=70.0),
        model,
        bicortical=True,
    )
    found = score(pedicle, np.array([[0.0, lean_deg, 0.0, 0.0]]))
    assert found.length_mm[0] == LENGTH
    return float(found.margin_mm[0])


def test_the_front_is_passed_freely(column):
    # Looked at from 6 mm before it.
    assert margin_mm(column, 0.0, 30.0) == pytest.approx(6.0 - RADIUS, abs=0.2)


@pytest.mark.parametrize("wall", [1.0, 2.0, 2.8])
@pytest.mark.parametrize("step", [3.0, 4.5])
def test_a_side_wall_just_before_the_tip_counts(column, step, wall):
    before = np.arange(1.0, 9.0)  # the front: sampled every millimetre
    to_corner = np.maximum(before - step, 0.0)
    depth = np.hypot(wall, to_corner)
    tapered = RADIUS * (0.25 + 0.75 * np.clip((before + 1.0) / 5.0, 0.0, 1.0))
    counted = (before >= 6.0) | (depth <= before - 1.0)
    expected = (depth - tapered)[counted].min()
    assert margin_mm(column, step, wall) == pytest.approx(expected, abs=0.2)
    assert expected < -0.2


def test_a_wall_as_far_as_the_screw_is_thick_does_not_count(column):
    assert margin_mm(column, 4.5, RADIUS + 0.5) == pytest.approx(0.5, abs=0.2)
