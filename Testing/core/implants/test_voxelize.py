"""Voxel fractions against analytic solids, in every kind of grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Cage, Crosslink, ImportedMesh, Rod, Screw
from spinemar.implants.shapes.rod import Tube, rod_curve
from spinemar.implants.shapes.solids import Sphere
from spinemar.implants.shapes.thread import ThreadedShank
from spinemar.implants.voxelize import voxelize_plan, voxelize_solid
from spinemar.volume import GridGeometry


@dataclass
class Parts:
    screws: list[Screw] = field(default_factory=list)
    rods: list[Rod] = field(default_factory=list)
    cages: list[Cage] = field(default_factory=list)
    crosslinks: list[Crosslink] = field(default_factory=list)
    meshes: list[ImportedMesh] = field(default_factory=list)


def grid(spacing, rotation=None, size_mm=80.0):
    matrix = np.eye(4)
    turn = np.eye(3) if rotation is None else rotation.as_matrix()
    matrix[:3, :3] = turn @ np.diag(spacing)
    shape = np.ceil(size_mm / np.array(spacing)).astype(int)
    matrix[:3, 3] = -matrix[:3, :3] @ (shape / 2)
    return GridGeometry(tuple(int(n) for n in shape[::-1]), matrix)


def volume_mm3(found, geometry):
    return found[1].sum(dtype=float) * abs(np.linalg.det(geometry.ijk_to_ras[:3, :3]))


OBLIQUE = Rotation.from_euler("zyx", [23.0, -17.0, 31.0], degrees=True)
GRIDS = [
    pytest.param(grid((0.5, 0.5, 0.5)), 0.01, id="isotropic"),
    pytest.param(grid((0.5, 0.5, 0.5), OBLIQUE), 0.01, id="oblique"),
    pytest.param(grid((0.8, 0.8, 2.5)), 0.03, id="anisotropic"),
    pytest.param(grid((0.8, 0.8, 2.5), OBLIQUE), 0.03, id="oblique-anisotropic"),
]
ENTRY, AXIS = np.array([3.1, 24.0, 4.3]), np.array([0.29, -0.95, 0.117])
AXIS = AXIS / np.linalg.norm(AXIS)


def shank(diameter=6.5, length=45.0):
    thread = load_catalogue().screw("generic-polyaxial").thread
    return ThreadedShank(ENTRY, ENTRY + length * AXIS, diameter, thread)


@pytest.mark.parametrize(("geometry", "tolerance"), GRIDS)
@pytest.mark.parametrize("diameter", [4.0, 6.5])
def test_threaded_shank_has_its_analytic_volume(geometry, tolerance, diameter):
    solid = shank(diameter)
    found = voxelize_solid(solid, geometry)
    assert volume_mm3(found, geometry) == pytest.approx(solid.volume_mm3(), rel=tolerance)


@pytest.mark.parametrize(("geometry", "tolerance"), GRIDS)
def test_bent_rod_has_the_volume_of_its_length(geometry, tolerance):
    # Pappus: a tube's volume is its section times the length of its centre line.
    curve = rod_curve([(0, -5, -32), (2, 0, -10), (1, 3, 10), (-3, 0, 31)])
    rod = Tube(curve, 2.75)
    truth = np.pi * 2.75**2 * rod.length_mm()
    assert volume_mm3(voxelize_solid(rod, geometry), geometry) == pytest.approx(
        truth, rel=tolerance
    )


@pytest.mark.parametrize(("geometry", "tolerance"), GRIDS)
def test_every_voxel_of_a_ball_holds_the_right_share(geometry, tolerance):
    ball = Sphere(np.array([0.3, -0.2, 0.9]), 7.0)
    box, fractions = voxelize_solid(ball, geometry)
    k, j, i = np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij")
    centres = np.stack([i, j, k], axis=-1).astype(float)
    steps = (np.arange(8) + 0.5) / 8 - 0.5
    truth = np.zeros(fractions.shape)
    for a in steps:
        for b in steps:
            for c in steps:
                points = geometry.to_ras(centres + np.array((a, b, c)))
                truth += np.linalg.norm(points - ball.centre, axis=-1) < ball.radius
    error = fractions - truth / 512
    assert np.abs(error).max() < 0.1
    assert error[(truth > 0) & (truth < 512)].std() < 0.04
    assert np.abs(fractions.sum() - truth.sum() / 512) < tolerance * truth.sum() / 512


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_a_plane_fills_every_voxel_of_its_slice_alike(share):
    # A ball of 100 m is flat over 2 cm.
    geometry = grid((0.8, 0.8, 2.0), size_mm=20.0)
    bottom = geometry.to_ras(np.array([0.0, 0.0, -0.5 + share]))[2]
    ball = Sphere(np.array([0.0, 0.0, bottom - 1e5]), 1e5)
    _, fractions = voxelize_solid(ball, geometry)
    assert fractions.shape[1:] == geometry.shape[1:]
    np.testing.assert_allclose(fractions[0], share, atol=0.01)
    assert not fractions[1:].any()


def test_a_solid_that_passes_by_the_grid_leaves_it_empty():
    # The box about a slanted rod holds the whole grid, the rod none of it.
    geometry = grid((1.0, 1.0, 1.0), size_mm=10.0)
    rod = Tube(rod_curve([(-60.0, 0.0, 0.0), (0.0, 60.0, 60.0)]), 2.0)
    found = voxelize_solid(rod, geometry)
    assert found is None or not found[1].any()


def test_distance_never_exceeds_the_true_distance_to_the_thread():
    # The bound is what lets voxelisation leave cells out: sample it from both sides.
    rng = np.random.default_rng(5)
    solid = shank()
    points = ENTRY + rng.uniform(-2, 47, (400, 1)) * AXIS + rng.normal(0, 2.4, (400, 3))
    value = solid.distance(points)
    for _ in range(300):
        step = rng.normal(size=(400, 3))
        step *= 0.999 * np.abs(value)[:, None] / np.linalg.norm(step, axis=1)[:, None]
        assert ((solid.distance(points + step) < 0) == (value < 0)).all()


def _screw():
    tip = ENTRY + 45.0 * AXIS
    return Screw("s", "L1", "left", tuple(ENTRY.tolist()), tuple(tip.tolist()), 6.5, 45.0)


def test_plan_fills_one_volume_per_material_and_never_more_than_the_voxel():
    cage = Cage("c", "L1/L2", (0.0, 0.0, -20.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 30, 24, 12, 8)
    rod = Rod(
        "r", "left", ((3.0, 30.0, -30.0), (0.0, 32.0, 0.0), (2.0, 31.0, 35.0)), material="CoCrMo"
    )
    geometry = grid((0.8, 0.8, 1.0))
    found = voxelize_plan(Parts([_screw()], [rod], [cage]), geometry, load_catalogue())
    assert set(found) == {"Ti-6Al-4V", "CoCrMo", "PEEK"}
    total = sum(found.values())
    assert total.max() <= 1.0 + 1e-6
    assert all(volume.min() >= 0 and volume.max() > 0.99 for volume in found.values())
    assert all(volume.dtype == np.float32 for volume in found.values())


def test_slices_are_those_of_the_whole_volume():
    geometry = grid((0.8, 0.8, 2.5))
    whole = voxelize_plan(Parts([_screw()]), geometry, load_catalogue())["Ti-6Al-4V"]
    part = voxelize_plan(Parts([_screw()]), geometry, load_catalogue(), slices=slice(14, 19))[
        "Ti-6Al-4V"
    ]
    assert part.shape[0] == 5
    # Cells start from another corner of the box, so their last digit may differ.
    np.testing.assert_allclose(part, whole[14:19], atol=0.03)


def test_implant_outside_the_grid_leaves_it_empty():
    geometry = grid((1.0, 1.0, 1.0), size_mm=20.0)
    far = Rod("r", "", ((4000.0, 0.0, 0.0), (4000.0, 0.0, 50.0)))
    found = voxelize_plan(Parts(rods=[far]), geometry, load_catalogue())
    assert found["Ti-6Al-4V"].shape == geometry.shape
    assert not found["Ti-6Al-4V"].any()


def test_empty_plan_has_no_material():
    assert voxelize_plan(Parts(), grid((2.0, 2.0, 2.0)), load_catalogue()) == {}


def test_backward_slices_are_refused():
    with pytest.raises(InputError):
        voxelize_plan(Parts(), grid((2.0, 2.0, 2.0)), load_catalogue(), slices=slice(0, 10, 2))


def test_shank_and_tulip_share_no_space():
    # Materials are additive only if the solids of a screw do not overlap.
    from spinemar.implants.shapes.screw import screw_parts

    rng = np.random.default_rng(1)
    tilted = Screw(
        "s",
        "L1",
        "left",
        (0.0, 0.0, 0.0),
        (0.0, 45.0, 0.0),
        6.5,
        45.0,
        head_axis=(0.0, -float(np.cos(0.5)), float(np.sin(0.5))),
    )
    points = rng.uniform(-20, 20, (200_000, 3))
    inside = [
        part.solid.distance(points) < 0
        for part in screw_parts(tilted, load_catalogue().screw("generic-polyaxial"))
    ]
    # The neck may reach into the shank's first turn at their common end.
    assert (np.sum(inside, axis=0) > 1).mean() < 1e-4
