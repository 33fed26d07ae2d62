"""Angles of screws against their vertebra: closed forms, turned spines, both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemar.planning.trajectories.angles import (
    ScrewAngles,
    pedicle_width_mm,
    screw_angles,
    tip_at_angles,
)

TURNED = Rotation.from_euler("zyx", [-8.0, 12.0, 17.0], degrees=True)


@pytest.fixture(scope="module", params=[None, TURNED], ids=["upright", "turned"])
def vertebra(request, phantom):
    return phantom((2.0, 2.0, 2.0), None, "L1", request.param).vertebrae[0]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("inwards", "up"), [(0, 0), (20, 0), (-9, 25), (15, -12), (45, 30)])
def test_a_screw_turned_to_angles_has_them(vertebra, screw_in, side, inwards, up):
    screw = screw_in(vertebra, side)
    tip = tip_at_angles(screw, vertebra, ScrewAngles(inwards, up))
    assert np.linalg.norm(np.subtract(tip, screw.entry)) == pytest.approx(screw.length_mm)
    found = screw_angles(replace(screw, tip=tip), vertebra)
    assert (found.convergence_deg, found.cranial_deg) == pytest.approx((inwards, up), abs=1e-6)


def test_convergence_leads_to_the_midline_on_both_sides(vertebra, screw_in):
    for side in ("left", "right"):
        screw = screw_in(vertebra, side)
        turned = tip_at_angles(screw, vertebra, ScrewAngles(20.0, 10.0))
        outwards = 1.0 if side == "right" else -1.0
        before, after = (outwards * vertebra.to_local(p)[0] for p in (screw.tip, turned))
        inwards = 45 * np.sin(np.radians(20)) * np.cos(np.radians(10))
        assert before - after == pytest.approx(inwards)
        assert vertebra.to_local(turned)[2] > vertebra.to_local(screw.tip)[2]


def test_the_width_is_that_of_the_screws_own_pedicle(vertebra, screw_in):
    screw = screw_in(vertebra, "left")
    assert pedicle_width_mm(screw, vertebra) == 8.0
    assert pedicle_width_mm(screw, None) is None
    assert pedicle_width_mm(screw, replace(vertebra, pedicles={})) is None
