"""`make mutate` in small: it tells what tests see from what they do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")
pytest.importorskip("coverage")

from Testing.mutation.asking import verdict, watch
from Testing.mutation.mutants import all_mutants, sample
from Testing.mutation.packages import Package

SOURCE = """
def inside(value: int | None, low: int) -> bool:
    return value is not None and value >= low


def unseen(a: int) -> int:
    return a + 1
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
