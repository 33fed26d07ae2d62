"""A surgeon's hands on the planner: real mouse events in slice and 3-D views, keys, views."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.gui.plannerpanel import chip, click, finish, openPanel, press, select, sliceView

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(host):
    return openPanel(host)


def threeD(host, panel, direction):
    """Return the 3-D view, looking at the plan from a direction."""
    view = host.layoutManager.threeDWidget(0).threeDView()
    centre = np.mean([screw.entry for screw in panel.planner.plan.screws], axis=0)
    camera = view.cameraNode()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + np.array(direction, float)))
    camera.SetViewUp(0, 0, 1)
    host.process(0.1)
    return view


def handle(screw, end):
    entry, tip = np.array(screw.entry), np.array(screw.tip)
    return {"head": entry, "tip": tip, "shaft": (entry + tip) / 2}[end]


@pytest.mark.parametrize("where", ["Red", "Yellow", "Green", "3D"])
def test_head_tip_and_shaft_are_dragged_in_every_view(host, panel, where):
    from Testing.host import mouse

    select(host, panel, "L1-right")
    before = panel.planner.plan
    screw = before.screw("L1-right")
    shift = np.array([0.0, 0.0, 4.0] if where == "Yellow" else [-4.0, 0.0, 0.0])
    view = threeD(host, panel, (30, -260, 60)) if where == "3D" else sliceView(host, where)
    for end in ("head", "tip", "shaft"):
        place = handle(screw, end)
        if where != "3D":
            view.mrmlSliceNode().JumpSliceByCentering(*place)
            host.process(0.05)
        seen = []
        panel.planner.onMoving = lambda moved, show=panel.onMoving, seen=seen: (
            show(moved),
            seen.append((moved, chip(panel, "L1-right"))),
        )
        mouse.drag(view, place, place + shift)
        now = panel.planner.plan.screw("L1-right")
        moved = [np.subtract(n, o) for n, o in ((now.entry, screw.entry), (now.tip, screw.tip))]
        still, gone = {"head": (1, 0), "tip": (0, 1), "shaft": (None, 0)}[end]
        # What was grasped went along with the mouse, the rest stayed or went with it.
        assert moved[gone] @ shift / 4.0 == pytest.approx(4.0, abs=1.5), end
        if still is None:
            np.testing.assert_allclose(moved[0], moved[1], atol=1e-6)
        else:
            assert np.linalg.norm(moved[still]) < 1.5, end
        assert now.length_mm == screw.length_mm
        # While it went, its row told of the screw as it was just then.
        assert len(seen) > 2
        assert all(text[0] == live.grade.letter for live, text in seen)
        click(panel.ui.undoButton)
        assert panel.planner.plan == before, end


def test_a_screw_dragged_away_from_its_vertebra_is_graded_e(host, panel):
    select(host, panel, "L1-right")
    panel.ui.entryA.value = panel.ui.entryA.value - 300.0
    assert host.messages == []
    assert chip(panel, "L1-right")[0] == "E"


def test_rod_point_is_dragged_in_3d_and_the_rod_follows_live(host, panel):
    from Testing.host import mouse

    view = threeD(host, panel, (-260, -60, 40))
    rod = panel.planner.plan.rods[0]
    place = np.array(rod.control_points[1])
    model, seen = panel.planner.nodes.model(rod.id), []
    tag = model.AddObserver(
        "ModifiedEvent", lambda *_: seen.append(model.GetPolyData().GetBounds()[2])
    )
    mouse.drag(view, place, place + np.array([0.0, -8.0, 0.0]))
    model.RemoveObserver(tag)
    now = panel.planner.plan.rods[0]
    assert now.control_points[1][1] - place[1] == pytest.approx(-8.0, abs=1.5)
    assert len({round(bound, 1) for bound in seen}) > 3  # not only at the end
    click(panel.ui.undoButton)
    assert panel.planner.plan.rods[0] == rod


def test_two_clicks_in_a_3d_and_a_slice_view_place_a_screw(host, panel):
    from PySide6.QtCore import Qt

    from Testing.host import mouse

    select(host, panel, "L1-right")
    old = panel.planner.plan.screw("L1-right")
    click(panel.ui.deleteButton)
    panel.planner.spineNode.CreateClosedSurfaceRepresentation()
    view = threeD(host, panel, (0, -260, 0))
    press(host, Qt.Key.Key_N)
    assert panel.ui.placeButton.checked
    entry = np.array(old.entry)
    mouse.click(view, entry)  # on the bone's surface, through whatever implant lies before it
    red = sliceView(host, "Red")
    red.mrmlSliceNode().JumpSliceByCentering(*old.tip)
    host.process(0.05)
    mouse.click(red, old.tip)
    host.process(0.1)
    new = panel.planner.plan.screw("L1-right")
    np.testing.assert_allclose(np.array(new.entry)[[0, 2]], entry[[0, 2]], atol=2.0)
    assert abs(new.entry[1] - entry[1]) < 6.0
    axis = np.subtract(new.tip, new.entry) / new.length_mm
    reach = np.subtract(old.tip, new.entry)
    assert np.linalg.norm(reach - (reach @ axis) * axis) < 1.5  # towards the target
    press(host, Qt.Key.Key_N)
    press(host, Qt.Key.Key_Escape)
    assert not panel.ui.placeButton.checked


def drawn(host, tmp_path, colour):
    """Count the pixels of an outline's colour (red, green, blue of 0-255) in the axial view."""
    from PIL import Image

    path = tmp_path / "red.png"
    host.process(0.05)
    host.screenshot(path, sliceView(host, "Red"))
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=2) < 40).sum())


