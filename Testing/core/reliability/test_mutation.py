"""`make mutate` in small: it tells what tests see from what they do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")
pytest.importorskip("coverage")

from Testing.mutation.asking import verdict, watch
from Testing.mutation.harmless import HARMLESS, Harmless, why_harmless
from Testing.mutation.mutants import all_mutants, changed_line, sample
from Testing.mutation.packages import Package

SOURCE = """
def inside(value: int | None, low: int) -> bool:
    return value is not None and value >= low


def unseen(a: int) -> int:
    return a + 1


def columns(values, names):
    return dict(zip(names, values.reshape(2, -1), strict=True))
"""
TESTS = """
from spinemar.small import inside

def test_inside():
    assert inside(2, 2)
    assert not inside(1, 2)
    assert not inside(None, 2)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A core of two functions, one of them tested to its edge."""
    root = Path(__file__).resolve().parents[3]
    (tmp_path / "tree" / "spinemar").mkdir(parents=True)
    (tmp_path / "tree" / "spinemar" / "__init__.py").write_text("")
    (tmp_path / "tree" / "spinemar" / "small.py").write_text(SOURCE)
    (tmp_path / "tree" / "test_small.py").write_text(TESTS)
    (tmp_path / "tree" / "Testing").mkdir()
    (tmp_path / "tree" / "Testing" / "mutation").symlink_to(root / "Testing" / "mutation")
    return tmp_path / "tree"


def test_faults_are_seen_where_a_test_looks(tree: Path, tmp_path: Path) -> None:
    package = Package("small", ("spinemar/small.py",), ("test_small.py",))
    before = (tree / "spinemar" / "small.py").read_text()
    witnesses = watch(tree, package, tmp_path)
    mutants = all_mutants(tree, ["spinemar/small.py"])
    assert not any(":2 " in one.name for one in mutants), "nobody runs what types say"
    compared = [one for one in mutants if one.operator.endswith("_GtE_Gt")]
    assert compared
    assert verdict(tree, compared[0], witnesses) == "killed"
    added = next(one for one in mutants if "Add_" in one.operator)
    assert verdict(tree, added, witnesses) == "survived"
    assert (tree / "spinemar" / "small.py").read_text() == before
    assert sample(mutants, 3, 1) == sample(mutants, 3, 1) != sample(mutants, 3, 2)
    assert sys.modules.get("spinemar.small") is None
    assert changed_line(tree, compared[0]) == (
        "return value is not None and value >= low", "return value is not None and value > low",
    )  # fmt: skip


def test_what_can_be_no_fault_is_not_put_in(tree: Path) -> None:
    after = [changed_line(tree, one)[1] for one in all_mutants(tree, ["spinemar/small.py"])]
    assert any("reshape" in one for one in after)
    assert all("-1" in one.replace(" ", "") and "strict=True" in one
               for one in after if "reshape" in one)  # fmt: skip


def test_what_is_called_harmless_is_there_and_has_a_reason() -> None:
    root = Path(__file__).resolve().parents[3]
    for one in HARMLESS:
        lines = (root / one.path).read_text(encoding="utf-8").splitlines()
        assert one.before in {" ".join(line.split()) for line in lines}, one
        assert one.before != one.after
        assert len(one.why) > 20


def test_only_the_very_same_change_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Harmless("a.py", "x = 8", "x = 9", "only how much is done at a time")
    monkeypatch.setattr("Testing.mutation.harmless.HARMLESS", (known,))
    assert why_harmless("a.py", "x = 8", "x = 9") == known.why
    assert why_harmless("a.py", "x = 8", "x = 7") is None
    assert why_harmless("b.py", "x = 8", "x = 9") is None
