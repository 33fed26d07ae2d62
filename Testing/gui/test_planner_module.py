"""The planner's panel through the host: real widgets, real mouse events in real views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.planning.auto import PlanSettings, plan_with_alternatives

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineImplantPlanner" / "SpineImplantPlanner.py"
_MADE = {}


@pytest.fixture
def panel(host):
    """Return the panel with a drawn spine and an automatic plan of it."""
    host.showWindow()
    host.loadModule(MODULE)
    from SpineImplantPlannerLib import selftest

    if not _MADE:
        spine = selftest.drawnSpine("T12-L1")
        _MADE.update(
            spine=spine, made=plan_with_alternatives(spine, None, "T12-L1", PlanSettings())
        )
    spine, made = _MADE["spine"], _MADE["made"]
    host.volume = selftest.drawnCt(host.scene, spine)
    import slicer

    slicer.util.setSliceViewerLayers(background=host.volume, fit=True)
    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    widget = slicer.modules.SpineImplantPlannerWidget
    widget.parameters.segmentation = widget.planner.useSpine(spine)
    widget.planner.session.take(made.fields)
    widget.planner.loadPlan(made.plan)
    widget.fillLevels()
    widget.refresh()
    host.process(0.05)
    return widget


def click(button):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def press(host, key, modifier=None):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    host.window.activateWindow()
    host.process()
    QTest.keyClick(host.window, key, modifier or Qt.KeyboardModifier.NoModifier)
    host.process()


def finish(host, panel, seconds=120):
    host.waitUntil(lambda: panel.runner.run is None, seconds)
    host.process(0.05)


def chip(panel, name):
    row = panel.screws._ids.index(name)
    return panel.ui.screwTable.item(row, 4).text()


def select(host, panel, name):
    panel.screws.onCell(panel.screws._ids.index(name), 0)
    host.process(0.05)


def red(host):
    return host.layoutManager.sliceWidget("Red").sliceView()


def test_the_table_shows_the_plan(panel):
    table = panel.ui.screwTable
    assert table.rowCount == 4
    assert [table.item(0, n).text() for n in (0, 1, 4)] == ["T12", "left", "A"]
    assert table.item(0, 5).text().split(" / ")[0] != "-"
    assert panel.ui.upperCombo.currentText == "T12"
    assert "4 screws (4 A)" in panel.ui.summaryLabel.text


def test_dragged_medially_with_the_mouse_and_undone(host, panel):
    """The whole shaft, in the axial view, until the chip says B, C, D; then Ctrl+Z."""
    from PySide6.QtCore import Qt

    from Testing.host import mouse

    select(host, panel, "L1-right")
    before = panel.planner.plan
    seen = []
    for _ in range(8):
        screw = panel.planner.plan.screw("L1-right")
        middle = (np.array(screw.entry) + screw.tip) / 2
        red(host).mrmlSliceNode().JumpSliceByCentering(*middle)
        host.process(0.05)
        mouse.drag(red(host), middle, middle - (1.0, 0, 0))
        seen.append(chip(panel, "L1-right"))
        if seen[-1][0] == "D":
            break
    assert all("medial" in text for text in seen if text != "A"), seen
    letters = "".join(text[0] for text in seen)
    assert letters == "".join(sorted(letters)), seen
    assert {"B", "C", "D"} <= set(letters), seen
    for _ in seen:
        press(host, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert panel.planner.plan == before
    assert chip(panel, "L1-right") == "A"
    press(host, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert panel.planner.plan != before


def test_two_clicks_place_a_screw(host, panel):
    from Testing.host import mouse

    select(host, panel, "L1-right")
    old = panel.planner.plan.screw("L1-right")
    click(panel.ui.deleteButton)
    assert panel.ui.screwTable.rowCount == 3
    red(host).mrmlSliceNode().JumpSliceByCentering(*old.entry)
    host.process(0.05)
    count = host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode")
    click(panel.ui.placeButton)
    mouse.click(red(host), old.entry)
    mouse.click(red(host), (*old.tip[:2], old.entry[2]))
    host.process(0.1)
    new = panel.planner.plan.screw("L1-right")
    np.testing.assert_allclose(new.entry, old.entry, atol=1.0)
    assert new.grade.letter == "A"
    assert not panel.ui.placeButton.checked
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode") == count
    assert panel.planner.selected == "L1-right"


def test_sizes_by_key_mirror_lock_and_numbers(host, panel):
    from PySide6.QtCore import Qt

    select(host, panel, "T12-left")
    diameter = panel.planner.selectedScrew().diameter_mm
    press(host, Qt.Key.Key_BracketLeft)
    assert panel.planner.selectedScrew().diameter_mm < diameter
    panel.ui.entryR.value = panel.ui.entryR.value + 1.0
    click(panel.ui.mirrorButton)
    left, right = (panel.planner.plan.screw(f"T12-{side}") for side in ("left", "right"))
    # The boxes' voxels lie half a millimetre to the left of the drawing's own middle.
    assert right.entry[0] == pytest.approx(-1.0 - left.entry[0], abs=0.7)
    select(host, panel, "T12-left")
    click(panel.ui.lockButton)
    assert panel.planner.selectedScrew().locked
    assert not panel.ui.deleteButton.enabled
    panel.ui.planLockCheckBox.checked = True
    assert panel.planner.nodes.handle("L1-left").GetLocked()


def test_probe_view_runs_along_the_screw_and_back(host, panel):
    select(host, panel, "T12-right")
    screw = panel.planner.selectedScrew()
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    click(panel.ui.probeButton)

    def normal(name):
        matrix = host.layoutManager.sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        return np.array([matrix.GetElement(n, 2) for n in range(3)])

    assert abs(normal("Red") @ axis) == pytest.approx(1.0, abs=1e-6)
    assert abs(normal("Yellow") @ axis) == pytest.approx(0.0, abs=1e-6)
    before = normal("Yellow")
    panel.ui.turnSlider.value = 30
    turned = np.degrees(np.arccos(np.clip(abs(before @ normal("Yellow")), -1, 1)))
    assert turned == pytest.approx(30, abs=0.1)
    click(panel.ui.standardButton)
    assert host.layoutManager.sliceWidget("Red").mrmlSliceNode().GetOrientation() == "Axial"
    assert not panel.ui.probeButton.checked


def test_automatic_plan_in_the_worker(host, panel):
    from spinemar.planning.commands import ReplacePlan
    from spinemar.planning.plan import Plan

    panel.planner.do(ReplacePlan(Plan(), "Clear"))
    assert panel.ui.screwTable.rowCount == 0
    click(panel.ui.planButton)
    assert panel.ui.cancelButton.visible
    finish(host, panel)
    assert panel.ui.screwTable.rowCount == 4
    assert {chip(panel, name) for name in panel.screws._ids} == {"A"}
    assert len(panel.planner.plan.rods) == 2


def test_rods_crosslink_cage_collisions_and_compare(host, panel):
    panel.ui.rodsStep.collapsed = False
    panel.ui.checkStep.collapsed = False
    host.process()
    click(panel.ui.removeRodsButton)
    assert not panel.planner.plan.rods
    click(panel.ui.contourButton)
    assert len(panel.planner.plan.rods) == 2
    assert "cut to" in panel.ui.rodLabel.text
    click(panel.ui.crosslinkButton)
    click(panel.ui.keepButton)
    select(host, panel, "L1-left")
    panel.ui.tipA.value = panel.ui.tipA.value + 6
    panel.ui.entryR.value = panel.ui.entryR.value + 3
    click(panel.ui.compareButton)
    assert panel.ui.compareTable.rowCount == 5
    click(panel.ui.checkButton)
    assert panel.ui.collisionTable.rowCount >= 1
    panel.ui.notesEdit.setPlainText("For discussion")
    host.waitUntil(lambda: panel.planner.plan.notes == "For discussion", 5)


def test_export_writes_what_is_ticked(host, panel, tmp_path):
    ui = panel.ui
    ui.exportStep.collapsed = False
    ui.exportPath.currentPath = str(tmp_path)
    ui.reportCheckBox.checked = False
    ui.sceneCheckBox.checked = True
    click(ui.exportButton)
    names = {p.name for p in (tmp_path / "spine_plan").rglob("*") if p.is_file()}
    assert {"spine_plan.json", "spine_plan_screws.csv", "spine_plan.stl", "spine_plan.mrb"} <= names
    click(ui.exportButton)
    assert (tmp_path / "spine_plan_2").is_dir()  # nothing is overwritten
    before = panel.planner.plan
    panel.planner.loadPlan(type(before)())
    panel.export.importPlan(tmp_path / "spine_plan" / "spine_plan.json")
    assert panel.planner.plan == before
    assert host.messages == []


def test_errors_are_sentences(host, panel):
    panel.ui.exportStep.collapsed = False
    panel.ui.exportPath.currentPath = ""
    click(panel.ui.exportButton)
    assert "No folder is chosen" in host.messages[-1].text
    panel.ui.upperCombo.clear()
    click(panel.ui.planButton)
    assert "levels are not chosen" in host.messages[-1].text


@pytest.mark.slow
def test_preview_of_a_slice_and_whole_scan(host, panel):
    panel.ui.exportStep.collapsed = False
    select(host, panel, "L1-left")
    click(panel.ui.previewButton)
    finish(host, panel)
    assert panel.planner.preview.node is not None
    composite = host.layoutManager.sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == panel.planner.preview.node.GetID()
    click(panel.ui.scanButton)
    finish(host, panel)
    assert composite.GetForegroundVolumeID() is None
    assert panel.ui.scanCombo.currentText == "Drawn spine with implants"
    assert panel.ui.correctButton.enabled


def test_saved_scene_comes_back_in_the_panel(host, panel, tmp_path):
    import slicer

    plan = panel.planner.plan
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.scene.Clear(0)
    assert panel.ui.screwTable.rowCount == 0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.process(0.05)
    assert panel.planner.plan == plan
    assert panel.ui.screwTable.rowCount == 4
    assert panel.ui.upperCombo.currentText == "T12"


def test_widget_file_is_thin():
    assert len(MODULE.read_text("utf-8").splitlines()) < 500


def test_self_test_and_sample_data(host):
    import slicer

    host.loadModule(MODULE)
    host.finishStartup()
    import SampleData

    from SpineImplantPlanner import SpineImplantPlannerTest

    # The other module adds its own sample to the same group when it is loaded too.
    assert "SpineCT" in [s.sampleName for s in SampleData.sources["SpineMAR"]]
    SpineImplantPlannerTest().runTest()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode") >= 4


def test_levels_are_renamed_from_one_that_is_known(host, panel):
    panel.ui.spineTable.setCurrentCell(1, 0)
    panel.spine.onCell(1, 0)
    assert panel.ui.relabelCombo.currentText == "L1"
    panel.ui.relabelCombo.setCurrentText("L2")
    click(panel.ui.relabelButton)
    assert panel.planner.session.spine.levels == ("L1", "L2")
    # T12's screws lie in no known vertebra now, L1's in the wrong one.
    assert chip(panel, "T12-left") == "not graded"
    assert chip(panel, "L1-left")[0] != "A"


def test_plan_of_another_scan_asks_about_alignment(host, panel, tmp_path):
    from dataclasses import replace

    from spinemar.planning.plan_json import write_plan

    plan = panel.planner.plan
    shifted = tuple(
        replace(s, entry=(*s.entry[:2], s.entry[2] + 300), tip=(*s.tip[:2], s.tip[2] + 300))
        for s in plan.screws
    )
    write_plan(tmp_path / "far.json", replace(plan, screws=shifted, rods=()))
    import qt

    host.answer = lambda message: qt.QMessageBox.No
    panel.export.importPlan(tmp_path / "far.json")
    assert "Register the two scans" in host.messages[-1].text
    assert panel.planner.plan == plan
    host.answer = lambda message: qt.QMessageBox.Yes
    panel.export.importPlan(tmp_path / "far.json")
    assert panel.planner.plan.screws[0].entry == shifted[0].entry
    panel.ui.planLockCheckBox.checked = True
    click(panel.ui.undoButton)
    assert panel.planner.plan != plan  # a locked plan stays
    panel.ui.planLockCheckBox.checked = False
    click(panel.ui.undoButton)
    assert panel.planner.plan == plan


def test_shortcuts_live_only_while_the_module_is_open(host, panel):
    from PySide6.QtGui import QShortcut

    assert len(host.window.findChildren(QShortcut)) == 15
    panel.exit()
    host.process(0.05)
    assert not [s for s in host.window.findChildren(QShortcut) if s.parent() is host.window]


def test_every_button_has_a_tooltip(panel):
    import qt

    for button in panel.parent.findChildren(qt.QPushButton):
        if button.objectName:
            assert button.toolTip, button.objectName
