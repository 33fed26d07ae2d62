"""The planner's logic on real MRML, without Qt and without the global scene."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, load_catalogue
from spinemar.planning.constructs.assemble import add_crosslink
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.constructs.cages import cage_for_disc
from spinemar.planning.constructs.rods import RodSettings
from spinemar.planning.plans.commands import (
    LockImplant,
    MoveScrew,
    PutImplant,
    RemoveImplant,
    ReplacePlan,
    ResizeScrew,
)
from spinemar.spine.editing import shift_levels
from spinemar.spine.serial import spine_to_json

pytestmark = pytest.mark.slicer
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lib(host):
    """Return the modules under test; imported late, since a closing host unloads them."""
    folder = str(ROOT / "SpineImplantPlanner")
    if folder not in sys.path:
        sys.path.append(folder)
    from SpineImplantPlannerLib import logic, probe  # fmt: skip
    from SpineImplantPlannerLib.jobs import plannerjobs as work  # fmt: skip
    from SpineImplantPlannerLib.nodes import metal as metalnodes  # fmt: skip
    from SpineImplantPlannerLib.nodes import planstore
    from SpineImplantPlannerLib.nodes import spine as spinenodes
    from SpineImplantPlannerLib.panel import selftest  # fmt: skip
    from SpineImplantPlannerLib.plan import exporting, placing  # fmt: skip

    return SimpleNamespace(
        exporting=exporting, logic=logic, metalnodes=metalnodes, placing=placing,
        planstore=planstore, probe=probe, selftest=selftest, spinenodes=spinenodes, work=work,
    )  # fmt: skip


_PLANNED = {}


def planned(lib):
    """Plan the drawn spine once for all tests."""
    if not _PLANNED:
        spine = lib.selftest.drawnSpine()
        made = plan_with_alternatives(spine, None, "T12-L2", load_catalogue(), PlanSettings())
        _PLANNED.update(spine=spine, made=made)
    return _PLANNED["spine"], _PLANNED["made"]


@pytest.fixture
def planner(lib, other, tmp_path):
    spine, made = planned(lib)
    logic = lib.logic.PlannerLogic(other, tmp_path)
    logic.setVolume(lib.selftest.drawnCt(other, spine))
    logic.useSpine(spine)
    logic.session.take(made.fields)
    logic.loadPlan(made.plan)
    yield logic
    logic.release()


def test_names_in_doubt_are_not_graded_until_they_are_confirmed(lib, planner):
    spine, _ = planned(lib)
    doubt = "By its ribs this column is named wrongly."
    frames = tuple(replace(f, level_doubt=doubt, warnings=(doubt,)) for f in spine.vertebrae)
    planner.session.setSpine(replace(spine, vertebrae=frames))
    assert {screw.not_graded for screw in planner.plan.screws} == {doubt}
    assert any("not graded" in text for text in planner.plan.warnings)
    planner.takeShifted(shift_levels(planner.session.spine, 0))
    assert all(screw.grade is not None for screw in planner.plan.screws)
    assert not any("not graded" in text for text in planner.plan.warnings)


def test_the_grades_of_a_plan_from_elsewhere_are_not_believed(lib, planner):
    _, made = planned(lib)
    first = made.plan.screws[0]
    assert first.grade is not None
    beside = tuple(np.array([[25.0, 0, 0]]) + np.array([first.entry, first.tip]))
    moved = replace(first, entry=tuple(beside[0]), tip=tuple(beside[1]))
    planner.loadPlan(made.plan.with_screw(moved))
    grade = planner.plan.screw(first.id).grade
    assert grade is None or grade.letter not in ("A", "B")


def line(planner, name):
    return planner.nodes.handle(name)


def drag(planner, name, shift, index=None):
    """Drag a screw's line as a mouse would: events at the start, points, events at the end."""
    node = line(planner, name)
    node.InvokeEvent(node.PointStartInteractionEvent)
    for step in (0.5, 1.0):
        for n in (0, 1) if index is None else (index,):
            point = planner.plan.screw(name).entry if n == 0 else planner.plan.screw(name).tip
            node.SetNthControlPointPositionWorld(n, *(np.array(point) + step * np.array(shift)))
    node.InvokeEvent(node.PointEndInteractionEvent)


def test_a_plan_becomes_nodes_under_the_ct(lib, other, planner):
    import slicer

    plan = planner.plan
    assert len(plan.screws) == 6
    assert {s.grade.letter for s in plan.screws} == {"A"}
    for screw in plan.screws:
        model, handle = planner.nodes.model(screw.id), planner.nodes.handle(screw.id)
        assert model.GetPolyData().GetNumberOfPoints() > 1000
        np.testing.assert_allclose(handle.GetNthControlPointPositionWorld(0), screw.entry)
        np.testing.assert_allclose(handle.GetNthControlPointPositionWorld(1), screw.tip)
    assert planner.nodes.handle("rod-left").GetNumberOfControlPoints() == len(
        plan.rods[0].control_points
    )
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(other)
    item = tree.GetItemByDataNode(planner.nodes.model("L1-left"))
    assert tree.GetItemName(tree.GetItemParent(item)) == "Screws"
    assert tree.GetItemName(tree.GetItemParent(tree.GetItemParent(item))) == "Implant plan"


