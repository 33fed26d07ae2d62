"""Sections of pedicles: calipers on known ovals, and the cut between a pedicle and a rib."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.spine.anatomy.pedicle_outlines import calipers, without_rib

STEP = 0.5


def _oval(width, height, tilt=0.0, centre=0.0):
    v, u = np.mgrid[-15:15.1:STEP, -12:20.1:STEP]
    turn = np.radians(tilt)
    across = (u - centre) * np.cos(turn) + v * np.sin(turn)
    along = -(u - centre) * np.sin(turn) + v * np.cos(turn)
    return np.hypot(across / (width / 2), along / (height / 2)) < 1


@pytest.mark.parametrize("tilt", [-25, 0, 15])
def test_calipers_measure_a_tilted_oval(tilt):
    width, height = calipers(_oval(6.0, 14.0, tilt), STEP)
    assert width == pytest.approx(6.0, abs=0.8)
    assert height == pytest.approx(14.0, abs=1.0)


def _touching(gap_hu):
    """A pedicle 5 mm wide and a rib beside it, touching; the joint between has `gap_hu`."""
    pedicle, rib = _oval(5.0, 12.0), _oval(5.0, 9.0, centre=4.5)
    u = np.mgrid[-15:15.1:STEP, -12:20.1:STEP][1]
    hu = np.where(pedicle | rib, 600.0, 40.0)
    hu[(np.abs(u - 2.5) < 0.8) & (pedicle | rib)] = gap_hu
    return pedicle, pedicle | rib, hu.astype(np.float32)


def test_a_rib_is_cut_off_at_the_joint():
    pedicle, both, hu = _touching(350.0)
    left = without_rib(both, hu, STEP, 5.0)
    assert (left & ~pedicle).sum() < 0.15 * pedicle.sum()
    assert (pedicle & ~left).sum() < 0.15 * pedicle.sum()


def test_without_a_valley_or_excess_width_nothing_is_cut():
    pedicle, both, hu = _touching(600.0)
    assert (without_rib(both, hu, STEP, 5.0) == both).all()
    _, both, hu = _touching(350.0)
    assert (without_rib(both, hu, STEP, 9.0) == both).all()
    assert (without_rib(pedicle, hu, STEP, 5.0) == pedicle).all()
