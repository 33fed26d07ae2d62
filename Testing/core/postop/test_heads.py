"""The head behind a short piece of a shank tells the screw's direction, where the piece cannot."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.implants.shapes.solids import unit
from spinemar.planning.vectors import angle_deg
from spinemar.postop.heads import direction_from_head
from spinemar.postop.metal_share import MetalShare
from Testing.core.postop import patient

GEOMETRY = patient.grid((0.8, 0.8, 5.0))
_SEEN_MM = 12.0


@pytest.fixture(scope="module")
def screw():
    return patient.operated(rods=False).screw("L1-left")


def metal_without_its_middle(screw, lost_mm, head=True):
    """Metal of the operation in which of one shank the front is left, before what is lost."""
    share = patient.metal_of(patient.operated(rods=False), GEOMETRY).share.copy()
    points = patient.places(GEOMETRY)
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    depth = (points - screw.entry) @ axis
    away = np.linalg.norm(points - screw.entry - depth[..., None] * axis, axis=-1)
    share[(away < 9.0) & (depth > (1.0 if head else -30.0)) & (depth < 1.0 + lost_mm)] = 0.0
    share[(away < 9.0) & (depth > 1.0 + lost_mm + _SEEN_MM)] = 0.0
    return MetalShare(share, GEOMETRY)


def piece_of(screw, lost_mm, turned_deg):
    """Its middle on the screw's axis, and a direction that is off."""
    axis = unit(np.subtract(screw.tip, screw.entry))
    middle = np.asarray(screw.entry) + axis * (1.0 + lost_mm + _SEEN_MM / 2)
    aside = unit(np.cross(axis, (0.0, 0.0, 1.0)))
    turn = np.radians(turned_deg)
    return middle, np.cos(turn) * axis + np.sin(turn) * aside, axis


@pytest.mark.parametrize("turned_deg", [-14.0, -5.0, 0.0, 9.0, 14.0])
@pytest.mark.parametrize("lost_mm", [11.0, 14.0, 18.0])
def test_the_direction_is_that_from_the_head(screw, lost_mm, turned_deg):
    metal = metal_without_its_middle(screw, lost_mm)
    middle, seems, axis = piece_of(screw, lost_mm, turned_deg)
    found = direction_from_head(middle, seems, metal, -_SEEN_MM / 2)
    assert found is not None
    assert angle_deg(found, axis) < 5.0


def test_without_a_head_nothing_is_told(screw):
    metal = metal_without_its_middle(screw, 14.0, head=False)
    middle, seems, _ = piece_of(screw, 14.0, 5.0)
    assert direction_from_head(middle, seems, metal, -_SEEN_MM / 2) is None


def test_a_head_far_beside_the_piece_is_another_screws(screw):
    metal = metal_without_its_middle(screw, 14.0)
    middle, seems, _ = piece_of(screw, 14.0, 40.0)
    assert direction_from_head(middle, seems, metal, -_SEEN_MM / 2) is None


def test_a_wire_behind_it_is_no_head(screw):
    metal = metal_without_its_middle(screw, 14.0, head=False)
    share, points = metal.share.copy(), patient.places(GEOMETRY)
    wire = np.hypot(points[..., 1] - screw.entry[1], points[..., 2] - screw.entry[2]) < 1.5
    share[wire & (np.abs(points[..., 0] - screw.entry[0]) < 20.0)] = 0.6
    middle, seems, _ = piece_of(screw, 14.0, 0.0)
    found = direction_from_head(middle, seems, MetalShare(share, GEOMETRY), -_SEEN_MM / 2)
    assert found is None