def test_spine_survives_as_a_segmentation(lib, other, planner):
    spine, _ = planned(lib)
    back = lib.spinenodes.spineOf(planner.spineNode, planner.volumeNode)
    np.testing.assert_array_equal(back.labels.labels, spine.labels.labels)
    assert spine_to_json(back) == spine_to_json(spine)


def test_labels_of_a_foreign_segmentation_by_name(lib, other, planner):
    node = planner.spineNode
    node.RemoveAttribute(lib.spinenodes.FRAMES_ATTRIBUTE)
    segmentation = node.GetSegmentation()
    segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName("L1")).SetName("vertebrae_L1")
    assert lib.spinenodes.spineOf(node, planner.volumeNode) is None
    labels, names = lib.spinenodes.labelsOf(node, planner.volumeNode)
    assert sorted(names.values()) == ["L1", "L2", "T12"]
    np.testing.assert_array_equal(labels.labels, planned(lib)[0].labels.labels)
    for n in range(3):
        node.GetSegmentation().GetNthSegment(n).SetName("liver")
    with pytest.raises(InputError, match="names no vertebra"):
        lib.spinenodes.labelsOf(node, planner.volumeNode)


@pytest.mark.parametrize(("mm", "letter"), [(0.0, "A"), (2.2, "B"), (4.2, "C"), (6.2, "D")])
def test_dragged_medially_the_grade_follows_the_box(planner, mm, letter):
    """The pedicle is 8 mm wide: a screw of d mm has (8 - d) / 2 mm of bone beside it."""
    screw = planner.plan.screw("L1-right")
    axis = np.subtract(screw.tip, screw.entry) / screw.length_mm
    straight = np.array([12.0, *screw.entry[1:]])
    planner.do(MoveScrew("L1-right", tuple(straight), tuple(straight + axis * [0, 40, 0] * 40)))
    room = (8.0 - planner.plan.screw("L1-right").diameter_mm) / 2
    shift = -(room + mm - 1.2) if mm else 0.0
    moving = []
    planner.onMoving = moving.append
    drag(planner, "L1-right", (shift, 0, 0))
    now = planner.plan.screw("L1-right")
    assert moving
    assert now.grade.letter == letter
    if mm:
        assert now.grade.direction == "medial"
        assert moving[-1].grade.letter == letter


def test_undo_takes_screw_rod_and_grade_back_at_once(planner):
    before = planner.plan
    drag(planner, "L1-right", (-6, 0, 0))
    moved = planner.plan
    assert moved.screw("L1-right").grade.letter in "CD"
    assert moved.rods[1].control_points != before.rods[1].control_points
    assert moved.rods[0] == before.rods[0]
    planner.undo()
    assert planner.plan == before
    node = line(planner, "L1-right")
    entry = before.screw("L1-right").entry
    np.testing.assert_allclose(node.GetNthControlPointPositionWorld(0), entry, atol=1e-6)
    planner.redo()
    assert planner.plan == moved


def test_dragging_an_end_keeps_the_length(planner):
    screw = planner.plan.screw("L1-left")
    drag(planner, "L1-left", (0, 20, 3), index=1)
    now = planner.plan.screw("L1-left")
    assert now.entry == screw.entry
    assert now.length_mm == screw.length_mm
    tip = line(planner, "L1-left").GetNthControlPointPositionWorld(1)
    np.testing.assert_allclose(tip, now.tip, atol=1e-6)


def test_locked_screw_goes_back(planner):
    planner.do(LockImplant("L1-left", True))
    assert line(planner, "L1-left").GetLocked()
    refused = []
    planner.onRefused = refused.append
    before = planner.plan
    drag(planner, "L1-left", (5, 0, 0))
    assert planner.plan == before
    assert "locked" in refused[0].problem
    entry = before.screw("L1-left").entry
    np.testing.assert_allclose(
        line(planner, "L1-left").GetNthControlPointPositionWorld(0), entry, atol=1e-6
    )


def test_rod_follows_sizes_and_goes_with_its_screws(planner):
    planner.do(ResizeScrew("T12-left", 4.5, 30.0))
    assert planner.plan.screw("T12-left").grade.letter == "A"
    for level in ("T12", "L1"):
        planner.do(RemoveImplant(f"{level}-left"))
    assert [rod.id for rod in planner.plan.rods] == ["rod-right"]
    assert planner.nodes.handle("rod-left") is None


