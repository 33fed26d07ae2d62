"""Step 1 with real clicks: the Segment Editor, TotalSegmentator, levels, one vertebra."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.spine.labels.levels import VERSE_IDS
from Testing.gui.plannerpanel import chip, click, finish, openPanel, select, sliceView

pytestmark = pytest.mark.gui
STANDINS = Path(__file__).resolve().parent / "standins"


@pytest.fixture
def panel(host):
    return openPanel(host)


def editedWithout(node, level, keep):
    """Erase a part of a segment, as a user would with the eraser; return the voxels erased."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    segmentation = node.GetSegmentation()
    name = segmentation.GetSegmentIdBySegmentName(level)
    image = segmentation.GetSegment(name).GetRepresentation("Binary labelmap")
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(
        image.GetDimensions()[::-1]
    )  # a view of the image's own memory
    erased = np.zeros(voxels.shape, bool)
    erased[:, keep:] = voxels[:, keep:] > 0
    voxels[erased] = 0
    image.Modified()
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    assert isinstance(image, vtk.vtkImageData)
    return int(erased.sum())


def backButton(slicerModule):
    import qt

    return slicerModule.widgetRepresentation().findChild(
        qt.QPushButton, "backToSpineImplantPlannerButton"
    )


def test_editor_and_back_with_one_click_fits_only_what_was_edited(host, panel):
    import slicer
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    host.loadModule(STANDINS / "SegmentEditor" / "SegmentEditor.py")
    before = panel.planner.session.spine
    panel.ui.spineTable.setCurrentCell(1, 0)
    panel.spine.onCell(1, 0)
    click(panel.ui.editSpineButton)
    assert host.window.moduleSelector().selectedModule == "SegmentEditor"
    editor = slicer.modules.SegmentEditorWidget.editor
    assert editor.segmentationNode is panel.planner.spineNode
    assert editor.sourceVolumeNode is host.volume
    assert editor.segmentationNode.GetSegmentation().GetSegment(editor.segmentId).GetName() == "L1"
    assert editedWithout(panel.planner.spineNode, "L1", -6) > 50
    click(backButton(slicer.modules.segmenteditor))
    assert host.window.moduleSelector().selectedModule == "SpineImplantPlanner"
    assert backButton(slicer.modules.segmenteditor) is None
    finish(host, panel)
    assert host.messages == []
    after = panel.planner.session.spine
    # T12 keeps the drawing's own numbers; L1's are fitted to voxels, and shallower in front.
    drawn = before.vertebra("T12").pedicles["left"]
    assert after.vertebra("T12").pedicles["left"].width_mm == drawn.width_mm
    fitted, old = (one.vertebra("L1").pedicles["left"] for one in (after, before))
    assert np.abs(fitted.isthmus_ras - old.isthmus_ras).max() > 0.05
    assert fitted.height_mm != old.height_mm
    np.testing.assert_array_equal(
        after.vertebra("T12").body_centre_ras, before.vertebra("T12").body_centre_ras
    )
    assert after.vertebra("L1").body_centre_ras[1] < before.vertebra("L1").body_centre_ras[1]
    count = [np.count_nonzero(s.labels.labels == VERSE_IDS["L1"]) for s in (before, after)]
    assert count[1] < count[0]
    assert panel.ui.historyLabel.text == "Edit L1"
    click(panel.ui.undoButton)
    assert panel.planner.session.spine is before
    labels, _names = spinenodes.labelsOf(panel.planner.spineNode, host.volume)
    np.testing.assert_array_equal(labels.labels, before.labels.labels)  # in the scene too
    click(panel.ui.redoButton)
    assert panel.planner.session.spine is after


def test_back_from_the_editor_without_an_edit_changes_nothing(host, panel):
    import slicer

    host.loadModule(STANDINS / "SegmentEditor" / "SegmentEditor.py")
    plan, spine = panel.planner.plan, panel.planner.session.spine
    click(panel.ui.editSpineButton)
    click(backButton(slicer.modules.segmenteditor))
    finish(host, panel)
    assert "not changed" in panel.ui.statusLabel.text
    assert (panel.planner.plan, panel.planner.session.spine) == (plan, spine)


