"""The planner beyond planning: plan to corrected scan in one scene, export, data sets."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

from Testing.gui.plannerpanel import MODULE, ROOT, click, finish, openPanel

pytestmark = pytest.mark.gui
CORRECTION = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"


@pytest.mark.slow
def test_plan_scan_correct_compare_save_reload(host, tmp_path):
    import slicer

    panel = openPanel(host, slice_mm=4.0)
    host.loadModule(CORRECTION)
    panel.ui.scanStep.collapsed = False
    click(panel.ui.scanButton)
    finish(host, panel)
    assert panel.ui.scanCombo.currentText == "Drawn spine with implants"
    scan = panel.scan.chosenScan()
    truth = scan.GetNodeReference("SpineMAR.Truth")
    plan = panel.planner.plan
    from MetalArtifactReductionLib.choices.settings import Method

    correction = slicer.modules.metalartifactreduction.widgetRepresentation().self()
    correction._parameterNode.method = Method.linear
    click(panel.ui.correctButton)
    assert host.window.moduleSelector().selectedModule == "MetalArtifactReduction"
    host.waitUntil(lambda: correction.run is None and correction.resultPanel.node, 240)
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


@pytest.fixture
def dicomPanel(host, tmp_path, monkeypatch):
    """Return the panel with a CT from DICOM, a screw in it, and a simulated scan of both."""
    pytest.importorskip("pydicom")
    import slicer

    from spinemar.planning.plans.plan import Plan, Screw
    from Testing.host.dicomdatabase import DicomDatabase, loadSeries, writeCtSeries

    (tmp_path / "database").mkdir()
    database = DicomDatabase(tmp_path / "database")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    host.showWindow()
    hu = np.full((5, 48, 40), 40, np.int16)
    hu[:, 10:30, 10:30] = 300
    node = loadSeries(database, writeCtSeries(tmp_path / "series", hu))
    host.loadModule(MODULE)
    from SpineImplantPlannerLib.jobs.plannerjobs import Scanned
    from SpineImplantPlannerLib.nodes import metal as metalnodes

    host.window.moduleSelector().selectModule("SpineImplantPlanner")
    panel = slicer.modules.SpineImplantPlannerWidget
    panel.parameters.inputVolume = node
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    r, a, z = ((bounds[2 * n] + bounds[2 * n + 1]) / 2 for n in range(3))
    screw = Screw("L1-left", "L1", "left", (r, a - 20, z), (r, a + 20, z), 6.0, 40.0)
    panel.planner.loadPlan(Plan(screws=(screw,)))
    voxels = slicer.util.arrayFromVolume(node).copy()
    voxels[2, 20:24, 12:28] = 3071
    matrix = slicer.util.arrayFromVTKMatrix(ijkToRas(node))
    metalnodes.addScan(
        host.scene, node, Scanned(voxels, None, (voxels == 3071).astype(np.uint8), matrix, {})
    )
    panel.refresh()
    ui = panel.ui
    ui.exportStep.collapsed = False
    ui.exportPath.currentPath = str(tmp_path)
    ui.reportCheckBox.checked = False
    host.process(0.05)
    return panel, node, voxels, database


def ijkToRas(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_one_click_writes_a_valid_series_of_the_cts_study(host, dicomPanel, tmp_path):
    import pydicom
    import SimpleITK as sitk

    panel, _node, voxels, database = dicomPanel
    ui = panel.ui
    assert ui.dicomCheckBox.enabled
    for box in (ui.dicomCheckBox, ui.segmentsCheckBox, ui.vtkCheckBox, ui.sceneCheckBox):
        box.checked = True
    click(ui.exportButton)
    finish(host, panel)
    assert host.messages == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    folder = tmp_path / "spine_plan"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"spine_plan.json", "spine_plan_screws.csv", "spine_plan.stl", "stl/L1-left.stl",
            "vtk/L1-left.vtk", "spine_plan.mrb"} <= names  # fmt: skip
    segments = folder / "dicom" / "implants.dcm"
    written = sorted(set((folder / "dicom").glob("*.dcm")) - {segments})
    assert len(written) == 5
    marked = pydicom.dcmread(segments)
    assert [one.SegmentLabel for one in marked.SegmentSequence] == ["screw L1 left"]
    # Nothing in a name tells the patient, whose name and id are in the DICOM files alone.
    assert not any("Spine^" in name or "T-1" in name or "Test" in name for name in names)
    for name in (
        names
        - {path.relative_to(folder).as_posix() for path in (*written, segments)}
        - {"spine_plan.mrb"}
    ):
        content = (folder / name).read_bytes()
        assert b"Test^Spine" not in content, name
        assert b"T-1" not in content, name
    image = sitk.ReadImage([str(path) for path in written])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), voxels)
    header = pydicom.dcmread(written[0])
    source = pydicom.dcmread(next(iter(database._files.values())))
    assert header.StudyInstanceUID == source.StudyInstanceUID
    assert header.SeriesInstanceUID != source.SeriesInstanceUID
    assert marked.StudyInstanceUID == source.StudyInstanceUID
    assert marked.PatientID == source.PatientID
    assert "Simulated scan with planned implants" in header.SeriesDescription
    assert header.ImageType[0] == "DERIVED"
    if shutil.which("dciodvfy"):
        for path in (*written, segments):
            done = subprocess.run(
                ["dciodvfy", str(path)], capture_output=True, text=True, check=False
            )
            said = (done.stdout + done.stderr).splitlines()
            assert [line for line in said if line.startswith("Error")] == [], path.name


def test_segments_alone_and_of_a_ct_that_is_not_from_dicom(host, tmp_path):
    from spinemar.io.segmentations.dicom_seg import read_dicom_segmentation

    panel = openPanel(host)
    ui = panel.ui
    ui.exportStep.collapsed = False
    ui.exportPath.currentPath = str(tmp_path)
    ui.reportCheckBox.checked = False
    ui.segmentsCheckBox.checked = True
    host.process(0.05)
    click(ui.exportButton)
    finish(host, panel)
    assert host.messages == []
    found = read_dicom_segmentation(tmp_path / "spine_plan" / "dicom" / "implants.dcm")
    assert {one.name for one in found.segments} >= {"screw T12 left", "screw L1 right", "rod left"}


def test_an_export_that_fails_leaves_nothing(host, dicomPanel, tmp_path):
    panel, _, _, database = dicomPanel
    panel.ui.dicomCheckBox.checked = True
    database._files.clear()  # the series was deleted from the database meanwhile
    click(panel.ui.exportButton)
    assert "not loaded from DICOM" in host.messages[-1].text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["database", "series"]


@pytest.mark.parametrize("ticked", [False, True])
def test_the_patient_is_named_only_where_ticked(host, dicomPanel, tmp_path, monkeypatch, ticked):
    """What the worker is asked for, and what it makes of a file of the CT's series."""
    from types import SimpleNamespace

    from spinemar.io.study import read_study

    panel, _, _, database = dicomPanel
    asked = []

    def report(_ct, _spine, _plan, folder, dicom=None, *, withPatient=False):
        asked.append(read_study(dicom, with_patient=withPatient))
        page = folder / "plan.html"
        return SimpleNamespace(running=False, error=None, log="", result=page, letWork=lambda _s: 0)

    monkeypatch.setattr(panel.planner.plannerJobs, "report", report)
    monkeypatch.setattr(panel.planner, "requireSpine", lambda: None)
    ui = panel.ui
    assert ui.patientCheckBox.enabled
    assert not ui.patientCheckBox.checked
    assert not ui.openReportButton.enabled
    ui.patientCheckBox.checked = ticked
    ui.reportCheckBox.checked = True
    click(ui.exportButton)
    finish(host, panel)
    assert asked[0].series == "Axial 2.5"
    assert asked[0].study_date
    assert dict(asked[0].patient).get("ID") == ("T-1" if ticked else None)
    assert ui.openReportButton.enabled
    database._files.clear()
    panel.parameters.inputVolume = None
    host.process(0.05)
    assert not ui.patientCheckBox.enabled


def test_nodes_lie_under_the_cts_study(host, dicomPanel):
    import slicer

    panel, node, _, _ = dicomPanel
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    study = tree.GetItemParent(tree.GetItemByDataNode(node))
    assert tree.GetItemName(study) == "Study"

    def path(shown):
        item, names = tree.GetItemByDataNode(shown), []
        while item not in (study, tree.GetSceneItemID(), 0):
            item = tree.GetItemParent(item)
            names.append(tree.GetItemName(item))
        return names

    assert path(panel.planner.nodes.model("L1-left")) == ["Screws", "Implant plan", "Study"]
    assert path(panel.planner.nodes.handle("L1-left")) == ["Screws", "Implant plan", "Study"]
    assert path(panel.scan.chosenScan()) == ["Simulated scan", "Study"]


@pytest.mark.slow
def test_pairs_are_killed_and_gone_on_with(host, tmp_path):
    pytest.importorskip("zarr")
    panel = openPanel(host)
    ui = panel.ui
    ui.scanStep.collapsed = False
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
    from spinemar.dataset.storage.reader import PairStore

    assert len(PairStore(tmp_path / "pairs.zarr")) == count
