"""After the operation: a CT with metal in it, one click, and the implants are the plan."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.plans.commands import MoveScrew, RemoveImplant
from spinemar.planning.plans.plan_json import write_plan
from Testing.gui.plannerpanel import click, finish, openPanel

pytestmark = pytest.mark.gui


@pytest.fixture
def operated(host, monkeypatch):
    """The panel, a plan that was carried out, and the CT from after it."""
    import slicer

    panel = openPanel(host)
    from SpineImplantPlannerLib.steps.afteroperation import AfterOperationStep

    from SpineMARLib.nodes.volumes import geometryOf, setArray

    plan = panel.planner.plan
    shares = voxelize_plan(plan, geometryOf(host.volume), load_catalogue()).values()
    metal = np.clip(np.sum(list(shares), axis=0), 0, 1)
    hu = slicer.util.arrayFromVolume(host.volume)
    before = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Before")
    before.CopyOrientation(host.volume)
    setArray(before, hu.copy())
    setArray(host.volume, np.rint(hu * (1 - metal) + 9000 * metal).astype(np.int16))
    panel.planner.setVolume(None)
    panel.planner.setVolume(host.volume)
    wanted = AfterOperationStep.settings
    monkeypatch.setattr(
        AfterOperationStep,
        "settings",
        lambda step: wanted(step) | {"correction": {"method": "li", "device": "cpu"}},
    )
    panel.ui.afterStep.collapsed = False
    host.process(0.05)
    return panel, plan


def _bones(panel):
    combo = panel.ui.boneCombo
    return [combo.itemText(n) for n in range(combo.count)]


def _choose(host, panel, start, combo=None):
    """Choose the entry that begins so, as a user does."""
    combo = panel.ui.boneCombo if combo is None else combo
    texts = [combo.itemText(n) for n in range(combo.count)]
    index = next(n for n, text in enumerate(texts) if text.startswith(start))
    combo.setCurrentIndex(index)
    combo.activated.emit(index)
    host.process(0.05)


def _sizes_are_its_own(host, panel, screw):
    """What the boxes say, before and after a step to the catalogue's next diameter."""
    ui, planner = panel.ui, panel.planner
    assert float(ui.diameterCombo.currentText) == screw.diameter_mm
    assert float(ui.lengthCombo.currentText) == screw.length_mm
    panel.screws.step(diameter=1)
    host.process(0.05)
    grown = planner.plan.screw(screw.id)
    sizes = planner.session.catalogue.screw(screw.model).diameters_mm
    assert grown.diameter_mm == min(one for one in sizes if one > screw.diameter_mm)
    assert grown.length_mm == screw.length_mm
    click(ui.undoButton)
    host.process(0.05)
    assert planner.plan.screw(screw.id) == screw


@pytest.mark.slow
def test_what_was_put_in_is_found_by_one_click_and_undone_by_one(host, operated):
    panel, plan = operated
    moved = plan.screws[0]
    panel.planner.do(RemoveImplant(moved.id))
    kept = panel.planner.plan
    _choose(host, panel, "vertebrae")
    click(panel.ui.findImplantsButton)
    finish(host, panel)
    found = panel.planner.plan
    assert {screw.id for screw in found.screws} == {screw.id for screw in plan.screws}
    for screw in plan.screws:
        one = found.screw(screw.id)
        assert np.linalg.norm(np.subtract(one.tip, screw.tip)) < 3.0
        assert one.sighting is not None
    assert len(found.rods) == len(plan.rods)
    assert "4 screws and 2 rods were found." in panel.ui.foundLabel.text
    assert panel.ui.screwTable.rowCount == 4
    assert "on the labels" in panel.ui.selectedLabel.text
    assert "HU" not in panel.ui.selectedLabel.text  # it would be that of the metal
    _sizes_are_its_own(host, panel, found.screw(panel.planner.selected))
    click(panel.ui.undoButton)
    host.process(0.05)
    assert panel.planner.plan == kept


