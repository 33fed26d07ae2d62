"""The planner's panel through the host: real widgets, real mouse events in real views."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.gui.plannerpanel import (
    MODULE,
    chip,
    click,
    finish,
    openPanel,
    press,
    select,
    sliceView,
)

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(host):
    return openPanel(host)


def test_the_table_shows_the_plan(panel):
    table = panel.ui.screwTable
    assert table.rowCount == 4
    assert [table.item(0, n).text() for n in (0, 1)] == ["T12 L", "A"]
    assert table.item(0, 3).text().split(" / ")[0] != "-"
    assert panel.ui.upperCombo.currentText == "T12"
    assert "4 screws" in panel.ui.summaryLabel.text
    assert "Grades: 4 A." in panel.ui.summaryLabel.text


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
        sliceView(host, "Red").mrmlSliceNode().JumpSliceByCentering(*middle)
        host.process(0.05)
        mouse.drag(sliceView(host, "Red"), middle, middle - (1.0, 0, 0))
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
    # The drawn pedicle leaves no room beside 6 mm; its voxels lie half a millimetre to the left.
    behind = np.array(old.entry) - (0.5, 0, 0)
    before = np.array((*old.tip[:2], old.entry[2])) - (0.5, 0, 0)
    sliceView(host, "Red").mrmlSliceNode().JumpSliceByCentering(*behind)
    host.process(0.05)
    count = host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsLineNode")
    click(panel.ui.placeButton)
    mouse.click(sliceView(host, "Red"), behind)
    mouse.click(sliceView(host, "Red"), before)
    host.process(0.1)
    new = panel.planner.plan.screw("L1-right")
    np.testing.assert_allclose(new.entry, behind, atol=1.0)
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
    from spinemar.planning.plans.commands import ReplacePlan
    from spinemar.planning.plans.plan import Plan

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


def test_preview_of_three_slices_by_a_worker_that_waited(host, panel):
    panel.ui.scanStep.collapsed = False
    host.process()
    waiting = panel.planner.plannerJobs._standby.pid
    assert waiting is not None
    select(host, panel, "L1-left")
    click(panel.ui.previewButton)
    host.waitUntil(lambda: panel.runner.run is None or panel.runner.run.pid, 20)
    assert panel.runner.run.pid == waiting
    finish(host, panel)
    assert panel.planner.preview.node.GetImageData().GetDimensions()[2] == 3
    assert "3 slices in" in panel.ui.statusLabel.text
    composite = host.layoutManager.sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == panel.planner.preview.node.GetID()
    assert panel.planner.plannerJobs._standby.pid not in (None, waiting)  # for the next one
    panel.ui.tipA.value = panel.ui.tipA.value - 1.0
    assert composite.GetForegroundVolumeID() is None  # it is of another plan now


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
    from SpineImplantPlanner import SpineImplantPlannerTest

    (source,) = slicer.modules.sampleDataSources["SpineMAR"]
    assert source.sampleName == "SpineCT"
    SpineImplantPlannerTest().runTest()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode") >= 4


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_sample_is_ready_to_plan_in(host):
    from spinemar.demo import sample_data

    if not (sample_data.cache_folder() / "cxr.nii.gz").is_file():
        pytest.skip("the sample CT has not been fetched (spinemar sample-data)")
    host.showWindow()
    host.loadModule(MODULE)
    host.finishStartup()
    import slicer
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    host.clickSample("SpineCT")
    ct, vertebrae = slicer.util.getNode("Spine CT"), slicer.util.getNode("Spine CT vertebrae")
    labels, names = spinenodes.labelsOf(vertebrae, ct)
    assert {"T12", "L1", "L2"} <= set(names.values())
    assert labels.labels.shape == (133, 512, 512)


def test_plan_of_another_scan_asks_about_alignment(host, panel, tmp_path):
    from dataclasses import replace

    from spinemar.planning.plans.plan_json import write_plan

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

    assert len(host.window.findChildren(QShortcut)) == 22
    panel.exit()
    host.process(0.05)
    assert not [s for s in host.window.findChildren(QShortcut) if s.parent() is host.window]


def test_everything_that_can_be_touched_has_a_tooltip(panel):
    """By the names of the form: what Qt's own widgets are made of has none."""
    import qt

    without = [
        name
        for name, widget in vars(panel.ui).items()
        if isinstance(widget, qt.QWidget)
        and not isinstance(widget, qt.QLabel | qt.QProgressBar)
        and "Step" not in name
        and "Box" not in name.removesuffix("SpinBox").removesuffix("CheckBox")
        and not name.startswith(("qt_", "Spine"))
        and not widget.toolTip
    ]
    assert without == []
