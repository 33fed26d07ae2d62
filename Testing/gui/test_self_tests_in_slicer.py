"""The script that runs the self tests inside a released Slicer, run in the host."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "slicer_self_tests.py"


@pytest.fixture
def run(host):
    host.showWindow()
    for name in ("MetalArtifactReduction", "SpineImplantPlanner"):
        host.loadModule(ROOT / name / f"{name}.py")
    host.app.testing = True
    return runpy.run_path(str(SCRIPT))["run"]


def test_it_passes_and_leaves_pictures(run, tmp_path):
    assert run(tmp_path / "pictures") == 0
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "MetalArtifactReduction-tested.png", "MetalArtifactReduction.png",
        "SpineImplantPlanner-tested.png", "SpineImplantPlanner.png", "results.txt",
    ]  # fmt: skip


def test_a_test_that_fails_is_told_and_the_others_still_run(run, tmp_path, monkeypatch):
    import slicer

    monkeypatch.setitem(slicer.selfTests, "MetalArtifactReduction", lambda: {}["nothing"])
    assert run(tmp_path) == 1
    text = (tmp_path / "results.txt").read_text()
    assert "KeyError: 'nothing'" in text
    assert "SpineImplantPlanner: passed" in text