def test_rod_shaped_by_hand(planner):
    before = planner.plan.rods[0]
    node = planner.nodes.handle("rod-left")
    node.InvokeEvent(node.PointStartInteractionEvent)
    point = np.array(before.control_points[2]) + np.array([0, -6, 0])
    node.SetNthControlPointPositionWorld(2, *point)
    node.InvokeEvent(node.PointEndInteractionEvent)
    rod = next(r for r in planner.plan.rods if r.id == "rod-left")
    np.testing.assert_allclose(rod.control_points[2], point)
    planner.undo()
    assert planner.plan.rods[0] == before


def test_points_deleted_in_slicers_own_menu(planner):
    """A rod does without; a screw's comes back."""
    before = planner.plan
    planner.nodes.handle("rod-left").RemoveNthControlPoint(1)
    rod = next(r for r in planner.plan.rods if r.id == "rod-left")
    assert rod.control_points == (
        before.rods[0].control_points[0], *before.rods[0].control_points[2:]
    )  # fmt: skip
    planner.undo()
    assert planner.plan == before
    handle = planner.nodes.handle("L1-left")
    handle.RemoveNthControlPoint(1)
    assert planner.plan == before
    assert handle.GetNumberOfControlPoints() == 2
    np.testing.assert_allclose(
        handle.GetNthControlPointPositionWorld(1), before.screw("L1-left").tip, atol=1e-6
    )


def test_saved_scene_is_rebuilt_exactly(lib, host, tmp_path):
    """Through an .mrb, as a surgeon saves it; in the host's scene, where files are read."""
    import slicer

    spine, made = planned(lib)
    planner = lib.logic.PlannerLogic(host.scene, tmp_path)
    planner.setVolume(lib.selftest.drawnCt(host.scene, spine))
    planner.useSpine(spine)
    planner.session.take(made.fields)
    planner.loadPlan(made.plan)
    drag(planner, "L1-right", (-3.21, 0.7, 0))
    plan, count = planner.plan, host.scene.GetNumberOfNodesByClass("vtkMRMLModelNode")
    planner.release()
    slicer.util.saveScene(str(tmp_path / "plan.mrb"))
    host.scene.Clear()
    slicer.util.loadScene(str(tmp_path / "plan.mrb"))
    again = lib.logic.PlannerLogic(host.scene, tmp_path)
    assert again.rebuild()
    assert again.plan == plan
    assert again.session.spine.levels == spine.levels
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == count  # none twice
    drag(again, "L1-right", (-2, 0, 0))  # and the handles are alive
    assert again.plan != plan
    again.release()


def test_two_clicks_make_a_screw(lib, planner):
    planner.do(RemoveImplant("L2-right"))
    spine, _ = planned(lib)
    pedicle = spine.vertebra("L2").pedicles["right"]
    model = planner.session.catalogue.screw("generic-polyaxial")
    target = pedicle.entry_ras + 43 * pedicle.axis_ras
    screw = lib.placing.screwFromClicks(
        planner.plan, spine, tuple(pedicle.entry_ras), tuple(target), model, "Ti-6Al-4V"
    )
    assert (screw.id, screw.length_mm, screw.diameter_mm) == ("L2-right", 40.0, 6.0)
    with pytest.raises(InputError, match="already"):
        lib.placing.screwFromClicks(
            planner.plan, spine, tuple(spine.vertebra("L2").pedicles["left"].entry_ras),
            tuple(target), model, "Ti-6Al-4V",
        )  # fmt: skip


def wait(run, seconds=90):
    end = time.monotonic() + seconds
    while run.running:
        assert time.monotonic() < end
        time.sleep(0.01)
    if run.error is not None:
        raise AssertionError(f"{run.error} {run.log}")
    return run.result


@pytest.mark.slow
def test_metal_into_the_ct_and_scan(lib, other, planner):
    coarse = lib.selftest.drawnSpine("T12-L2", (1.0, 1.0, 4.0))  # half the slices to scan
    planner.setVolume(lib.selftest.drawnCt(other, coarse))
    geometry = lib.metalnodes.geometryOf(planner.volumeNode)
    fractions = wait(planner.plannerJobs.voxelize(geometry, planner.plan))
    node = lib.metalnodes.addMetal(other, planner.volumeNode, fractions)
    assert node.GetSegmentation().GetNthSegment(0).GetName() == "Ti-6Al-4V"
    middle = geometry.shape[0] // 2
    preview = wait(planner.plannerJobs.scan(planner.ct(), planner.plan, None, (middle, middle + 1)))
    assert preview.voxels.shape == (1, *geometry.shape[1:])
    planner.preview.show(planner.volumeNode, preview)
    scanned = wait(planner.plannerJobs.scan(planner.ct(), planner.plan))
    scan = lib.metalnodes.addScan(other, planner.volumeNode, scanned)
    before = lib.logic.arrayOf(planner.volumeNode)
    after = lib.logic.arrayOf(scan)
    assert after.dtype == before.dtype
    assert after[scanned.metal > 0].mean() > 2000
    # The preview is the same scan but for its noise.
    np.testing.assert_allclose(preview.ijkToRas[:3, 3], geometry.to_ras(np.array([0, 0, middle])))
    assert np.median(np.abs(preview.voxels[0].astype(float) - after[middle])) < 15