def test_slice_views_show_what_is_there_and_nothing_else(host, panel, tmp_path):
    """After delete, undo and two clicks: the screw's outline, and no trace of the clicked line."""
    from Testing.host import mouse

    green, line = (34, 165, 89), (255, 128, 128)
    select(host, panel, "L1-right")
    old = panel.planner.plan.screw("L1-right")
    red = sliceView(host, "Red")
    # The drawn pedicle leaves no room beside 6 mm; its voxels lie half a millimetre to the left.
    behind = np.array(old.entry) - (0.5, 0, 0)
    before = np.array((*old.tip[:2], old.entry[2])) - (0.5, 0, 0)
    red.mrmlSliceNode().JumpSliceByCentering(*behind)
    both = drawn(host, tmp_path, green)
    click(panel.ui.deleteButton)
    one = drawn(host, tmp_path, green)
    assert one < 0.8 * both
    click(panel.ui.undoButton)
    assert drawn(host, tmp_path, green) == pytest.approx(both, rel=0.05)
    click(panel.ui.deleteButton)
    click(panel.ui.placeButton)
    mouse.click(red, behind)
    mouse.click(red, before)
    host.process(0.1)
    assert drawn(host, tmp_path, green) > one + 0.5 * (both - one)
    assert drawn(host, tmp_path, line) < 5


def test_keys_do_what_the_guide_says(host, panel):
    from PySide6.QtCore import Qt

    control = Qt.KeyboardModifier.ControlModifier
    select(host, panel, "T12-left")
    first = panel.planner.selectedScrew()
    for key, size in (
        (Qt.Key.Key_BracketLeft, lambda s: s.diameter_mm < first.diameter_mm),
        (Qt.Key.Key_BracketRight, lambda s: s.diameter_mm == first.diameter_mm),
        (Qt.Key.Key_Minus, lambda s: s.length_mm < first.length_mm),
        (Qt.Key.Key_Equal, lambda s: s.length_mm == first.length_mm),
        (Qt.Key.Key_L, lambda s: s.locked),
        (Qt.Key.Key_L, lambda s: not s.locked),
    ):
        press(host, key)
        assert size(panel.planner.selectedScrew()), key
    press(host, Qt.Key.Key_Period)
    assert panel.planner.selected == "T12-right"
    press(host, Qt.Key.Key_Comma)
    press(host, Qt.Key.Key_V)
    assert panel.ui.probeButton.checked
    depth, turn = panel.ui.depthSlider.value, panel.ui.turnSlider.value
    press(host, Qt.Key.Key_Down, control)
    press(host, Qt.Key.Key_Down, control | Qt.KeyboardModifier.ShiftModifier)
    assert panel.ui.depthSlider.value == pytest.approx(depth + 1.0)
    assert panel.ui.turnSlider.value == pytest.approx(turn + 15.0)
    press(host, Qt.Key.Key_V)
    assert sliceView(host, "Red").mrmlSliceNode().GetOrientation() == "Axial"
    press(host, Qt.Key.Key_Delete)
    assert len(panel.planner.plan.screws) == 3
    press(host, Qt.Key.Key_Z, control)
    assert panel.planner.selected == "T12-left"  # as it was
    press(host, Qt.Key.Key_H)
    assert panel.ui.profileButton.checked


def test_letters_typed_into_the_notes_are_no_shortcuts(host, panel):
    from PySide6.QtTest import QTest

    panel.ui.checkStep.collapsed = False
    host.process(0.05)
    before = panel.planner.plan
    panel.ui.notesEdit.setFocus()
    host.process()
    QTest.keyClicks(panel.ui.notesEdit, "pnvlhm[]-=,.")
    host.waitUntil(lambda: panel.planner.plan.notes, 5)
    assert panel.planner.plan.notes == "pnvlhm[]-=,."
    assert panel.planner.plan.screws == before.screws
    assert panel.runner.run is None


