"""Pictures of what a run logged."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from spinemar_training.runs.curves import draw_run, read_curves, running_mean

from spinemar.errors import InputError

pytestmark = pytest.mark.training


def _run(folder: Path) -> Path:
    for version, steps in enumerate((range(0, 3), range(3, 6))):  # killed once
        path = folder / "curves" / f"version_{version}"
        path.mkdir(parents=True)
        rows = "".join(f"{4 * step},,{step}\n{5 * step},7,{step}\n" for step in steps)
        (path / "metrics.csv").write_text("loss,other,step\n" + rows, encoding="utf-8")
    return folder


def test_curves_go_on_over_resumptions(tmp_path: Path) -> None:
    found = read_curves(_run(tmp_path), ["other"])["other"]
    assert found == [(step, 7.0) for step in range(6)]


def test_running_means_look_back_only() -> None:
    curve = [(0, 4.0), (1, 0.0), (2, 2.0)]
    assert running_mean(curve, 2) == [(0, 4.0), (1, 2.0), (2, 1.0)]
    assert running_mean(curve, 1) == curve


def test_a_run_becomes_a_picture_with_a_line_for_each_column(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    draw_run(_run(tmp_path), ["loss", "other"], 2, "HU", picture)
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_a_column_that_was_not_logged_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no curves named nothing"):
        draw_run(_run(tmp_path), ["nothing"], 2, "HU", tmp_path / "run.svg")
    assert not (tmp_path / "run.svg").exists()
