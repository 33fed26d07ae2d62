"""The planner beyond planning: live speed, plan to corrected scan in one scene, data sets."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from spinemar.planning.construct import construct_from_pedicles
from spinemar.planning.sites import sites_from_frames

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineImplantPlanner" / "SpineImplantPlanner.py"
CORRECTION = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"


def openPanel(host, levels):
    """Open the panel on a drawn spine with a screw in every pedicle of some levels."""
    host.showWindow()
    host.loadModule(MODULE)
    import slicer
    from SpineImplantPlannerLib import selftest

    spine = selftest.drawnSpine(levels)
    host.volume = selftest.drawnCt(host.scene, spine)
    slicer.util.setSliceViewerLayers(background=host.volume, fit=True)
    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    panel = slicer.modules.SpineImplantPlannerWidget
    panel.parameters.segmentation = panel.planner.useSpine(spine)
    panel.planner.loadPlan(construct_from_pedicles(sites_from_frames(spine.vertebrae)))
    panel.fillLevels()
    host.process(0.1)
    return panel


def click(button):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def finish(host, panel, seconds=240):
    host.waitUntil(lambda: panel.runner.run is None, seconds)
    host.process(0.05)


def test_a_drag_is_live_with_twelve_screws(host):
    """From a mouse event to grade, model, colour, table and profile: at most 50 ms (median)."""
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    from Testing.host import mouse

    panel = openPanel(host, "T10-L3")
    assert len(panel.planner.plan.screws) == 12
    panel.screws.onCell(panel.screws._ids.index("L1-right"), 0)
    screw = panel.planner.selectedScrew()
    view = host.layoutManager.sliceWidget("Red").sliceView()
    middle = (np.array(screw.entry) + screw.tip) / 2
    view.mrmlSliceNode().JumpSliceByCentering(*middle)
    host.process(0.2)
    grades = []
    show = panel.planner.onMoving
    panel.planner.onMoving = lambda moved: (show(moved), grades.append(moved.grade.letter))
    start, seconds, wall = mouse.pointIn(view, middle), [], []
    view.interactor().InvokeEvent("EnterEvent")
    mouse._moveEvent(view, start)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    for step in range(30):
        began, clock = time.process_time(), time.perf_counter()
        mouse._moveEvent(view, start + QPoint(2 * step, 0), Qt.MouseButton.LeftButton)
        seconds.append(time.process_time() - began)  # other work on the machine is not ours
        wall.append(time.perf_counter() - clock)
        host.process()
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton)
    print(f"median {1000 * np.median(seconds):.1f} ms, by the clock {1000 * np.median(wall):.1f}")
    assert len(grades) >= 25
    assert len(set(grades)) > 2
    assert np.median(seconds) < 0.05


@pytest.mark.slow
def test_plan_scan_correct_compare_save_reload(host, tmp_path):
    import slicer

    panel = openPanel(host, "L1-L2")
    host.loadModule(CORRECTION)
    panel.ui.exportStep.collapsed = False
    click(panel.ui.scanButton)
    finish(host, panel)
    scan = panel.scan.chosenScan()
    truth = scan.GetNodeReference("SpineMAR.Truth")
    plan = panel.planner.plan
    from MetalArtifactReductionLib.settings import Method

    correction = slicer.modules.metalartifactreduction.widgetRepresentation().self()
    correction._parameterNode.method = Method.linear
    click(panel.ui.correctButton)
    assert host.window.moduleSelector().selectedModule == "MetalArtifactReduction"
    host.waitUntil(lambda: correction.run is None and correction._lastRan, 240)
    host.process(0.1)
    corrected = correction._parameterNode.outputVolume
    arrays = [slicer.util.arrayFromVolume(n).astype(float) for n in (scan, corrected, truth)]
    away = arrays[0] < 1500
    before, after = (np.sqrt(np.mean((a - arrays[2])[away] ** 2)) for a in arrays[:2])
    print(f"RMSE {before:.1f} HU before, {after:.1f} HU after")
    assert after != before
    names = scan.GetName(), corrected.GetName(), truth.GetName()
    slicer.util.saveScene(str(tmp_path / "all.mrb"))
    host.scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "all.mrb"))
    host.process(0.1)
    panel = slicer.modules.SpineImplantPlannerWidget
    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    assert panel.planner.plan == plan
    for name, array in zip(names, arrays, strict=True):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(slicer.util.getNode(name)), array)
    assert panel.scan.chosenScan().GetName() == names[0]


@pytest.mark.slow
def test_pairs_are_killed_and_gone_on_with(host, tmp_path):
    pytest.importorskip("zarr")
    panel = openPanel(host, "L1-L2")
    ui = panel.ui
    ui.exportStep.collapsed = False
    ui.pairsBox.collapsed = False
    host.process()
    count = int(os.environ.get("PLANNER_PAIRS", "10"))
    ui.pairsSpinBox.value = count
    ui.matrixCombo.setCurrentText("128")
    ui.storePath.currentPath = str(tmp_path / "pairs.zarr")
    assert ui.pairsButton.text == "Make pairs"
    click(ui.pairsButton)
    host.waitUntil(
        lambda: (
            panel.runner.run is None
            or (
                panel.runner.run.progress.stage == "Making pairs" and panel.runner.run.progress.done
            )
        ),
        240,
    )
    assert panel.runner.run is not None, host.messages
    done = panel.runner.run.progress.done
    assert 0 < done < count
    os.kill(panel.runner.run.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    finish(host, panel)
    assert "ended unexpectedly" in host.messages[-1].text
    assert ui.pairsButton.text == "Go on"
    click(ui.pairsButton)
    finish(host, panel, 900)
    assert ui.pairsLabel.text == f"{count} pairs, {count - done} of them made now."
    assert panel.pairs.sheets
    assert all(path.is_file() for path in panel.pairs.sheets)
    from spinemar.dataset.store import PairStore

    assert len(PairStore(tmp_path / "pairs.zarr")) == count
