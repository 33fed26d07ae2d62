"""The logic of MetalArtifactReduction on real MRML, without Qt and without the global scene."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.errors import CancelledError, FaultError, GeometryError, InputError
from spinemar.mar.settings import CorrectionSettings

pytestmark = pytest.mark.slicer
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lib(host):
    """Return the modules under test; imported late, since a closing host unloads them."""
    from MetalArtifactReductionLib import correction, logic
    from MetalArtifactReductionLib.choices import settings
    from MetalArtifactReductionLib.nodes import (
        compare,
        places,
        preview,
        quality,
        results,
    )
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes import dicomfiles, firstlook, guards, volumes

    return SimpleNamespace(
        compare=compare, firstlook=firstlook, places=places, guards=guards, logic=logic,
        preview=preview, quality=quality,
        results=results, correction=correction, selftest=selftest, settings=settings,
        volumes=volumes, dicomfiles=dicomfiles,
    )  # fmt: skip


def correct(lib, scene, tmp_path, volume=None, **settings):
    volume = volume or lib.selftest.drawnVolume(scene)
    corrections = lib.logic.CorrectionLogic(scene, tmp_path)
    chosen = CorrectionSettings("li", **settings)
    run = corrections.start(volume, chosen)
    wait(run)
    return volume, corrections.finish(run, volume), run


def wait(run, seconds=60):
    end = time.monotonic() + seconds
    while run.running:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_result_in_any_scene(lib, other, tmp_path):
    volume, nodes, _ = correct(lib, other, tmp_path)
    before, after = lib.volumes.arrayOf(volume), lib.volumes.arrayOf(nodes.volume)
    np.testing.assert_array_equal(before, lib.selftest.drawnHu())  # the input is never changed
    assert after.dtype == np.int16
    assert (before != after).any()
    difference = lib.volumes.arrayOf(nodes.difference)
    np.testing.assert_array_equal(difference, after.astype(int) - before)
    np.testing.assert_array_equal(lib.volumes.ijkToRas(nodes.volume), lib.volumes.ijkToRas(volume))
    assert nodes.volume.GetName() == "Corrected (Linear interpolation): Drawn body"
    assert list(tmp_path.iterdir()) == []  # nothing is left in the temporary folder


def test_provenance_goes_with_the_volume(lib, other, tmp_path):
    _, nodes, _ = correct(lib, other, tmp_path, metal_threshold_hu=2600.0)
    volume = nodes.volume
    assert volume.GetAttribute("SpineMAR.Method") == "li"
    assert volume.GetAttribute("SpineMAR.MetalSource") == "threshold"
    assert float(volume.GetAttribute("SpineMAR.MetalThresholdHU")) == 2600.0
    assert volume.GetAttribute("SpineMAR.Model") is None
    assert lib.results.provenanceOf(volume)["geometry"]["views"] == 720


def test_metal_segmentation_lies_where_the_metal_is(lib, slicerScene, tmp_path):
    import slicer

    volume, nodes, _ = correct(lib, slicerScene, tmp_path)
    segment = nodes.metal.GetSegmentation().GetNthSegmentID(0)
    assert nodes.metal.GetSegmentation().GetSegment(segment).GetName() == "Metal"
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(nodes.metal, segment, volume)
    np.testing.assert_array_equal(mask > 0, lib.volumes.arrayOf(volume) >= 2500)


def test_window_transform_and_study_are_the_inputs(lib, slicerScene, tmp_path):
    import slicer
    import vtk

    volume = lib.selftest.drawnVolume(slicerScene)
    lib.volumes.setWindow(volume, 1800, 350)
    transform = slicerScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, 40)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicerScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, volume)
    _, nodes, _ = correct(lib, slicerScene, tmp_path, volume)
    display = nodes.volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (1800, 350)
    for node in (nodes.volume, nodes.difference, nodes.metal):
        assert node.GetTransformNodeID() == transform.GetID()
    item = hierarchy.GetItemByDataNode(nodes.volume)
    assert hierarchy.GetItemParent(item) == study
    for node in (nodes.difference, nodes.metal, nodes.table):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == item
    assert lib.places.focusOf(nodes.volume)[2] > 40  # world coordinates


def test_table_has_a_row_for_each_slice_and_one_for_all(lib, slicerScene, tmp_path):
    _, nodes, run = correct(lib, slicerScene, tmp_path)
    table = nodes.table.GetTable()
    slices = run.result.facts["slices"]
    assert table.GetNumberOfRows() == len(slices) + 1 == 4
    names = [table.GetColumnName(c) for c in range(table.GetNumberOfColumns())]
    assert names == [
        "Slice", "Outcome", "Metal mm2", "Width mm", "Trace %", "Change HU", "Strength", "Why"
    ]  # fmt: skip
    assert table.GetValue(0, 0).ToString() == str(slices[0]["index"] + 1)
    total = table.GetValueByName(3, "Metal mm2").ToDouble()
    assert total == pytest.approx(sum(s["metal_area_mm2"] for s in slices), abs=0.2)


def test_every_run_makes_a_volume_of_its_own(lib, slicerScene, tmp_path):
    volume, first, _ = correct(lib, slicerScene, tmp_path)
    voxels = lib.volumes.arrayOf(first.volume).copy()
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    names = {first.volume.GetName()}
    for method in ("li", "nmar"):
        run = corrections.start(volume, CorrectionSettings(method))
        wait(run)
        nodes = corrections.finish(run, volume)
        assert nodes.volume.GetName() not in names
        assert {"li": "Linear", "nmar": "NMAR"}[method] in nodes.volume.GetName()
        names.add(nodes.volume.GetName())
    np.testing.assert_array_equal(lib.volumes.arrayOf(first.volume), voxels)
    found = lib.results.resultsOf(slicerScene, volume)
    assert {node.GetName() for node in found} == names
    assert lib.results.resultsOf(slicerScene, first.volume) == []


def test_any_two_results_can_be_compared(lib, slicerScene, tmp_path):
    volume, first, _ = correct(lib, slicerScene, tmp_path)
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    run = corrections.start(volume, CorrectionSettings("nmar"))
    wait(run)
    second = corrections.finish(run, volume)
    count = slicerScene.GetNumberOfNodes()
    assert lib.compare.pairOf(second.volume, volume).difference is second.difference
    pair = lib.compare.pairOf(second.volume, first.volume)
    one, other = (lib.volumes.arrayOf(node).astype(int) for node in (first.volume, second.volume))
    np.testing.assert_array_equal(lib.volumes.arrayOf(pair.difference), other - one)
    assert not pair.difference.GetSaveWithScene()
    lib.compare.release(pair)
    assert slicerScene.GetNumberOfNodes() == count


def test_a_place_in_each_slice_lies_on_its_metal(lib, slicerScene, tmp_path):
    import vtk

    volume, nodes, run = correct(lib, slicerScene, tmp_path)
    transform = slicerScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25)
    transform.SetMatrixTransformToParent(matrix)
    nodes.volume.SetAndObserveTransformNodeID(transform.GetID())
    mask = lib.volumes.arrayOf(volume) >= 2500
    for one in run.result.facts["slices"]:
        world = lib.places.placeOf(nodes.volume, one["index"])
        assert lib.places.sliceAt(nodes.volume, world) == one["index"]
        ijk = np.linalg.inv(lib.volumes.ijkToRas(volume)) @ [world[0] - 25, *world[1:], 1]
        where = np.argwhere(mask[one["index"]]).mean(axis=0)
        np.testing.assert_allclose(ijk[1::-1], where, atol=0.6)


def test_the_table_gives_back_what_the_run_said(lib, slicerScene, tmp_path):
    _, nodes, run = correct(lib, slicerScene, tmp_path)
    for row, said in zip(lib.results.slicesOf(nodes.volume), run.result.facts["slices"],
                         strict=True):  # fmt: skip
        assert (row.index, row.corrected, row.reason) == (
            said["index"], said["corrected"], said["reason"]
        )  # fmt: skip
        assert row.metalWidthMm == pytest.approx(said["metal_width_mm"], abs=0.06)


def test_metal_from_a_segment(lib, slicerScene, tmp_path):
    import slicer

    volume = lib.selftest.drawnVolume(slicerScene)
    segmentation = slicerScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "S")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = segmentation.GetSegmentation().AddEmptySegment("one", "one screw")
    mask = np.zeros((5, 96, 96), np.uint8)
    mask[1:-1, 50:60, 55:64] = lib.volumes.arrayOf(volume)[1:-1, 50:60, 55:64] > 2500
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    run = corrections.start(volume, CorrectionSettings("li"), segmentation, segment)
    wait(run)
    nodes = corrections.finish(run, volume)
    assert lib.results.provenanceOf(nodes.volume)["metal_source"] == "mask"
    assert run.result.facts["metal_voxels"] == mask.sum()
    with pytest.raises(InputError, match="No segment"):
        corrections.start(volume, CorrectionSettings(), segmentation, "nonsense")
    empty = segmentation.GetSegmentation().AddEmptySegment("empty", "empty")
    with pytest.raises(InputError, match="empty on this volume"):
        corrections.start(volume, CorrectionSettings(), segmentation, empty)


def test_cancel_leaves_no_node_and_no_file(lib, slicerScene, tmp_path):
    volume = lib.selftest.drawnVolume(slicerScene, slices=300, size=128)
    count = slicerScene.GetNumberOfNodes()
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    run = corrections.start(volume, CorrectionSettings("nmar"))
    end = time.monotonic() + 60
    while run.progress.done < 1 or run.progress.stage != "Correcting":
        assert run.running
        assert time.monotonic() < end
        time.sleep(0.005)
    assert run.secondsLeft > 0
    run.cancel()
    wait(run, 20)
    with pytest.raises(CancelledError):
        corrections.finish(run, volume)
    assert slicerScene.GetNumberOfNodes() == count
    assert list(tmp_path.iterdir()) == []


def test_worker_that_crashes_is_explained(lib, slicerScene, tmp_path):
    import sys

    volume = lib.selftest.drawnVolume(slicerScene)
    command = [sys.executable, "-c", "import os; os.abort()"]
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path, command)
    run = corrections.start(volume, CorrectionSettings())
    wait(run)
    with pytest.raises(FaultError, match="ended unexpectedly"):
        corrections.finish(run, volume)
    assert list(tmp_path.iterdir()) == []


def test_no_metal_makes_no_node(lib, slicerScene, tmp_path):
    volume = lib.selftest.drawnVolume(slicerScene)
    lib.volumes.setArray(volume, np.minimum(lib.selftest.drawnHu(), 800))
    count = slicerScene.GetNumberOfNodes()
    _, nodes, run = correct(lib, slicerScene, tmp_path, volume)
    assert nodes is None
    assert "No metal" in run.result.facts["message"]
    assert slicerScene.GetNumberOfNodes() == count


def test_input_removed_meanwhile(lib, slicerScene, tmp_path):
    volume = lib.selftest.drawnVolume(slicerScene)
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    run = corrections.start(volume, CorrectionSettings("li"))
    slicerScene.RemoveNode(volume)
    wait(run)
    with pytest.raises(InputError, match="removed"):
        corrections.finish(run, volume)


# Guards.


def test_guards_pass_a_good_volume(lib, slicerScene):
    assert lib.guards.checkInput(lib.selftest.drawnVolume(slicerScene)) == ()


def test_guard_nothing_chosen_and_empty(lib, slicerScene):
    with pytest.raises(InputError, match="No volume"):
        lib.guards.checkInput(None)
    empty = slicerScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="no image"):
        lib.guards.checkInput(empty)


def test_guard_modality(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    with pytest.raises(InputError, match="modality is MR"):
        lib.guards.checkInput(volume, "MR")
    volume.SetAttribute("DICOM.Modality", "PT")
    with pytest.raises(InputError, match="no CT"):
        lib.guards.checkInput(volume)


def test_guard_oblique_geometry(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -0.6, 0.8, 0, 0.8, 0.6)
    with pytest.raises(GeometryError, match="off axial"):
        lib.guards.checkInput(volume)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: hu * 0 + 7, "constant"),
        (lambda hu: hu.astype(np.int32) + 1024, "Hounsfield"),
        (lambda hu: hu.astype(np.float32) / 3071, "Hounsfield"),
        (lambda hu: np.where(hu > -900, np.nan, hu).astype(np.float32), "not numbers"),
    ],
)
def test_guard_values(lib, slicerScene, change, words):
    volume = lib.selftest.drawnVolume(slicerScene)
    lib.volumes.setArray(volume, change(lib.selftest.drawnHu()))
    with pytest.raises(InputError, match=words):
        lib.guards.checkInput(volume)


def test_guard_questions(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene, slices=2)
    volume.SetAttribute("SpineMAR.Method", "nmar")
    texts = [q.text for q in lib.guards.checkInput(volume)]
    assert len(texts) == 2
    assert "already corrected (NMAR)" in texts[0]
    assert "only 2 slices" in texts[1]


def test_likely_input(lib, slicerScene):
    assert lib.guards.likelyInput(slicerScene, None) is None
    done = lib.selftest.drawnVolume(slicerScene, "done")
    done.SetAttribute("SpineMAR.Method", "li")
    first = lib.selftest.drawnVolume(slicerScene, "first")
    second = lib.selftest.drawnVolume(slicerScene, "second")
    assert lib.guards.likelyInput(slicerScene, None) is first
    assert lib.guards.likelyInput(slicerScene, second.GetID()) is second


# First look, preview, quality, scene files.


@pytest.mark.parametrize(
    ("window", "level", "unusable"),
    [
        (2000, 500, False), (400, 40, False), (1500, -600, False),  # bone, soft tissue, lung
        (65535, 0, True), (4095, 1024, True), (1, 0, True),  # padding, all of it, nothing
        (400, 2500, True), (1000, -1000, True),  # muscle is black, muscle is white
    ],
)  # fmt: skip
def test_what_window_is_unusable(lib, slicerScene, window, level, unusable):
    volume = lib.selftest.drawnVolume(slicerScene)
    lib.volumes.setWindow(volume, window, level)
    assert lib.firstlook.isUnusable(volume) == unusable
    assert lib.firstlook.makeVisible(volume) == unusable
    assert not lib.firstlook.isUnusable(volume)
    if not unusable:  # a window that somebody chose stays
        assert volume.GetDisplayNode().GetWindow() == window


def test_the_bright_place_lies_between_the_screws(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    place = lib.firstlook.brightPlace(volume)
    ijk = np.linalg.inv(lib.volumes.ijkToRas(volume)) @ [*place, 1]
    np.testing.assert_allclose(ijk[:2], (48, 56), atol=3)
    lib.volumes.setArray(volume, np.minimum(lib.selftest.drawnHu(), 800))
    assert lib.firstlook.brightPlace(volume) is None


def test_without_metal_the_bone_is_the_middle(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    hu = np.full_like(lib.selftest.drawnHu(), 40)
    lib.volumes.setArray(volume, hu)
    assert lib.firstlook.bonePlace(volume) is None
    hu[:, 60:70, 20:40] = 700
    hu[0, 0, 0] = 700  # a grain far away moves nothing
    place = lib.firstlook.bonePlace(volume)
    ijk = np.linalg.inv(lib.volumes.ijkToRas(volume)) @ [*place, 1]
    np.testing.assert_allclose(ijk[:2], (29.5, 64.5), atol=3)


def test_preview_shares_the_image_and_leaves_no_trace(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    count = slicerScene.GetNumberOfNodes()
    preview = lib.preview.MetalPreview(slicerScene)
    preview.show(volume, 2500)
    assert preview.node.GetImageData() is volume.GetImageData()
    assert preview.node.GetDisplayNode().GetLowerThreshold() == 2500
    preview.show(volume, 1800)
    assert preview.node.GetDisplayNode().GetLowerThreshold() == 1800
    assert not preview.node.GetSaveWithScene()
    preview.remove()
    assert slicerScene.GetNumberOfNodes() == count


def _region(lib, scene, centre, size):
    node = lib.quality.addRegion(scene)
    node.SetCenter(*centre)
    node.SetSize(*size)
    return node


def test_quality_measures_what_was_painted(lib, slicerScene):
    """A flat region with noise and a known streak: mean, SD and half the streak's span."""
    rng = np.random.default_rng(2)
    hu = np.full((4, 80, 80), 50.0)
    hu[:, 30:50, 40:] += 200  # half of the region is 200 HU brighter
    volume = slicerScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "flat")
    lib.volumes.setArray(volume, (hu + rng.normal(0, 10, hu.shape)).astype(np.float32))
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    flat = lib.quality.measure(volume, _region(lib, slicerScene, (-20, -15, 1.5), (20, 10, 4)))
    assert flat.meanHu == pytest.approx(50, abs=2)
    assert flat.sdHu == pytest.approx(10, rel=0.15)
    assert flat.streakHu < 10
    both = lib.quality.measure(volume, _region(lib, slicerScene, (-40, -40, 1.5), (30, 14, 4)))
    assert both.meanHu == pytest.approx(150, abs=10)
    assert both.streakHu == pytest.approx(100, rel=0.1)
    outside = _region(lib, slicerScene, (500, 0, 0), (5, 5, 5))
    assert lib.quality.measure(volume, outside) is None


