"""Screws in lateral masses and hooks at pedicles, in vertebrae of boxes of known size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.laminar import hook_parts
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.constructs.assemble import with_rods
from spinemar.planning.constructs.lateral_mass import lateral_mass_screw
from spinemar.planning.constructs.others import hook_at_pedicle, with_implants
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.grades.contacts.collisions import find_collisions
from spinemar.planning.grades.findings import findings
from spinemar.planning.grades.gertzbein_robbins import grade_plan
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json
from spinemar.planning.plans.relevel import shift_plan_levels
from spinemar.planning.report.wording import head_label
from spinemar.spine.labels.levels import VERSE_IDS, level_range
from spinemar.spine.model import SpineModel
from spinemar.volume import LabelVolume
from Testing.core.planning.conftest import frame

CATALOGUE = load_catalogue()
MASS, HOOK = CATALOGUE.screw("generic-lateral-mass"), CATALOGUE.hook("generic-pedicle-hook")
#: Boxes in vertebra coordinates (right, anterior, superior), mm: one side.
MASS_BOX = ((8.0, -40.0, -6.0), (21.0, -20.0, 14.0))
PEDICLE_BOX = ((8.0, -32.0, -3.0), (16.0, -12.0, 11.0))
PROCESS_BOX = ((8.0, -42.0, -15.0), (16.0, -36.0, 11.0))
HEIGHT_MM = 30.0


def spine_of(levels, *boxes):
    """Vertebrae of a body and of boxes on both sides, one above the other."""
    names = level_range(levels)
    shape = np.array([110, 110, 60 + int(HEIGHT_MM) * len(names)])
    matrix = np.diag([0.8, 0.8, 0.8, 1.0])
    matrix[:3, 3] = -0.4 * shape
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    ras = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    labels, frames = np.zeros(shape[::-1], np.int16), []
    every = [((-12.0, -10.0, -12.0), (12.0, 10.0, 12.0)), *boxes]
    every += [((-b[0], a[1], a[2]), (-a[0], b[1], b[2])) for a, b in boxes]
    for n, name in enumerate(names):
        centre = np.array([0.0, 10.0, HEIGHT_MM * ((len(names) - 1) / 2 - n)])
        local = ras - centre
        inside = np.zeros(ras.shape[:3], bool)
        for low, high in every:
            inside |= ((local >= low) & (local < high)).all(axis=-1)
        labels[inside.transpose(2, 1, 0)] = VERSE_IDS[name]
        frames.append(frame(name, np.eye(3), centre))
    canal = np.array([f.canal_centre_ras for f in frames])
    return SpineModel(LabelVolume(labels, matrix), tuple(frames), canal)


@pytest.fixture(scope="module")
def neck():
    return spine_of("C4-C5", MASS_BOX)


@pytest.fixture(scope="module")
def chest():
    return spine_of("T8-T9", PEDICLE_BOX, PROCESS_BOX)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("way", "start", "angles", "length"),
    [
        # Up along the joint: out of the top, 14 mm above, after 13.2 mm.
        ("Magerl", (13.5, -40.0, 5.5), (25.0, 40.0), 12.0),
        # Straight: out of the front after 20.3 mm.
        ("Roy-Camille", (15.0, -40.0, 4.0), (10.0, 0.0), 18.0),
    ],
)
def test_entry_direction_and_length(neck, side, way, start, angles, length):
    screw = lateral_mass_screw(neck, "C5", side, way, MASS)
    vertebra, sign = neck.vertebra("C5"), 1.0 if side == "right" else -1.0
    entry = vertebra.to_local(np.array(screw.entry)) * [sign, 1.0, 1.0]
    np.testing.assert_allclose(entry, start, atol=0.9)
    r, a, s = shank_axis(screw) @ vertebra.axes_ras.T
    assert np.degrees(np.arctan2(sign * r, a)) == pytest.approx(angles[0], abs=0.1)
    assert np.degrees(np.arcsin(s)) == pytest.approx(angles[1], abs=0.1)
    assert screw.length_mm == pytest.approx(length)
    assert (screw.id, screw.course, screw.diameter_mm) == (f"C5-{side}", way, 3.5)


def test_they_have_no_grade_and_say_why(neck):
    screw = lateral_mass_screw(neck, "C5", "left", "Magerl", MASS)
    plan = grade_plan(with_implants(Plan(levels=("C5",)), [screw]), neck)
    (graded,) = plan.screws
    assert graded.grade is None
    assert "lateral mass has no grade" in graded.not_graded
    assert head_label(graded) == "C5 L · not graded"
    said = findings(plan, neck, CATALOGUE)
    assert any("C5-left: not graded. A screw in a lateral mass" in text for text in said)
    assert not any("only 12 mm long" in text for text in said)
    assert plan_from_json(plan_to_json(plan)) == plan
    assert shift_plan_levels(plan, -1).screws[0].level == "C4"


def test_a_thin_rod_holds_them_and_nothing_touches(neck):
    screws = [
        lateral_mass_screw(neck, level, side, "Magerl", MASS)
        for level in ("C4", "C5")
        for side in ("left", "right")
    ]
    plan = with_implants(Plan(levels=("C4", "C5")), screws)
    plan = with_rods(plan, CATALOGUE, RodSettings("generic-rod-cervical").checked(CATALOGUE))
    assert [rod.diameter_mm for rod in plan.rods] == [3.5, 3.5]
    assert find_collisions(plan, CATALOGUE) == ()


def test_what_cannot_be_is_refused(neck, chest):
    with pytest.raises(InputError, match="No lateral mass screws are planned at T8"):
        lateral_mass_screw(chest, "T8", "left", "Magerl", MASS)
    with pytest.raises(InputError, match="way into a lateral mass"):
        lateral_mass_screw(neck, "C5", "left", "Somebody", MASS)
    with pytest.raises(InputError, match="too short for a screw of 40 mm"):
        lateral_mass_screw(neck, "C5", "left", "Magerl", replace(MASS, lengths_mm=(40.0,)))
    with pytest.raises(InputError, match="No lateral mass was found"):
        lateral_mass_screw(spine_of("C5"), "C5", "left", "Magerl", MASS)
    screw = lateral_mass_screw(neck, "C5", "left", "Magerl", MASS)
    for wrong in ({"level": "L1"}, {"level": ""}, {"course": "S2AI"}):
        with pytest.raises(InputError):
            replace(screw, **wrong)
    assert isinstance(screw, Screw)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_pedicle_hook_ends_at_the_pedicle_from_below(chest, side):
    hook = hook_at_pedicle(chest, "T8", side, HOOK)
    vertebra, sign = chest.vertebra("T8"), 1.0 if side == "right" else -1.0
    assert hook.id == f"T8-hook-{side}-pedicle"
    assert hook.throat_mm == 6.0  # the process of boxes is 6 mm deep
    np.testing.assert_allclose(hook.blade, vertebra.superior, atol=1e-6)
    throat = vertebra.to_local(np.array(hook.throat)) * [sign, 1.0, 1.0]
    assert throat[0] == pytest.approx(12.0, abs=0.1)
    # The pedicle of boxes ends 3 mm below the middle of the body.
    assert throat[2] + HOOK.blade_mm == pytest.approx(-3.0, abs=0.1)
    (part,) = hook_parts(hook, HOOK)
    places = np.array([(12.0, -34.7, -6.0), (12.0, -38.0, -6.0), (12.0, -34.7, 0.0)])
    inside = part.solid.distance(vertebra.to_ras(places * [sign, 1.0, 1.0])) < 0
    # Metal before the process, none in it, none above the pedicle's edge.
    assert inside.tolist() == [True, False, False]


def test_pedicle_hooks_that_cannot_be_are_refused(chest, neck):
    with pytest.raises(InputError, match="does not hold at L1"):
        hook_at_pedicle(chest, "L1", "left", HOOK)
    with pytest.raises(InputError, match="No articular process"):
        hook_at_pedicle(spine_of("T8"), "T8", "left", HOOK)
    bare = replace(chest.vertebra("T8"), pedicles={})
    with pytest.raises(InputError, match="pedicle of T8 was not found"):
        hook_at_pedicle(replace(chest, vertebrae=(bare,)), "T8", "left", HOOK)