def test_plan_a_beside_shows_what_lies_elsewhere_whatever_its_level_is_called(planner):
    planner.keepAsA(planner.plan)
    ghost = planner.ghost
    ghost.show(planner.planA, planner.plan)
    assert ghost.node is None
    planner.takeShifted(shift_levels(planner.session.spine, 1))
    assert ghost.node is None  # other names, the same places
    planner.setLocked(True)
    planner.setLocked(False)
    screw = planner.plan.screw("L1-left")  # T12-left before
    ends = [tuple(np.subtract(end, (3.0, 0, 0)).tolist()) for end in (screw.entry, screw.tip)]
    planner.do(MoveScrew(screw.id, *ends))
    shown = ghost.node
    bounds = [0.0] * 6
    shown.GetRASBounds(bounds)
    assert bounds[1] < 0  # the left side alone
    planner.do(LockImplant(screw.id, True))
    assert ghost.node is shown  # nothing moved: nothing is made anew
    planner.undo()
    planner.undo()
    assert ghost.node is None


def test_export_has_no_names_of_the_patient(lib, planner, tmp_path):
    planner.volumeNode.SetName("Doe^Jane 1950")
    wanted = lib.exporting.Wanted(vtk=True)
    folder = tmp_path / "out"
    files = lib.exporting.exportPlan(
        folder,
        planner.plan,
        planner.session.catalogue,
        planner.session.profiles(),
        planner.session.frames(),
        wanted,
    )
    names = {path.relative_to(folder).as_posix() for path in files}
    assert {"spine_plan.json", "spine_plan_screws.csv", "spine_plan.stl", "stl/L1-left.stl",
            "vtk/rod-left.vtk"} <= names  # fmt: skip
    assert not any("Doe" in path.read_bytes().decode("latin-1") for path in files)
    from spinemar.planning.plans.plan_json import read_plan

    assert read_plan(folder / "spine_plan.json") == planner.plan


def ownCatalogue():
    """Nothing in it is called as anything generic: a default that slips in finds nothing."""
    generic = load_catalogue()
    screw = replace(generic.screw("generic-polyaxial"), id="own-screw")
    rod = replace(generic.rods[0], id="own-rod", min_bend_radius_mm=90.0, overhang_mm=9.0)
    link = replace(generic.crosslinks[0], id="own-link")
    cage = replace(generic.cages[0], id="own-cage", heights_mm=(3.0, 4.0))
    return Catalogue("own", (screw,), (rod,), (cage,), (link,))


@pytest.mark.slow  # plans and voxelises in workers
def test_every_planning_step_takes_the_planners_own_catalogue(lib, other, tmp_path):
    catalogue = ownCatalogue()
    spine = lib.selftest.drawnSpine()
    planner = lib.logic.PlannerLogic(other, tmp_path, catalogue=catalogue)
    node = lib.selftest.drawnCt(other, spine)
    planner.setVolume(node)
    planner.useSpine(spine)
    rod = RodSettings("own-rod")
    settings = PlanSettings(screw_model="own-screw", rod=rod, with_crosslink=True,
                            crosslink_model="own-link")  # fmt: skip
    run = planner.plannerJobs.plan(planner.ct(), spine, ["L1", "L2"], settings)
    planner.loadPlan(wait(run).plan)
    assert {one.model for one in planner.plan.rods} == {"own-rod"}
    screw = planner.plan.screws[0]
    shifted = tuple(np.add(screw.entry, (0.0, 0.0, 2.0)).tolist())
    planner.do(MoveScrew(screw.id, shifted, tuple(np.add(screw.tip, (0.0, 0.0, 2.0)).tolist())))
    assert {one.model for one in planner.plan.rods} == {"own-rod"}  # contoured anew
    planner.do(ReplacePlan(add_crosslink(planner.plan, catalogue, "own-link")))
    planner.do(PutImplant(cage_for_disc(spine, "L1", catalogue.cage("own-cage"))))
    planner.collisions()
    planner.keepAsA(planner.plan)
    for job in (
        planner.plannerJobs.voxelize(spine.labels.geometry, planner.plan),
        planner.plannerJobs.scan(planner.ct(), planner.plan, slices=(20, 21)),
    ):
        wait(job)
    planner.release()
