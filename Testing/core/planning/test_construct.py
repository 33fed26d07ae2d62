"""Constructs straight from pedicles: sizes, sides, tips, narrow pedicles."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.assemble import ConstructSettings, construct_from_pedicles
from spinemar.planning.trajectories.sites import sites_from_landmarks
from spinemar.planning.vectors import angle_deg


def landmarks(width_mm: float = 8.0) -> dict:
    vertebrae = []
    for n, level in enumerate(("T11", "T12", "L1", "L2")):
        z = -30.0 * n
        pedicles = {
            side: {
                "entry_ras": [sign * 17.0, -38.0, z],
                "isthmus_ras": [sign * 14.0, -24.0, z],
                "width_mm": width_mm,
            }
            for side, sign in (("left", -1.0), ("right", 1.0))
        }
        vertebrae.append(
            {"level": level, "body_centre_ras": [0, 0, z], "canal_centre_ras": [0, -24, z],
             "pedicles": pedicles}
        )  # fmt: skip
    return {"vertebrae": vertebrae}


def test_screws_follow_the_pedicles():
    sites = sites_from_landmarks(landmarks())
    plan = construct_from_pedicles(sites, load_catalogue(), ConstructSettings(with_crosslink=True))
    assert plan.levels == ("T11", "T12", "L1", "L2")
    assert len(plan.screws) == 8
    assert len(plan.rods) == 2
    assert len(plan.crosslinks) == 1
    for screw, site in zip(plan.screws, sites, strict=True):
        assert (screw.level, screw.side) == (site.level, site.side)
        assert screw.diameter_mm == 6.0  # 80 % of 8 mm is 6.4
        assert angle_deg(np.subtract(screw.tip, screw.entry), site.axis) < 1e-6
        # The body reaches from y = -16 to y = 16: the tip stays 4 mm behind its front.
        assert screw.tip[1] <= 12.0
        assert np.sign(screw.tip[0]) == np.sign(screw.entry[0])
        assert screw.grade is None


def test_left_is_the_patients_left():
    plan = construct_from_pedicles(sites_from_landmarks(landmarks()), load_catalogue())
    assert all((screw.entry[0] < 0) == (screw.side == "left") for screw in plan.screws)
    assert {rod.side: np.mean(rod.control_points, axis=0)[0] < 0 for rod in plan.rods} == {
        "left": True, "right": False}  # fmt: skip


def test_too_narrow_a_pedicle_says_so():
    plan = construct_from_pedicles(sites_from_landmarks(landmarks(width_mm=3.0)), load_catalogue())
    assert not plan.screws
    assert len(plan.warnings) == 8
    assert "too narrow" in plan.warnings[0]


def test_landmarks_of_another_kind_are_refused():
    with pytest.raises(InputError):
        sites_from_landmarks({"vertebrae": [{"level": "T12"}]})
