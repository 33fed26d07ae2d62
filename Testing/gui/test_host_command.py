"""The command that opens a module without Slicer, offscreen and on an X display."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
MODULE = Path(__file__).parent / "TrivialThreshold" / "TrivialThreshold.py"


def _run(arguments, environment=None, prefix=()):
    pytest.importorskip("slicer_core")
    pytest.importorskip("PySide6")
    return subprocess.run(
        [*prefix, sys.executable, "-m", "Testing.host", str(MODULE), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


def _size(path):
    from PySide6.QtGui import QImage

    image = QImage(str(path))
    return image.width(), image.height()


def test_screenshot_and_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "widget.ui.imageThresholdSliderWidget.value = 77\n"
        "print('threshold', widget._parameterNode.imageThreshold)\n"
    )
    picture = tmp_path / "picture.png"
    done = _run(["--screenshot", str(picture), "--script", str(script), "--size", "900x500"])
    assert done.returncode == 0, done.stderr
    assert "threshold 77.0" in done.stdout
    assert picture.stat().st_size > 10_000


def test_unknown_module_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "Testing.host", "NoSuchModule"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "NoSuchModule" in done.stderr


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs Xvfb (apt-get install xvfb)")
def test_runs_on_a_real_display(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    environment["QT_QPA_PLATFORM"] = "xcb"
    picture = tmp_path / "picture.png"
    done = _run(["--screenshot", str(picture)], environment, ["xvfb-run", "-a"])
    if "could not load the Qt platform plugin" in done.stderr.lower():
        pytest.skip("Qt's X platform lacks system libraries (libxcb-cursor0 and others)")
    assert done.returncode == 0, done.stderr
    assert picture.stat().st_size > 10_000