def test_totalsegmentator_is_offered_where_installed_and_its_vertebrae_come_back(host):
    import slicer

    host.loadModule(STANDINS / "TotalSegmentator" / "TotalSegmentator.py")
    panel = openPanel(host, planned=False)
    assert panel.ui.totalSegmentatorButton.visible
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    spine = panel.planner.session.spine

    def paint(_volumeNode, output):
        for level in ("T12", "L1"):
            mask = spine.labels.labels == VERSE_IDS[level]
            image = spinenodes.orientedImage(mask, spine.labels.ijk_to_ras, (0, 0, 0))
            output.AddSegmentFromBinaryLabelmapRepresentation(image, f"vertebrae_{level}")

    slicer.modules.totalsegmentator.widgetRepresentation()
    stub = slicer.modules.TotalSegmentatorWidget
    stub.paint = paint
    click(panel.ui.totalSegmentatorButton)
    assert stub.ran == [("Drawn spine", "total")]
    assert host.window.moduleSelector().selectedModule == "SpineImplantPlanner"
    finish(host, panel)
    assert host.messages == []
    assert panel.planner.session.spine is not spine
    assert panel.planner.session.spine.levels == ("T12", "L1")


def test_totalsegmentator_that_finds_nothing_leaves_a_way_back(host):
    import slicer

    host.loadModule(STANDINS / "TotalSegmentator" / "TotalSegmentator.py")
    panel = openPanel(host, planned=False)
    spine = panel.planner.session.spine
    click(panel.ui.totalSegmentatorButton)
    assert host.window.moduleSelector().selectedModule == "TotalSegmentator"
    click(backButton(slicer.modules.totalsegmentator))
    assert host.window.moduleSelector().selectedModule == "SpineImplantPlanner"
    assert panel.planner.session.spine is spine


def test_totalsegmentator_is_not_offered_where_it_is_missing(panel):
    assert not panel.ui.totalSegmentatorButton.visible


def test_a_vertebra_is_segmented_again_from_a_click_in_its_body(host, panel, monkeypatch):
    """The click with a real mouse; the segmentation itself has its tests in the core."""
    from Testing.host import mouse

    spine, asked = panel.planner.session.spine, []

    def correct(ct, model, level, point):
        asked.append((level, point))
        return SimpleNamespace(
            running=False,
            error=None,
            log="",
            letWork=lambda beatSeconds: None,
            result=type(spine)(model.labels, spine.vertebrae, spine.canal_ras),
        )

    monkeypatch.setattr(panel.planner.plannerJobs, "correct", correct)
    centre = spine.vertebra("L1").body_centre_ras
    panel.spine.onCell(1, 0)
    host.process(0.05)
    click(panel.ui.mendButton)
    assert "body of L1" in panel.ui.statusLabel.text
    mouse.click(sliceView(host, "Red"), centre)
    host.waitUntil(lambda: asked and panel.runner.run is None, 5)
    assert asked[0][0] == "L1"
    np.testing.assert_allclose(asked[0][1], centre, atol=1.5)
    assert not panel.ui.mendButton.checked
    assert panel.planner.session.spine is not spine
    assert panel.ui.historyLabel.text == "Segment L1 again"
    click(panel.ui.undoButton)
    assert panel.planner.session.spine is spine


def test_levels_are_renamed_with_their_implants_and_undone(host, panel):
    plan = panel.planner.plan
    panel.ui.spineTable.setCurrentCell(1, 0)
    panel.spine.onCell(1, 0)
    assert panel.ui.relabelCombo.currentText == "L1"
    panel.ui.relabelCombo.setCurrentText("L2")
    click(panel.ui.relabelButton)
    finish(host, panel)
    now = panel.planner.plan
    assert panel.planner.session.spine.levels == ("L1", "L2")
    assert [s.id for s in now.screws] == [
        s.id.replace("L1", "L2").replace("T12", "L1") for s in plan.screws
    ]
    # The same bone, the same grades; rods hold the same screws under their new names.
    for old, new in zip(plan.screws, now.screws, strict=True):
        assert (new.entry, new.tip, new.grade) == (old.entry, old.tip, old.grade)
    assert {n for rod in now.rods for n in rod.screw_ids} == {s.id for s in now.screws}
    select(host, panel, "L2-left")
    panel.ui.entryR.value = panel.ui.entryR.value + 4.0
    assert chip(panel, "L2-left")[0] != "A"
    click(panel.ui.undoButton)
    click(panel.ui.undoButton)
    assert panel.planner.plan == plan
    assert panel.planner.session.spine.levels == ("T12", "L1")
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    labels, _names = spinenodes.labelsOf(panel.planner.spineNode, host.volume)
    np.testing.assert_array_equal(labels.labels, panel.planner.session.spine.labels.labels)


def test_one_segment_of_the_whole_spine_is_accepted(host, panel):
    """It is handed to the worker as such, under its own name; the core divides it."""
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    spine = panel.planner.session.spine
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mask = spine.labels.labels > 0
    image = spinenodes.orientedImage(mask, spine.labels.ijk_to_ras, (0, 0, 0))
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "Spine")
    labels, names = spinenodes.labelsOf(node, host.volume)
    assert names == {1: "Spine"}
    np.testing.assert_array_equal(labels.labels == 1, mask)