def test_an_earlier_ct_of_the_scene_is_offered_and_handed_over(host, operated, monkeypatch):
    import slicer

    panel, _plan = operated
    assert _bones(panel)[2:] == ["earlier CT: Before"]
    given = []

    def refuse(_jobs, *handed):
        given.append(handed)
        raise InputError("Not here.", "It is a test.")

    monkeypatch.setattr("SpineImplantPlannerLib.jobs.found.start", refuse)
    monkeypatch.setattr(panel.runner, "showError", lambda *_: None)
    monkeypatch.setattr("SpineMARLib.panel.errors.showError", lambda *_, **__: None)
    _choose(host, panel, "earlier CT")
    click(panel.ui.findImplantsButton)
    (_ct, earlier, spine, settings, planned) = given[0]
    np.testing.assert_array_equal(
        earlier.voxels, slicer.util.arrayFromVolume(slicer.util.getNode("Before"))
    )
    assert spine is None
    assert settings["material"] == panel.ui.materialCombo.currentText
    assert planned is None  # nobody chose a plan to compare with


@pytest.mark.slow
def test_screws_are_graded_in_an_earlier_ct_by_keys_and_a_click(host, operated):
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    panel, plan = operated
    for _ in range(2):
        QTest.keyClick(panel.ui.boneCombo, Qt.Key.Key_Down)
        host.process(0.05)
    assert panel.ui.boneCombo.currentText == "earlier CT: Before"
    _choose(host, panel, "the present plan", panel.ui.operationPlanCombo)
    click(panel.ui.findImplantsButton)
    finish(host, panel)
    assert host.messages == []
    found = panel.planner.plan
    assert len(found.screws) == len(plan.screws)
    for screw, true in zip(found.screws, plan.screws, strict=True):
        assert np.linalg.norm(np.subtract(screw.tip, true.tip)) < 3.0
        assert screw.grade.letter == true.grade.letter == "A"
        assert screw.sighting.bone == "earlier CT"
    # Nobody named a vertebra of this CT: that is said where the result is.
    assert "The levels are a guess" in panel.ui.foundLabel.text
    _table_says_what_is_near_and_what_was_planned(panel, found)
    _back_where_it_was_found_a_screw_has_its_grade(host, panel, found.screws[0])
    _levels_are_asked_and_named(host, panel)


def _table_says_what_is_near_and_what_was_planned(panel, found):
    table = panel.ui.foundTable
    assert table.isVisible()
    assert table.rowCount == len(found.screws)
    for row, screw in enumerate(found.screws):
        cells = [table.item(row, n).text() for n in range(table.columnCount)]
        assert cells[0] == screw.id
        assert cells[1] == screw.grade.letter
        before, endplate, entry, tip, angle = (float(cells[n]) for n in (2, 3, 5, 6, 7))
        assert before > 0
        assert endplate > 0
        assert max(entry, tip) < 3.0
        assert angle < 4.0
        assert not table.isColumnHidden(7)


def _back_where_it_was_found_a_screw_has_its_grade(host, panel, screw):
    """Graded in the bone that it was found in, not in labels on the scan's grid."""
    planner = panel.planner
    moved = tuple(np.add(screw.entry, (0.0, 0.0, 2.0)).tolist())
    tip = tuple(np.add(screw.tip, (0.0, 0.0, 2.0)).tolist())
    planner.do(MoveScrew(screw.id, moved, tip))
    host.process(0.05)
    assert planner.plan.screw(screw.id).grade.margin_mm != screw.grade.margin_mm
    assert panel.ui.foundTable.rowCount == len(planner.plan.screws) - 1
    again = planner.session.gradedScrew(screw.without_grade())
    assert again.grade == screw.grade
    click(panel.ui.undoButton)
    host.process(0.05)
    assert panel.ui.foundTable.rowCount == len(planner.plan.screws)


