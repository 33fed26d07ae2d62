"""The earlier CT on real MRML: what is offered, what is handed over, what a result keeps of it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.mar.settings import CorrectionSettings

pytestmark = pytest.mark.slicer


@pytest.fixture
def lib(host):
    """Return the modules under test; imported late, since a closing host unloads them."""
    from MetalArtifactReductionLib import correction, logic
    from MetalArtifactReductionLib.nodes import earlier, maps
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes import earlier as candidates
    from SpineMARLib.nodes import volumes

    return SimpleNamespace(
        correction=correction, logic=logic, earlier=earlier, maps=maps,
        candidates=candidates, selftest=selftest, volumes=volumes,
    )  # fmt: skip


FACTS = {
    "facts": {},
    "registration": {
        "vertebrae": [
            {"level": "T12", "found": "registered"},
            {"level": "L1", "found": "registered"},
            {"level": "L2", "found": "neighbours"},
        ],
        "warnings": ["L2 is hidden by metal."],
    },
    "mean_agreement_percent": 73.6,
}


def bare(lib, scene, name):
    """A CT without metal."""
    node = lib.selftest.drawnVolume(scene, name)
    lib.volumes.setArray(node, np.minimum(lib.selftest.drawnHu(), 900))
    return node


def names(nodes):
    return [node.GetName() for node in nodes]


def test_volumes_without_metal_are_offered(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    bare(lib, slicerScene, "before")
    lib.selftest.drawnVolume(slicerScene, "another scan with screws")
    bare(lib, slicerScene, "a result").SetAttribute("SpineMAR.Method", "li")
    bare(lib, slicerScene, "hidden").SetHideFromEditors(True)
    slicerScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    slicerScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    candidates = lib.candidates.Candidates(slicerScene)
    assert names(candidates.of(scan)) == ["before"]
    assert candidates.of(None) == []


@pytest.mark.parametrize(
    ("of_scan", "of_other", "offered"),
    [("A", "A", True), ("A", "B", False), ("A", "", True), ("", "B", True), ("", "", True)],
)
def test_another_patient_is_not_offered_where_dicom_tells(
    lib, slicerScene, of_scan, of_other, offered
):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    bare(lib, slicerScene, "before")
    patients = {"scan": of_scan, "before": of_other}
    candidates = lib.candidates.Candidates(slicerScene, lambda node: patients[node.GetName()])
    assert bool(candidates.of(scan)) == offered


def test_a_volume_that_gets_metal_is_not_offered_any_more(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    node = bare(lib, slicerScene, "before")
    candidates = lib.candidates.Candidates(slicerScene)
    assert candidates.of(scan) == [node]
    lib.volumes.setArray(node, lib.selftest.drawnHu())
    assert candidates.of(scan) == []


def test_a_few_bright_voxels_are_no_metal(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    node = bare(lib, slicerScene, "before")
    hu = lib.volumes.arrayOf(node).copy()
    hu[2, 40:42, 40:42] = 3000
    lib.volumes.setArray(node, hu)
    assert 0 < lib.candidates.metalMm3(node) < 50
    assert lib.candidates.Candidates(slicerScene).of(scan) == [node]


def test_the_job_gets_the_earlier_ct(lib, slicerScene, tmp_path, monkeypatch):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    node = bare(lib, slicerScene, "before")
    node.SetOrigin(5, 6, 7)
    made = {}

    def caught(make, take, folder, command=None):
        made.update(make(tmp_path))
        return SimpleNamespace(take=take)

    monkeypatch.setattr(lib.correction, "JobRun", caught)
    corrections = lib.logic.CorrectionLogic(slicerScene, tmp_path)
    run = corrections.start(scan, CorrectionSettings(), earlierNode=node)
    assert np.load(made["earlier"]["ct"]["npy"]).max() <= 900
    np.testing.assert_array_equal(
        made["earlier"]["ct"]["ijk_to_ras"], lib.volumes.ijkToRas(node).tolist()
    )
    np.save(tmp_path / "output.npy", lib.selftest.drawnHu())
    np.save(tmp_path / "metal.npy", (lib.selftest.drawnHu() > 2500).astype(np.uint8))
    np.save(tmp_path / "uncertainty.npy", np.zeros(lib.selftest.drawnHu().shape, np.int16))
    assert run.take(tmp_path, {}).agreement is None
    np.save(tmp_path / "agreement.npy", np.full(lib.selftest.drawnHu().shape, 40, np.uint8))
    np.save(tmp_path / "registered.npy", lib.selftest.drawnHu())
    assert run.take(tmp_path, {}).agreement.max() == 40
    corrections.start(scan, CorrectionSettings())
    assert made["earlier"] is None


def test_a_result_keeps_what_was_laid_over_and_how_far_it_was_believed(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    before, result = bare(lib, slicerScene, "before"), bare(lib, slicerScene, "result")
    hu = lib.selftest.drawnHu()
    agreement = np.zeros(hu.shape, np.uint8)
    agreement[2, 30:60, 30:60] = 80
    done = lib.correction.Corrected(
        hu, hu, hu[:0], (0, 0, 0), {"earlier_ct": FACTS}, agreement, hu.astype(np.int16)
    )
    lib.earlier.addEarlier(slicerScene, scan, before, result, done)
    shown = result.GetNodeReference(lib.maps.AGREEMENT_ROLE)
    np.testing.assert_array_equal(lib.volumes.arrayOf(shown), agreement)
    laid = result.GetNodeReference(lib.earlier.REGISTERED_ROLE)
    np.testing.assert_array_equal(lib.volumes.ijkToRas(laid), lib.volumes.ijkToRas(scan))
    assert result.GetNodeReference(lib.earlier.EARLIER_ROLE) is before
    assert shown.GetDisplayNode().GetLowerThreshold() == 1.0
    assert lib.earlier.factsOf(result) == json.loads(json.dumps(FACTS))
    # Parts of a result are no earlier CTs themselves.
    assert names(lib.candidates.Candidates(slicerScene).of(scan)) == ["before", "result"]


def test_a_result_without_an_earlier_ct_keeps_nothing(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    result = bare(lib, slicerScene, "result")
    hu = lib.selftest.drawnHu()
    count = slicerScene.GetNumberOfNodes()
    for facts in ({}, {"earlier_ct": None}):
        done = lib.correction.Corrected(hu, hu, hu[:0], (0, 0, 0), facts)
        lib.earlier.addEarlier(slicerScene, scan, None, result, done)
    assert slicerScene.GetNumberOfNodes() == count
    assert lib.earlier.factsOf(result) is None


def test_agreement_lies_over_the_result_alone(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    result, other = bare(lib, slicerScene, "result"), bare(lib, slicerScene, "other")
    hu = lib.selftest.drawnHu()
    done = lib.correction.Corrected(
        hu, hu, hu[:0], (0, 0, 0), {"earlier_ct": FACTS}, np.ones(hu.shape, np.uint8), hu
    )
    lib.earlier.addEarlier(slicerScene, scan, None, result, done)
    views = []
    for node in (result, other):
        view = slicerScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        view.SetLayoutName(node.GetName())
        view.SetBackgroundVolumeID(node.GetID())
        views.append(view)
    agreement = result.GetNodeReference(lib.maps.AGREEMENT_ROLE).GetID()
    lib.maps.showMap(slicerScene, result, lib.maps.AGREEMENT_ROLE, True)
    assert [view.GetForegroundVolumeID() for view in views] == [agreement, None]
    lib.maps.showMap(slicerScene, result, lib.maps.AGREEMENT_ROLE, False)
    assert [view.GetForegroundVolumeID() for view in views] == [None, None]


def test_how_far_values_may_be_off_lies_where_it_was_cut_out(lib, slicerScene, tmp_path):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    result = bare(lib, slicerScene, "result")
    hu = lib.selftest.drawnHu()
    unsure = np.zeros(hu.shape, np.int16)
    unsure[1:3, 20:50, 30:60] = 250
    for name, array in (("output", hu), ("metal", hu > 2500), ("uncertainty", unsure)):
        np.save(tmp_path / f"{name}.npy", np.asarray(array, np.int16))
    taken = {}

    def caught(make, take, folder, command=None):
        taken["take"] = take

    lib.correction.JobRun, old = caught, lib.correction.JobRun
    try:
        lib.logic.CorrectionLogic(slicerScene, tmp_path).start(scan, CorrectionSettings())
    finally:
        lib.correction.JobRun = old
    done = taken["take"](tmp_path, {})
    lib.maps.addUncertainty(slicerScene, scan, result, done)
    shown = lib.maps.mapOf(result, lib.maps.UNCERTAINTY_ROLE)
    np.testing.assert_array_equal(lib.volumes.arrayOf(shown), unsure[1:3, 20:50, 30:60])
    first = lib.volumes.ijkToRas(scan) @ np.array([30, 20, 1, 1])
    np.testing.assert_allclose(lib.volumes.ijkToRas(shown)[:, 3], first)
    assert shown.GetDisplayNode().GetLowerThreshold() == 100
    assert names(lib.candidates.Candidates(slicerScene).of(scan)) == ["result"]


def test_where_nothing_was_changed_nothing_is_said(lib, slicerScene):
    scan = lib.selftest.drawnVolume(slicerScene, "scan")
    result, hu = bare(lib, slicerScene, "result"), lib.selftest.drawnHu()
    count = slicerScene.GetNumberOfNodes()
    lib.maps.addUncertainty(
        slicerScene, scan, result, lib.correction.Corrected(hu, hu, hu[:0], (0, 0, 0), {})
    )
    assert slicerScene.GetNumberOfNodes() == count
    assert lib.maps.mapOf(result, lib.maps.UNCERTAINTY_ROLE) is None


def test_words_name_every_vertebra_by_how_it_was_found(lib):
    words = lib.earlier.earlierWords(FACTS)
    assert "laid over: T12, L1" in words
    assert "moved with its neighbours: L2" in words
    assert "74 %" in words
    assert words.endswith("L2 is hidden by metal.")
    assert lib.earlier.earlierWords(None) == ""
    alone = {**FACTS, "registration": {"vertebrae": [], "warnings": []}}
    assert "as a whole" in lib.earlier.earlierWords(alone)
