"""Mirror, comparison, collisions, bends and cages against constructed truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.shapes.rod import rod_curve, rod_length_mm
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.bends import bend_table
from spinemar.planning.constructs.cages import cage_for_disc
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.contacts.collisions import (
    FACET,
    SCREW_ROD,
    SCREW_SCREW,
    TULIP_TULIP,
    facet_violations,
    find_collisions,
    segment_distance_mm,
)
from spinemar.planning.grades.gertzbein_robbins import grade_screw
from spinemar.planning.plans.compare import compare_plans
from spinemar.planning.plans.plan import Plan, Rod, Screw
from spinemar.planning.trajectories.mirror import midsagittal_plane, mirror_screw
from spinemar.planning.vectors import angle_deg
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import LabelVolume


def test_mirror_across_the_fitted_plane(grid_phantom, screw_in):
    spine, _ = grid_phantom
    # A frame that is off: the plane is fitted to the bone, not taken from the frame.
    true = spine.vertebrae[0]
    tilt = np.array([[1, 0.05, -0.04], [-0.05, 1, 0], [0.04, 0, 1]])
    axes = np.linalg.qr((tilt @ true.axes_ras).T)[0].T
    axes *= np.sign((axes * true.axes_ras).sum(axis=1, keepdims=True))
    off = replace(true, axes_ras=axes, body_centre_ras=true.to_ras((1.5, 0, 0)))
    plane = midsagittal_plane(bone_field(spine.labels, off))
    assert angle_deg(plane.normal, true.right) < 1.5
    assert abs((plane.point - true.body_centre_ras) @ true.right) < 0.5
    right = replace(screw_in(true, "right", (1.0, 0.5, -1.0)), locked=True)
    left = mirror_screw(right, plane)
    expected = screw_in(true, "left", (1.0, 0.5, -1.0))
    assert (left.id, left.side, left.locked, left.grade) == (expected.id, "left", False, None)
    assert np.linalg.norm(np.subtract(left.entry, expected.entry)) < 1.5
    assert np.linalg.norm(np.subtract(left.tip, expected.tip)) < 1.5
    twice = mirror_screw(left, plane)
    assert np.allclose(twice.entry, right.entry)
    assert np.allclose(twice.tip, right.tip)


def test_comparison_measures_what_was_changed():
    first = Screw("L1-left", "L1", "left", (0.0, 0.0, 0.0), (0.0, 40.0, 0.0), 6.0, 40.0)
    angle = np.radians(6.0)
    tip = (3.0, 45 * np.cos(angle), 45 * np.sin(angle))
    second = replace(first, id="other", entry=(3.0, 0.0, 0.0), tip=tip, diameter_mm=6.5,
                     length_mm=45.0)  # fmt: skip
    alone = replace(first, id="L2-left", level="L2")
    found = compare_plans(Plan(screws=(first,)), Plan(screws=(second, alone)))
    difference = found.differences[0]
    assert difference.entry_mm == pytest.approx(3.0)
    assert difference.tip_mm == pytest.approx(np.linalg.norm(np.subtract(tip, (0, 40, 0))))
    assert difference.angle_deg == pytest.approx(6.0)
    assert (difference.diameter_mm, difference.length_mm) == (0.5, 5.0)
    assert (found.only_first, found.only_second) == ((), ("L2-left",))
    same = compare_plans(Plan(screws=(first,)), Plan(screws=(first,)))
    assert (same.mean_entry_mm, same.mean_tip_mm, same.mean_angle_deg) == (0.0, 0.0, 0.0)


def test_segment_distance_is_the_minimum():
    rng = np.random.default_rng(2)
    for _ in range(25):
        a, b, c, d = rng.normal(size=(4, 3)) * 10

        def gap(x, a=a, b=b, c=c, d=d):
            return np.linalg.norm(a + x[0] * (b - a) - c - x[1] * (d - c))

        found = min(
            minimize(gap, start, bounds=[(0, 1), (0, 1)]).fun for start in ((0.2, 0.8), (0.8, 0.2))
        )
        assert segment_distance_mm(a, b, c, d) == pytest.approx(found, abs=1e-3)


def test_many_screws_touch_where_each_pair_does():
    """All pairs are measured at once: parallel, crossing, far and near ones."""
    rng = np.random.default_rng(5)
    start = Screw("a", "L1", "left", (0.0, 0.0, 0.0), (0.0, 40.0, 0.0), 6.0, 40.0)
    shifts = [(0, 0, 0), (5, 0, 0), (0, 0, 6), (60, 0, 0), *rng.uniform(-12, 12, (4, 3))]
    screws = tuple(
        replace(
            start,
            id=f"screw-{n}",
            entry=tuple(np.add(start.entry, shift).tolist()),
            tip=tuple(np.add(start.tip, shift).tolist()),
        )
        for n, shift in enumerate(shifts)
    )
    together = find_collisions(Plan(screws=screws), load_catalogue())
    apart = [
        collision
        for pair in combinations(screws, 2)
        for collision in find_collisions(Plan(screws=pair), load_catalogue())
    ]
    assert len(apart) > 6
    assert kinds(together) == kinds(apart)
    for one, other in zip(together, apart, strict=True):
        assert (one.kind, one.first, one.second) == (other.kind, other.first, other.second)
        assert one.overlap_mm == pytest.approx(other.overlap_mm)
    assert find_collisions(Plan(screws=screws[:1]), load_catalogue()) == ()


def kinds(collisions):
    return {c.kind for c in collisions}


def test_crossing_screws_collide_and_parallel_ones_do_not(column, screw_in):
    vertebra = column.vertebrae[1]
    right, left = screw_in(vertebra, "right"), screw_in(vertebra, "left")
    assert not find_collisions(Plan(screws=(right, left)), load_catalogue(), column.labels)
    entry, tip = vertebra.to_ras((-12, -42, 4.0)), vertebra.to_ras((14, -5, 4.0))
    length = float(np.linalg.norm(tip - entry))
    crossing = replace(left, entry=tuple(entry), tip=tuple(tip), length_mm=length)
    assert SCREW_SCREW in kinds(find_collisions(Plan(screws=(right, crossing)), load_catalogue()))


def test_overlap_of_parallel_screws_is_exact():
    a = Screw("a", "L1", "left", (0.0, 0.0, 0.0), (0.0, 40.0, 0.0), 6.0, 40.0)
    b = replace(a, id="b", entry=(4.0, 0.0, 0.0), tip=(4.0, 40.0, 0.0))
    found = {c.kind: c for c in find_collisions(Plan(screws=(a, b)), load_catalogue())}
    assert found[SCREW_SCREW].overlap_mm == pytest.approx(2.0)
    assert found[TULIP_TULIP].overlap_mm == pytest.approx(7.0)


def test_screws_half_a_millimetre_apart_do_not_collide():
    a = Screw("a", "L1", "left", (0.0, 0.0, 0.0), (0.0, 40.0, 0.0), 6.0, 40.0)
    b = replace(a, id="b", entry=(6.5, 0.0, 0.0), tip=(6.5, 40.0, 0.0))
    assert kinds(find_collisions(Plan(screws=(a, b)), load_catalogue())) == {TULIP_TULIP}
    apart = replace(a, id="b", entry=(11.5, 0.0, 0.0), tip=(11.5, 40.0, 0.0))
    assert not find_collisions(Plan(screws=(a, apart)), load_catalogue())


def test_a_rod_may_touch_its_tulips_but_no_shank(column, screw_in):
    screws = tuple(screw_in(v, "right") for v in column.vertebrae)
    plan = with_rods(Plan(screws=screws), load_catalogue())
    assert not find_collisions(plan, load_catalogue(), column.labels)
    entry = np.array(screws[1].entry)
    through = Rod(
        "bad", "", tuple(tuple((entry + np.array([0, 10, dz])).tolist()) for dz in (-30, 30))
    )
    found = [
        c
        for c in find_collisions(replace(plan, rods=(through,)), load_catalogue())
        if c.kind == SCREW_ROD
    ]
    assert screws[1].id in {c.first for c in found}


def test_a_screw_into_the_next_vertebra_is_a_facet_violation(column, screw_in):
    vertebra = column.vertebrae[1]
    high = screw_in(vertebra, "right", (0, 0, 30.0))
    found = [
        c
        for c in find_collisions(Plan(screws=(high,)), load_catalogue(), column.labels)
        if c.kind == FACET
    ]
    assert [c.second for c in found] == [column.vertebrae[0].level]


@pytest.mark.parametrize("neighbour", ["T12", "C1"])
@pytest.mark.parametrize("apart_mm", [2.0, 3.5, 5.5])
def test_a_tulip_cuts_into_a_joint_as_deep_as_it_reaches(apart_mm, neighbour):
    """The next vertebra begins at a plane beside the tulip, behind the entry."""
    model = load_catalogue().screw("generic-polyaxial")
    screw = Screw("a", "L1", "left", (0.0, 0.0, 0.0), (0.0, 40.0, 0.0), 5.0, 40.0)
    affine = np.diag([0.25, 0.25, 0.25, 1.0])
    affine[:3, 3] = (-10.0, -25.0, -10.0)
    labels = np.zeros((80, 120, 80), np.int16)
    k, j, _ = np.indices(labels.shape)
    above = (0.25 * k - 10.0 >= apart_mm) & (0.25 * j - 25.0 < -6.0)
    labels[above] = VERSE_IDS[neighbour]
    found = list(facet_violations(screw, model, LabelVolume(labels, affine)))
    reach = model.head.along_mm / 2
    assert [c.second for c in found] == ([neighbour] if apart_mm < reach else [])
    for one in found:
        assert one.overlap_mm == pytest.approx(reach - apart_mm, abs=0.6)


def test_bends_add_up_to_the_rods_contour():
    # An arc of radius 120 mm, 150 mm long: 71.6 degrees in all, bent backwards at its middle.
    angle = np.linspace(-75 / 120, 75 / 120, 7)
    points = np.stack([0 * angle, 120 * np.cos(angle), -120 * np.sin(angle)], axis=1)
    rod = Rod("r", "left", tuple(tuple(p) for p in points.tolist()))
    bends = bend_table(rod)
    assert len(bends) == 5
    assert rod_length_mm(rod) == pytest.approx(150.0, rel=2e-3)
    # From the middle of the first piece to the middle of the last: 5/6 of the arc.
    assert sum(b.angle_deg for b in bends) == pytest.approx(np.degrees(150 / 120) * 5 / 6, rel=0.05)
    assert all(abs(abs(b.plane_deg) - 180) < 2 for b in bends)
    assert [b.position_mm for b in bends] == pytest.approx(np.arange(1, 6) * 25.0, abs=0.5)


def test_a_straight_rod_has_no_bends():
    rod = Rod("r", "left", ((0.0, 0.0, 0.0), (0.0, 0.0, -30.0), (0.0, 0.0, -70.0)))
    assert bend_table(rod) == ()
    assert rod_length_mm(rod) == pytest.approx(70.0)


def test_rod_passes_through_its_control_points():
    points = [(0, 0, 0), (2, 3, -30), (1, 5, -61), (0, 2, -90)]
    curve = rod_curve(points, 0.1)
    for point in points:
        assert np.linalg.norm(curve - point, axis=1).min() < 0.06


def test_cage_fits_the_disc(column):
    upper = column.vertebrae[2]
    # Bodies are 26 mm high every 32 mm: the disc is 6 mm high, its middle 16 mm below.
    cage = cage_for_disc(column, upper.level, load_catalogue().cage("generic-plif"))
    assert (cage.height_mm, cage.lordosis_deg, cage.level) == (7.0, 0.0, "L1/L2")
    assert np.allclose(cage.centre, upper.to_ras((0, 2, -16)), atol=1e-6)


def test_too_low_a_disc_is_refused(column):
    with pytest.raises(InputError, match="too low"):
        cage_for_disc(column, column.vertebrae[2].level, load_catalogue().cage("generic-alif"))


@pytest.mark.parametrize(("lowered", "height"), [(1.0, 6.0), (3.0, 6.0), (5.0, None)])
def test_a_cage_restores_a_collapsed_disc(column, lowered, height):
    """Its neighbours are 6 mm high; the lowest cage of this model too, so 1 mm is too little."""
    upper = column.vertebrae[1]
    plate = upper.endplates["inferior"]
    low = replace(plate, point_ras=plate.point_ras - lowered * upper.superior)
    sunk = replace(upper, endplates={**upper.endplates, "inferior": low})
    spine = replace(column, vertebrae=(column.vertebrae[0], sunk, *column.vertebrae[2:]))
    model = replace(load_catalogue().cage("generic-plif"), heights_mm=(6.0, 7.0, 8.0))
    if height is None:
        with pytest.raises(InputError, match="too low"):
            cage_for_disc(spine, "T12", model)
    else:
        assert cage_for_disc(spine, "T12", model).height_mm == height


def test_cage_opens_as_the_disc_does(column):
    upper = column.vertebrae[2]
    tilt = np.radians(-9.0)
    normal = np.array([0.0, np.sin(tilt), np.cos(tilt)]) @ upper.axes_ras
    plate = replace(upper.endplates["inferior"], point_ras=upper.to_ras((0, 2, -8)),
                    normal_ras=normal)  # fmt: skip
    open_ = replace(upper, endplates={**upper.endplates, "inferior": plate})
    spine = replace(column, vertebrae=(*column.vertebrae[:2], open_, column.vertebrae[3]))
    cage = cage_for_disc(spine, upper.level, load_catalogue().cage("generic-alif"))
    assert cage.lordosis_deg == 10.0
    assert cage.height_mm == 10.0


def test_grades_agree_on_both_sides(column, screw_in):
    vertebra = column.vertebrae[0]
    field = bone_field(column.labels, vertebra)
    shift = (2.5, 0, 0)
    left, right = (
        grade_screw(screw_in(vertebra, side, shift), field) for side in ("left", "right")
    )
    assert left.letter == right.letter == "B"
    assert left.direction == right.direction == "lateral"
