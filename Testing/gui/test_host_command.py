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
    script = tmp_path / "click.py"
    script.write_text(
        "from PySide6.QtCore import Qt\n"
        "from PySide6.QtTest import QTest\n"
        "from Testing.host import mouse\n"
        "mouse.pick(widget.ui.polarityCombo, 'Keep below')\n"
        "QTest.mouseClick(widget.ui.applyButton, Qt.MouseButton.LeftButton)\n"
        "red = host.layoutManager.sliceWidget('Red')\n"
        "line = slicer.mrmlScene.AddNewNodeByClass('vtkMRMLMarkupsLineNode')\n"
        "slicer.modules.markups.logic().SetActiveList(line)\n"
        "slicer.app.applicationLogic().GetInteractionNode().SwitchToSinglePlaceMode()\n"
        "z = red.sliceLogic().GetSliceOffset()\n"
        "mouse.click(red.sliceView(), (-20, 0, z))\n"
        "mouse.click(red.sliceView(), (20, 0, z))\n"
        "print('output', widget.ui.outputSelector.currentNode().GetName())\n"
        "print('points', line.GetNumberOfDefinedControlPoints())\n"
        "print('platform', slicer.app.platformName())\n"
    )
    arguments = ["--screenshot", str(picture), "--script", str(script)]
    done = _run(arguments, environment, ["xvfb-run", "-a"])
    if "could not load the Qt platform plugin" in done.stderr.lower():
        pytest.skip("Qt's X platform lacks system libraries (libxcb-cursor0 and others)")
    assert done.returncode == 0, done.stderr
    for words in ("output Thresholded", "points 2", "platform xcb"):
        assert words in done.stdout
    assert picture.stat().st_size > 10_000
