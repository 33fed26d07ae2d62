"""New shapes: invertible, rigid where they should be, left and right kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.anatomy import Tissue, sample_patient, scan_grid
from spinemar.dataset.sampling.deformation import Deformation, draw_deformation
from spinemar.planning.trajectories.sites import PedicleSite

PIVOT = np.array([10.0, -20.0, 300.0])
STILL = PairSettings(
    zoom=(1.0, 1.0), body_size=(1.0, 1.0), warp_mm=0.0, rotation_deg=0.0, tilt_deg=0.0
)


def drawn(seed, settings=None) -> Deformation:
    return draw_deformation(PIVOT, settings or PairSettings(), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(12))
def test_landmarks_go_back_where_images_come_from(seed):
    rng = np.random.default_rng(seed)
    points = PIVOT + rng.uniform(-1, 1, (200, 3)) * (150.0, 120.0, 120.0)
    change = drawn(seed)
    assert np.abs(change.to_source(change.to_new(points)) - points).max() < 0.01


def test_no_two_places_become_one():
    """Neighbouring points keep their order along every axis: tissue does not fold."""
    for seed in range(20):
        change = drawn(seed)
        for axis in range(3):
            line = np.tile(PIVOT, (241, 1))
            line[:, axis] += np.linspace(-180.0, 180.0, 241)
            steps = np.diff(change.to_source(line), axis=0)[:, axis]
            assert (steps > 0).all() or (steps < 0).all()


def test_a_larger_body_leaves_the_spine_as_it_was():
    settings = PairSettings(
        zoom=(1.0, 1.0), body_size=(1.2, 1.2), warp_mm=0.0, rotation_deg=0.0, tilt_deg=0.0,
        mirror=False,
    )  # fmt: skip
    change = drawn(3, settings)
    depth = change.facts["depth_zoom"]
    near = PIVOT + np.array([[0.0, 30.0, 5.0], [-40.0, 0.0, 0.0]])
    expected = (near - PIVOT) / (1.0, depth, 1.0) + PIVOT
    assert change.to_source(near) == pytest.approx(expected)
    skin = PIVOT + np.array([180.0, 0.0, 0.0])
    assert change.to_source(skin)[0] - PIVOT[0] == pytest.approx(150.0)


def pedicle(side: str) -> PedicleSite:
    sign = 1.0 if side == "right" else -1.0
    return PedicleSite(
        "L1", side, PIVOT + np.array([sign * 18, -40, 0]), PIVOT + np.array([sign * 15, -20, 0]),
        np.array([-sign * 0.148, 0.989, 0.0]), 8.0, 55.0, PIVOT.copy(),
        np.array([1.0, 0, 0]), np.array([0, 0, 1.0]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_pedicles_stay_on_their_side_of_the_new_patient(seed):
    change = drawn(seed)
    for old in ("left", "right"):
        site = change.moved_site(pedicle(old))
        assert (site.side == old) != change.mirrored
        outwards = (site.entry - change.to_new(PIVOT)) @ site.lateral
        assert outwards > 5.0, "the entry lies away from the midline"
        assert site.side == ("right" if site.entry[0] > change.to_new(PIVOT)[0] else "left")
        # Convergence: every pedicle axis runs towards the midline and forwards.
        assert site.axis @ site.lateral < 0.15
        assert site.axis[1] > 0.8
        zoom = change.facts["zoom"]
        assert site.width_mm == pytest.approx(8.0 * zoom, rel=0.25)
        assert site.anterior_mm == pytest.approx(55.0 * zoom, rel=0.25)


def test_an_unchanged_patient_is_sampled_as_the_ct_is(patients):
    patient = patients[0]
    change = Deformation(np.zeros(3), np.eye(3), 1.0, np.zeros((3, 11, 11, 11), np.float32), {})
    pixel, z = patient.geometry.spacing_mm[0], patient.geometry.to_ras(np.array([0, 0, 20.0]))[2]
    centre = patient.geometry.to_ras(np.array([127, 111, 0.0]) / 2)[:2]
    grid = scan_grid((centre[0], centre[1]), z, 112, pixel, 1, 1.0)
    sampled = sample_patient(patient, change, grid, 1)
    assert np.abs(sampled[0] - patient.hu[20][:, 8:120]).max() < 0.1


@pytest.mark.parametrize("seed", range(6))
def test_landmarks_and_image_move_together(patients, seed):
    """The canal's centre, moved as a landmark, is the centre of the canal in the image."""
    patient = patients[0]
    site = patient.sites[4]
    change = draw_deformation(site.body_centre, PairSettings(), np.random.default_rng(seed))
    ball = site.body_centre + np.array([12.0, 20.0, 4.0])
    marked = patient.hu.copy()
    far = np.linalg.norm(
        patient.geometry.to_ras(np.argwhere(np.ones(marked.shape))[:, ::-1].astype(float)) - ball,
        axis=1,
    )
    marked[...] = np.where(far.reshape(marked.shape) < 7.0, 3000, -1000)
    target = change.to_new(ball)
    grid = scan_grid((target[0], target[1]), target[2], 61, 0.8, 25, 0.8)
    image = sample_patient(type(patient)(**{**patient.__dict__, "hu": marked}), change, grid, 1)
    kji = np.argwhere(image > 1000)
    found = grid.to_ras(kji.mean(axis=0)[::-1])
    assert np.abs(found - target).max() < 1.0


def test_density_changes_bone_alone():
    hu = np.array([-1000.0, -800.0, 40.0, 350.0, 1150.0], dtype=np.float32)
    osteopenic = Tissue(0.7, 0.0).applied(hu)
    assert osteopenic == pytest.approx([-1000.0, -800.0, 40.0, 290.0, 850.0])
    assert Tissue(1.0, 10.0).applied(hu) == pytest.approx([-1000.0, -800.0, 50.0, 350.0, 1150.0])