def test_quality_leaves_metal_out(lib, slicerScene):
    volume = lib.selftest.drawnVolume(slicerScene)
    region = _region(lib, slicerScene, (23, -17, 5), (30, 30, 3))
    assert lib.quality.measure(volume, region).meanHu < 200


def test_compare_layout_is_valid_xml_with_named_views(lib):
    from xml.etree import ElementTree

    views = ElementTree.fromstring(lib.compare.layoutDescription()).iter("view")
    names = [view.get("singletontag") for view in views]
    assert len(set(names)) == 6


def test_scene_file_keeps_parameters_volumes_and_provenance(lib, slicerScene, tmp_path):
    import slicer
    from MetalArtifactReductionLib.choices.parameters import MetalArtifactReductionParameterNode

    (tmp_path / "work").mkdir()
    volume, nodes, _ = correct(lib, slicerScene, tmp_path / "work")
    node = slicerScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "MetalArtifactReduction")
    p = MetalArtifactReductionParameterNode(node)
    p.inputVolume, p.outputVolume, p.metalThresholdHu = volume, nodes.volume, 2750.0
    p.method = lib.settings.Method.nmar
    after = lib.volumes.arrayOf(nodes.volume).copy()
    provenance = dict(lib.results.provenanceOf(nodes.volume))
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicerScene.Clear(0)
    slicer.util.loadScene(path)
    again = MetalArtifactReductionParameterNode(slicer.util.getNode("MetalArtifactReduction"))
    assert (again.metalThresholdHu, again.method) == (2750.0, lib.settings.Method.nmar)
    np.testing.assert_array_equal(lib.volumes.arrayOf(again.outputVolume), after)
    assert lib.results.provenanceOf(again.outputVolume) == json.loads(json.dumps(provenance))
    found = lib.results.resultOf(again.outputVolume)
    assert found.table.GetNumberOfRows() == 4
    assert found.metal.GetSegmentation().GetNumberOfSegments() == 1
    assert found.difference is not None


def test_import_needs_neither_qt_nor_the_module(tmp_path):
    """Logic works where there is no Qt at all."""
    import subprocess
    import sys

    pytest.importorskip("slicer_core")
    script = (
        "import sys\n"
        "sys.modules['qt'] = sys.modules['ctk'] = sys.modules['PySide6'] = None\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'MetalArtifactReduction')!r}]\n"
        "from MetalArtifactReductionLib import correction, logic\n"
        "from MetalArtifactReductionLib.choices import device, models, settings\n"
        "from MetalArtifactReductionLib.nodes import compare, preview, quality, results\n"
        "from SpineMARLib.nodes import dicomfiles, guards, hierarchy, transient, volumes\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          cwd=tmp_path, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
