"""The planner's panel on a spine with a sacrum and a pelvis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import PELVIS
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.pelvic_parts import LEFT_HIP, RIGHT_HIP
from spinemar.volume import LabelVolume
from Testing.core.spine.pelvis_phantom import PLATE, inside_hip, phantom
from Testing.gui import plannerpanel
from Testing.gui.plannerpanel import chip, click, finish, openPanel, select

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    spine = frames_from_labels(made.labels, made.ct)
    settings = PlanSettings(pelvic="S2AI")
    return spine, plan_with_alternatives(spine, made.ct, "L5-S1", load_catalogue(), settings)


@pytest.fixture
def panel(host, patient, monkeypatch):
    monkeypatch.setattr(plannerpanel, "_spine", lambda *_: patient)
    return openPanel(host, "L5-S1")


def rename(host, panel, row, level):
    panel.ui.spineTable.setCurrentCell(row, 0)
    panel.spine.onCell(row, 0)
    panel.ui.relabelCombo.setCurrentText(level)
    click(panel.ui.relabelButton)
    finish(host, panel)


def test_a_spine_with_s1_is_counted_from_it(host, panel):
    plan, spine = panel.planner.plan, panel.planner.session.spine
    assert spine.levels == ("L4", "L5", "S1")
    rename(host, panel, 0, "L3")
    assert panel.planner.session.spine.levels == ("L4", "L5", "S1")
    assert panel.planner.plan == plan
    assert "a sacrum does not become a vertebra" in panel.ui.statusLabel.text


def test_its_names_confirmed_keep_every_grade(host, panel):
    grades = {screw.id: screw.grade for screw in panel.planner.plan.screws}
    assert grades["S2AI-left"].letter == "A"
    rename(host, panel, 0, "L4")
    now = panel.planner.plan
    assert {screw.id: screw.grade for screw in now.screws} == grades
    assert panel.planner.session.gradedScrew(now.screw("S2AI-left").without_grade()).grade


def test_screws_into_the_ilium_are_asked_for_shown_and_graded_while_moved(host, panel):
    ui = panel.ui
    ui.scopeCombo.setCurrentIndex(0)
    for index, course in enumerate(("", "S2AI", "iliac")):
        ui.pelvicCombo.setCurrentIndex(index)
        assert panel.automatic.settings().pelvic == course
    # They belong to a construct, not to a level or one pedicle.
    ui.scopeCombo.setCurrentIndex(1)
    assert panel.automatic.settings().pelvic == ""
    assert [ui.screwTable.item(n, 0).text() for n in (4, 5)] == ["S2AI L", "S2AI R"]
    select(host, panel, "S2AI-left")
    assert chip(panel, "S2AI-left").startswith("A")
    # 12 mm outwards it leaves the ilium.
    ui.entryR.value = ui.entryR.value - 12.0
    host.process(0.05)
    assert not chip(panel, "S2AI-left").startswith("A")
    click(ui.undoButton)
    assert chip(panel, "S2AI-left").startswith("A")
    # Another spine, whose hips nobody outlined, says why there is no grade.
    panel.planner.session._known().pop(PELVIS)
    screw = panel.planner.session.gradedScrew(panel.planner.plan.screw("S2AI-left").without_grade())
    assert "hips were not outlined" in screw.not_graded


def loaded_again(host, panel, hu=None):
    """Have the plan as a loaded scene has it: with its spine and CT, nothing outlined yet."""
    import slicer

    planner = panel.planner
    if hu is not None:
        slicer.util.updateVolumeFromArray(host.volume, hu)
    planner.volumeNode = None
    planner.setVolume(host.volume)
    planner.session._known().pop(PELVIS)
    planner.loadPlan(planner.plan)
    host.process(0.05)


def test_a_loaded_plan_has_its_hips_outlined_and_is_graded(host, panel):
    before = {screw.id: screw.grade for screw in panel.planner.plan.screws}
    loaded_again(host, panel, phantom().ct.hu)
    assert chip(panel, "S2AI-left").startswith("not graded")
    host.waitUntil(lambda: chip(panel, "S2AI-left").startswith("A"), 240)
    now = panel.planner.plan
    assert {screw.id: screw.grade for screw in now.screws} == before
    assert not any("hips were not outlined" in text for text in now.warnings)
    assert panel.planner.session.history.undo_description is None
    select(host, panel, "S2AI-left")
    panel.ui.entryR.value = panel.ui.entryR.value - 12.0
    host.process(0.05)
    assert chip(panel, "S2AI-left")[0] in "BCDE"
    click(panel.ui.undoButton)
    assert chip(panel, "S2AI-left").startswith("A")


def test_where_no_hips_are_seen_it_is_tried_once(host, panel):
    loaded_again(host, panel)  # the drawn CT has none
    hips = panel.automatic._hips
    host.waitUntil(lambda: hips._watch.run is None, 240)
    panel.refresh()
    assert hips._watch.run is None
    assert chip(panel, "S2AI-left").startswith("not graded")
    select(host, panel, "S2AI-left")
    assert "hips were not outlined" in panel.ui.selectedLabel.text


@pytest.fixture
def hips(patient):
    """The phantom's CT, and its hips on that grid under the numbers of `pelvic_parts`."""
    made, labels = phantom(), patient[0].labels
    k, j, i = np.indices(labels.labels.shape)
    at = labels.geometry.to_ras(np.stack([i, j, k], -1)) - PLATE
    spine = labels.labels > 0
    joint = ndimage.distance_transform_edt(~spine, sampling=labels.geometry.spacing_mm[::-1]) < 2.5
    hip = inside_hip(at) & ~joint
    parts = np.where(at[..., 0] < 0, LEFT_HIP, RIGHT_HIP) * hip
    return made.ct, LabelVolume(parts.astype(np.int16), labels.ijk_to_ras)


