"""Undo and redo: properties over random sequences of commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinemar.errors import InputError
from spinemar.planning.plans.commands import (
    LockImplant,
    MoveScrew,
    PutImplant,
    RemoveImplant,
    ReplacePlan,
    ResizeScrew,
    SetNotes,
)
from spinemar.planning.plans.history import History
from spinemar.planning.plans.plan import Grade, Plan, Rod, Screw


def screw(n: int) -> Screw:
    return Screw(f"s{n}", "L1", "left", (float(n), 0.0, 0.0), (float(n), 40.0, 0.0), 6.0, 40.0,
                 grade=Grade("A", 0.0, None, 1.0))  # fmt: skip


ROD = Rod("rod", "left", ((0.0, 0.0, 0.0), (0.0, 0.0, 50.0)), screw_ids=("s0", "s1"))
START = Plan(screws=tuple(screw(n) for n in range(3)), rods=(ROD,))

number = st.floats(-50, 50).map(lambda x: round(x, 2))
ids = st.sampled_from(["s0", "s1", "s2", "rod"])
commands = st.one_of(
    st.builds(MoveScrew, st.sampled_from(["s0", "s1"]), st.tuples(number, number, number),
              st.tuples(number, number, st.just(200.0))),
    st.builds(ResizeScrew, st.sampled_from(["s1", "s2"]), st.sampled_from([5.0, 6.5]),
              st.sampled_from([35.0, 50.0])),
    st.builds(lambda n: PutImplant(screw(n)), st.integers(0, 5)),
    st.builds(RemoveImplant, ids),
    st.builds(LockImplant, ids, st.booleans()),
    st.builds(SetNotes, st.text(max_size=5)),
)  # fmt: skip
steps = st.lists(st.one_of(commands, st.sampled_from(["undo", "redo"])), max_size=25)


def follow(history: History, actions) -> History:
    for action in actions:
        if action == "undo":
            history = history.undo()
        elif action == "redo":
            history = history.redo()
        else:
            try:
                history = history.do(action)
            except InputError:  # locked or gone: refused, and nothing changed
                continue
    return history


@given(steps)
@settings(max_examples=80, deadline=None)
def test_undoing_everything_gives_the_start_and_redoing_gives_the_end(actions):
    history = follow(History.of(START), actions)
    # Forget what was undone so that redo leads back here.
    end = history.do(SetNotes("end"))
    back = end
    for _ in range(60):
        back = back.undo()
    assert back.plan == START
    for _ in range(60):
        back = back.redo()
    assert back.plan == end.plan
    assert back.redo_description is None


@given(steps, commands)
@settings(max_examples=80, deadline=None)
def test_undo_is_the_inverse_of_do(actions, command):
    history = follow(History.of(START), actions)
    try:
        done = history.do(command)
    except InputError:
        return
    assert done.undo().plan == history.plan
    assert done.undo().redo().plan == done.plan
    assert done.undo_description == command.description


@given(steps)
@settings(max_examples=60, deadline=None)
def test_a_locked_screw_never_moves(actions):
    history = follow(
        History.of(START).do(LockImplant("s0", True)),
        [a for a in actions if a != LockImplant("s0", False) and a != "undo"],
    )
    kept = history.plan.screw("s0")
    assert (kept.entry, kept.tip, kept.diameter_mm) == (
        screw(0).entry, screw(0).tip, screw(0).diameter_mm)  # fmt: skip


def test_a_moved_or_resized_screw_is_not_graded():
    moved = MoveScrew("s0", (0.0, 0.0, 5.0), (0.0, 10.0, 5.0)).apply(START).screw("s0")
    assert moved.grade is None
    assert np.allclose(moved.tip, (0, 40, 5))
    assert ResizeScrew("s0", 7.0, 50.0).apply(START).screw("s0").grade is None


def test_removing_a_screw_frees_its_rod():
    assert RemoveImplant("s0").apply(START).rods[0].screw_ids == ("s1",)


def test_a_whole_plan_may_not_move_what_is_locked():
    locked = LockImplant("s0", True).apply(START)
    with pytest.raises(InputError, match="locked"):
        ReplacePlan(Plan()).apply(locked)
    with pytest.raises(InputError, match="locked"):
        MoveScrew("s0", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).apply(locked)
    assert ReplacePlan(START).apply(START) == START


def test_old_steps_are_forgotten():
    history = History(History.of(START).steps, most=5)
    for n in range(12):
        history = history.do(SetNotes(str(n)))
    assert len(history.steps) == 5
    assert history.plan.notes == "11"


def test_coinciding_points_are_refused():
    with pytest.raises(InputError):
        MoveScrew("s0", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)).apply(START)
