"""`make fuzz` in small: Hypothesis damages good files, every reader answers as it may."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Testing.fuzz.edits import KINDS, Edit, apply
from Testing.fuzz.targets import TARGETS, Target

# The readers that answer in milliseconds; the others have their turn in `make fuzz`.
QUICK = [one for one in TARGETS if not one.name.startswith(("surface", "command", "network-l"))]

share = st.floats(0, 1, allow_nan=False)
edits = st.lists(
    st.builds(Edit, st.sampled_from(KINDS), share, share, st.integers(0, 2**16)),
    min_size=1, max_size=6,
)  # fmt: skip


@cache
def good_files(name: str) -> tuple[bytes, ...]:
    return tuple(next(one for one in TARGETS if one.name == name).seeds())


@pytest.mark.parametrize("target", QUICK, ids=lambda one: one.name)
def test_good_files_are_accepted(target: Target, tmp_path: Path) -> None:
    accepted = []
    for data in good_files(target.name):
        path = tmp_path / target.file
        path.write_bytes(data)
        accepted.append(target.check(path))
    assert any(accepted), "the damage would start from files that are no good"


@pytest.mark.parametrize("target", QUICK, ids=lambda one: one.name)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(damage=edits, which=st.integers(0, 7))
def test_damaged_files_are_refused_or_read(
    target: Target, damage: list[Edit], which: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = good_files(target.name)
    path = tmp_path_factory.mktemp("damaged", numbered=True) / target.file
    path.write_bytes(apply(good[which % len(good)], damage, good))
    target.check(path)


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=4), edits)
@settings(deadline=None)
def test_edits_are_the_same_each_time_and_bounded(good: list[bytes], damage: list[Edit]) -> None:
    once, again = (apply(good[0], damage, good) for _ in range(2))
    assert once == again
    assert len(once) <= 32**6 * 64