def test_standard_views_come_back_as_they_were(host, panel):
    node = sliceView(host, "Red").mrmlSliceNode()
    select(host, panel, "L1-left")  # which shows 110 mm; then the user zooms out
    node.SetFieldOfView(333.0, 222.0, node.GetFieldOfView()[2])
    click(panel.ui.probeButton)
    assert node.GetFieldOfView()[0] < 200
    click(panel.ui.standardButton)
    assert node.GetFieldOfView()[:2] == pytest.approx((333.0, 222.0))
    layout = host.layoutManager.layout
    click(panel.ui.profileButton)
    assert host.layoutManager.layout != layout
    click(panel.ui.profileButton)
    assert host.layoutManager.layout == layout


def test_plot_leaves_out_what_lies_outside_the_ct(host, panel):
    import slicer

    select(host, panel, "L1-left")
    panel.ui.entryS.value = panel.ui.entryS.value - 30.0  # half of the track leaves the CT
    panel.ui.tipS.value = panel.ui.tipS.value - 80.0
    table = slicer.util.arrayFromTableColumn(panel.planner.plot._table, "HU")
    profile = panel.planner.session.profile(panel.planner.selectedScrew())
    assert 0 < len(table) < len(profile.hu)
    np.testing.assert_array_equal(table, profile.hu[np.isfinite(profile.hu)])


def test_one_pedicle_and_one_level_are_planned_alone(host):
    panel = openPanel(host, planned=False)
    assert not panel.planner.plan.screws
    panel.ui.scopeCombo.setCurrentIndex(2)
    panel.automatic.onScope()
    assert not panel.ui.upperCombo.visible
    panel.ui.siteLevelCombo.setCurrentText("L1")
    panel.ui.siteSideCombo.setCurrentText("right")
    click(panel.ui.planButton)
    finish(host, panel)
    assert [s.id for s in panel.planner.plan.screws] == ["L1-right"]
    assert panel.planner.selected == "L1-right"
    panel.spine.onCell(0, 0)  # T12's row
    assert panel.ui.siteLevelCombo.currentText == "T12"
    panel.ui.scopeCombo.setCurrentIndex(1)
    panel.automatic.onScope()
    click(panel.ui.planButton)
    finish(host, panel)
    assert {s.id for s in panel.planner.plan.screws} == {"L1-right", "T12-left", "T12-right"}
    click(panel.ui.undoButton)
    assert [s.id for s in panel.planner.plan.screws] == ["L1-right"]


def test_plan_a_and_the_lock_are_saved_with_the_scene(host, panel, tmp_path):
    import slicer

    panel.ui.checkStep.collapsed = False
    click(panel.ui.keepButton)
    kept = panel.planner.plan
    select(host, panel, "L1-left")
    panel.ui.entryR.value = panel.ui.entryR.value + 1.0
    panel.ui.planLockCheckBox.checked = True
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.scene.Clear(0)
    assert not panel.ui.planLockCheckBox.checked
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.process(0.05)
    assert panel.planner.planA == kept
    assert panel.ui.planLockCheckBox.checked
    assert panel.planner.nodes.handle("L1-left").GetLocked()
    click(panel.ui.compareButton)
    assert panel.ui.compareTable.rowCount == 5


def test_plan_a_is_shown_beside_and_the_table_follows(host, panel):
    ui = panel.ui
    ui.checkStep.collapsed = False
    host.process(0.05)
    click(ui.keepButton)
    click(ui.compareButton)
    assert panel.planner.ghost.node is None  # nothing is different yet
    rows = [ui.compareTable.item(n, 0).text() for n in range(ui.compareTable.rowCount)]
    row = rows.index("L1-left")
    assert ui.compareTable.item(row, 1).text() == "0.0"
    select(host, panel, "L1-left")
    ui.entryR.value = ui.entryR.value + 2.0
    assert ui.compareTable.item(row, 1).text() == "2.0"
    ghost = panel.planner.ghost.node
    assert not ghost.GetSaveWithScene()
    left = [0.0] * 6
    ghost.GetRASBounds(left)
    assert left[1] < 0  # of the left side alone: the screw and its rod
    click(ui.swapPlansButton)
    assert panel.planner.ghost.node is not ghost  # plan A is the other one now
    click(ui.compareButton)
    assert panel.planner.ghost.node is None
    assert host.scene.GetNodesByName("Plan A").GetNumberOfItems() == 0
    assert ui.compareTable.rowCount == 0
