"""Plan files: exact round trip, versions, and everything a plan may not hold."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinemar.errors import InputError
from spinemar.planning.plans.plan import (
    PLAN_VERSION,
    Cage,
    Crosslink,
    Grade,
    ImportedMesh,
    Plan,
    Rod,
    Screw,
)
from spinemar.planning.plans.plan_json import (
    plan_from_json,
    plan_to_json,
    read_plan,
    write_plan,
)

number = st.floats(-900.0, 900.0, allow_nan=False)
points = st.tuples(number, number, number)


@st.composite
def screws(draw, name):
    entry = draw(points)
    length = draw(st.floats(20.0, 70.0))
    azimuth, polar = draw(st.floats(0, 6.28)), draw(st.floats(0, 3.14))
    axis = (
        math.sin(polar) * math.cos(azimuth),
        math.sin(polar) * math.sin(azimuth),
        math.cos(polar),
    )
    tip = tuple(e + length * a for e, a in zip(entry, axis, strict=True))
    grade = draw(
        st.none()
        | st.builds(
            Grade,
            st.sampled_from("ABCDE"),
            st.floats(0, 9),
            st.sampled_from([None, "medial", "anterior"]),
            st.floats(-9, 9),
        )
    )
    return Screw(
        name, "T12", draw(st.sampled_from(["left", "right"])), entry, tip,
        draw(st.floats(3.5, 8.0)), length, locked=draw(st.booleans()), grade=grade,
        head_axis=draw(st.none() | st.just(axis)),
    )  # fmt: skip


@st.composite
def plans(draw):
    rod = st.builds(
        Rod, st.just("rod"), st.sampled_from(["left", ""]),
        st.lists(points, min_size=2, max_size=5, unique=True).map(tuple),
    )  # fmt: skip
    try:
        rods = (draw(rod),)
    except InputError:
        rods = ()
    return Plan(
        levels=("T12",),
        screws=tuple(draw(screws(f"s{n}")) for n in range(draw(st.integers(0, 3)))),
        rods=rods,
        cages=(Cage("cage", "L1/L2", (0.1, 0.2, 0.3), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 30.0,
                    draw(st.floats(10, 30)), 12.0),),
        crosslinks=(Crosslink("x", (-20.0, 0.0, 0.0), (20.0, 0.0, 0.0), (0.0, -1.0, 0.0)),),
        meshes=(ImportedMesh("m", "plate.stl", "0" * 64, tuple(float(n % 5 == 0)
                                                               for n in range(16))),),
        notes=draw(st.text(max_size=40)),
    )  # fmt: skip


@given(plans())
@settings(max_examples=60, deadline=None)
def test_round_trip_is_exact(plan):
    assert plan_from_json(plan_to_json(plan)) == plan


def test_file_round_trip(tmp_path):
    plan = Plan(levels=("L1",), notes="Übersicht")
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan


def example() -> dict:
    screw = Screw("L1-left", "L1", "left", (0.0, 0.0, 0.0), (0.0, 45.0, 0.0), 6.5, 45.0)
    return json.loads(plan_to_json(Plan(levels=("L1",), screws=(screw,))))


def broken(change) -> str:
    raw = example()
    change(raw)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: p["screws"][0].update(diameter_mm=float("nan")), "NaN"),
        (lambda p: p["screws"][0].update(entry=[float("inf"), 0, 0]), "Infinity"),
        (lambda p: p["screws"][0].update(diameter_mm=65.0), "between"),
        (lambda p: p["screws"][0].update(length_mm=4500.0), "between"),
        (lambda p: p["screws"][0].update(length_mm=30.0), "apart"),
        (lambda p: p["screws"][0].update(tip=[0, 45]), "entries"),
        (lambda p: p["screws"][0].update(tip=[0, 10**400, 0]), "finite"),
        (lambda p: p["screws"][0].update(diameter_mm="6.5"), "kind"),
        (lambda p: p["screws"][0].update(locked=1), "kind"),
        (lambda p: p["screws"][0].update(side="middle"), "side"),
        (lambda p: p["screws"][0].update(material="kryptonite"), "material"),
        (lambda p: p["screws"][0].update(grade="A"), "object"),
        (lambda p: p["screws"][0].update(colour="red"), "unknown"),
        (lambda p: p["screws"][0].pop("entry"), "lacks"),
        (lambda p: p["screws"].append(p["screws"][0]), "called"),
        (lambda p: p.update(version=PLAN_VERSION + 1), "version"),
        (lambda p: p.update(version=0), "version"),
        (lambda p: p.update(version="1"), "version"),
        (lambda p: p.pop("version"), "version"),
        (lambda p: p.update(format="other"), "not a SpineMAR plan"),
    ],
)
def test_bad_plans_are_refused_with_a_sentence(change, word):
    with pytest.raises(InputError, match=word) as caught:
        plan_from_json(broken(change))
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_no_plan_at_all_is_refused(text):
    with pytest.raises(InputError):
        plan_from_json(text)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError):
        read_plan(tmp_path / "none.json")


def test_a_new_screw_is_not_graded():
    assert plan_from_json(json.dumps(example())).screws[0].grade is None


@pytest.mark.parametrize("version", range(1, PLAN_VERSION))
def test_old_versions_are_read_as_the_present_one(version):
    read = plan_from_json(json.dumps({**example(), "version": version}))
    assert read == plan_from_json(json.dumps(example()))
    assert read.version == PLAN_VERSION
    assert plan_from_json(plan_to_json(read)) == read
