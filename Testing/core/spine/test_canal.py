"""Canal tracking and the straightened frame, against known curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinemar.errors import InputError
from spinemar.spine.straightening.canal import best_path, canal_score, ray_distances, smooth_track
from spinemar.spine.straightening.straight import CanalFrame, chain
from spinemar.spine.straightening.track import coarse_canal
from spinemar.volume import CTVolume


def _tube(centres, radius=9.0, thick=4.0, size=70):
    y, x = np.mgrid[0:size, 0:size]
    rings = [np.hypot(y - cy, x - cx) for cy, cx in centres]
    return np.stack([(r > radius) & (r < radius + thick) for r in rings])


def test_path_follows_a_steep_curve():
    z = np.arange(40)
    centres = np.stack([20 + 0.02 * z**2, 35 + 6 * np.sin(z / 12)], axis=1)
    bone = _tube(centres)
    # Slices without an arch, as between laminae: the path must bridge them.
    bone[10:13] = False
    score = canal_score(ray_distances(bone, 1.0), bone, 1.0)
    path = best_path(score, 1.0, 1.0)
    # A coarse path: well inside the canal; its centre is found afterwards.
    assert np.hypot(*(path - centres).T).max() < 5


def test_rays_measure_distances():
    bone = _tube(np.array([[35.0, 35.0]]))
    distances = ray_distances(bone, 1.0)[:, 0, 35, 35]
    np.testing.assert_allclose(distances, 10, atol=1.1)


def test_smoothing_keeps_straight_lines_to_their_ends():
    z = np.arange(30.0)
    line = np.stack([2 + 0.7 * z, 5 - 0.2 * z], axis=1)
    np.testing.assert_allclose(smooth_track(line, np.ones(30), 1.0, 5.0), line, atol=1e-6)


def test_chain_prefers_smooth_to_spikes():
    score = np.zeros((9, 11))
    score[:, 5] = 1.0
    score[4, 10] = 1.5
    assert (chain(score, 0.1) == 5).all()


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-0.3, 0.3),
    st.floats(-0.004, 0.004),
    st.tuples(st.floats(5, 55), st.floats(-50, 40), st.floats(-50, 50)),
)
def test_straightened_coordinates_invert(lean, bend, place):
    s = np.arange(60.0)
    points = np.stack([lean * s, bend * s**2, s], axis=1)
    up = np.gradient(points, axis=0)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    front = np.array([0, 1.0, 0]) - up * up[:, 1:2]
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    frame = CanalFrame(points, np.cross(front, up), front, up)
    there = frame.to_ras(*(np.array(value) for value in place))
    np.testing.assert_allclose(frame.to_ras(*frame.from_ras(there)), there, atol=0.05)


@pytest.mark.parametrize("fill", [-1000.0, 40.0])
def test_no_canal_is_refused(fill):
    volume = CTVolume(np.full((30, 60, 60), fill, np.float32), np.diag([2.0, 2.0, 3.0, 1.0]))
    with pytest.raises(InputError) as caught:
        coarse_canal(volume)
    assert caught.value.remedy


def test_noise_is_no_spine():
    hu = np.random.default_rng(1).normal(40, 60, (30, 80, 80)).astype(np.float32)
    with pytest.raises(InputError):
        coarse_canal(CTVolume(hu, np.diag([2.0, 2.0, 3.0, 1.0])))