def _levels_are_asked_and_named(host, panel):
    ui, planner = panel.ui, panel.planner
    assert ui.levelQuestionBox.isVisible()
    before = planner.plan.screws[0].level
    assert ui.topScrewCombo.currentText == before
    wanted = "T11" if before != "T11" else "T10"
    ui.topScrewCombo.setCurrentIndex(ui.topScrewCombo.findText(wanted))
    click(ui.nameLevelsButton)
    finish(host, panel)
    assert planner.plan.screws[0].level == wanted
    assert planner.plan.screws[0].grade is not None
    assert not ui.levelQuestionBox.isVisible()
    assert "guess" not in ui.foundLabel.text
    assert ui.foundTable.item(0, 0).text().startswith(wanted)


@pytest.mark.slow
def test_what_was_found_in_one_ct_is_not_put_into_another(host, operated, monkeypatch):
    import slicer

    panel, plan = operated
    said = []
    monkeypatch.setattr(
        "SpineMARLib.panel.errors.showError", lambda error, *_, **__: said.append(str(error))
    )
    _choose(host, panel, "vertebrae")
    click(panel.ui.findImplantsButton)
    panel.parameters.inputVolume = slicer.util.getNode("Before")
    finish(host, panel)
    assert panel.planner.plan == plan
    assert "The CT was changed meanwhile." in said[0]


def test_a_plan_is_compared_with_through_an_earlier_ct_alone(host, operated, tmp_path, monkeypatch):
    """It was made on that CT; a plan of a file is listed once it was chosen."""
    import qt

    panel, plan = operated
    combo = panel.ui.operationPlanCombo
    assert not combo.enabled
    _choose(host, panel, "earlier CT")
    assert combo.enabled
    texts = [combo.itemText(n) for n in range(combo.count)]
    assert texts == ["no plan", "the present plan", "a file..."]
    assert panel.after.operationPlan.plan is None
    write_plan(tmp_path / "wanted.json", plan)
    chosen = [str(tmp_path / "wanted.json")]
    monkeypatch.setattr(qt.QFileDialog, "getOpenFileName", lambda *_: chosen[0])
    _choose(host, panel, "a file", combo)
    assert combo.currentText == "wanted.json"
    assert panel.after.operationPlan.plan == plan
    panel.refresh()
    assert combo.currentText == "wanted.json"
    (tmp_path / "bad.json").write_text("{}")
    monkeypatch.setattr("SpineMARLib.panel.errors.showError", lambda *_, **__: None)
    chosen[0] = str(tmp_path / "bad.json")
    _choose(host, panel, "a file", combo)
    assert panel.after.operationPlan.plan is None


def test_the_choice_stays_with_the_scene(host, operated):
    panel, _plan = operated
    _choose(host, panel, "earlier CT")
    assert panel.parameters.earlierCt.GetName() == "Before"
    panel.refresh()
    assert panel.ui.boneCombo.currentText == "earlier CT: Before"
    _choose(host, panel, "this CT")
    assert panel.parameters.earlierCt is None


def test_a_button_that_cannot_be_used_says_why(host, operated):
    panel, _plan = operated
    assert panel.ui.findImplantsButton.enabled
    panel.planner.setLocked(True)
    host.process(0.05)
    assert not panel.ui.findImplantsButton.enabled
    assert "Unlock" in panel.ui.afterReason.text


@pytest.mark.slow
def test_without_metal_nothing_is_changed(host, monkeypatch):
    panel = openPanel(host)
    said = []
    monkeypatch.setattr(panel.runner, "showError", lambda error, *_: said.append(str(error)))
    plan = panel.planner.plan
    panel.ui.afterStep.collapsed = False
    host.process(0.05)
    click(panel.ui.findImplantsButton)
    finish(host, panel)
    assert panel.planner.plan == plan
    assert "No metal" in said[0]