def segmentation(host, panel, parts):
    """Put a segmentation of somebody's into the scene: vertebrae, sacrum, hips."""
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    labels = panel.planner.session.spine.labels
    node = spinenodes.newSegmentation(host.scene, "Total")
    numbers = {"vertebrae_L4": 23, "vertebrae_L5": 24, "vertebrae_S1": 26}
    for source, names in ((labels, numbers), (parts, {"hip_left": 1, "hip_right": 2})):
        for name, number in names.items():
            image = spinenodes.orientedImage(source.labels == number, source.ijk_to_ras, (0, 0, 0))
            node.AddSegmentFromBinaryLabelmapRepresentation(image, name)
    return node


def test_hips_of_a_segmentation_are_the_outline_and_stay_in_the_scene(host, panel, hips):
    import slicer
    from SpineImplantPlannerLib.nodes import spine as spinenodes

    ct, parts = hips
    planner = panel.planner
    slicer.util.updateVolumeFromArray(host.volume, ct.hu)
    planner.volumeNode = None
    planner.setVolume(host.volume)
    panel.ui.segmentationSelector.setCurrentNode(segmentation(host, panel, parts))
    click(panel.ui.useSegmentationButton)
    finish(host, panel)
    assert host.messages == []
    found = planner.session.spine.pelvis
    for number in (LEFT_HIP, RIGHT_HIP):
        assert (found.labels == number).sum() == (parts.labels == number).sum()
    # A saved scene keeps them as segments of the spine's node.
    back = spinenodes.spineOf(planner.spineNode, planner.volumeNode)
    assert back.pelvis is not None
    assert np.array_equal(back.pelvis.labels, found.labels)
    assert back.levels == ("L4", "L5", "S1")
    # They are what screws are planned in: hips that lie beside the bone are refused.
    matrix = found.ijk_to_ras.copy()
    matrix[0, 3] += 8.0
    wrong = replace(planner.session.spine, pelvis=replace(found, ijk_to_ras=matrix))
    planner.session.setSpine(wrong)
    panel.ui.scopeCombo.setCurrentIndex(0)
    panel.ui.pelvicCombo.setCurrentIndex(1)
    panel.ui.upperCombo.setCurrentText("L5")
    panel.ui.lowerCombo.setCurrentText("S1")
    click(panel.ui.planButton)
    finish(host, panel)
    assert "do not fit the CT" in host.messages[-1].text
