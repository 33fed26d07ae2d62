"""DICOM in, correct, DICOM out: one study, valid, voxel-exact, sources untouched."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def corrected(host, tmp_path, monkeypatch):
    """Return the panel with a corrected DICOM series, its database and its source files."""
    pytest.importorskip("pydicom")
    import slicer

    from Testing.host.dicomdatabase import DicomDatabase, loadSeries, writeCtSeries

    host.showWindow()
    host.loadModule(ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py")
    from MetalArtifactReductionLib.choices.settings import Method
    from MetalArtifactReductionLib.panel.selftest import drawnHu

    files = writeCtSeries(tmp_path / "series", drawnHu())
    database = DicomDatabase(tmp_path / "database")
    (tmp_path / "database").mkdir()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    node = loadSeries(database, files)
    host.window.moduleSelector().selectModule("MetalArtifactReduction")
    widget = slicer.modules.MetalArtifactReductionWidget
    widget._parameterNode.method = Method.linear
    widget.ui.correctButton.click()
    host.waitUntil(lambda: widget.run is None, 60)
    host.process(0.05)
    assert host.messages == []
    return widget, node, database, files


def send(host, widget):
    """Click *Send*, and wait for the worker and the database."""
    said = len(host.messages)
    widget.ui.dicomButton.click()
    host.waitUntil(lambda: len(host.messages) > said, 60)


def test_series_of_the_same_study_and_source_untouched(host, corrected, caplog):
    import pydicom
    import SimpleITK as sitk
    import slicer

    widget, _node, database, files = corrected
    before = [hashlib.sha256(f.read_bytes()).hexdigest() for f in files]
    with caplog.at_level(logging.DEBUG):
        send(host, widget)
    assert "Test^Spine" not in caplog.text  # identifiers are never logged
    assert "T-1" not in caplog.text
    assert "5 images were written" in host.messages[-1].text
    assert [hashlib.sha256(f.read_bytes()).hexdigest() for f in files] == before
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    series = database.seriesForStudy(study)
    assert len(series) == 2
    written = sorted(Path(database.databaseDirectory).rglob("*.dcm"))
    image = sitk.ReadImage([str(p) for p in written])
    result = slicer.util.arrayFromVolume(widget._parameterNode.outputVolume)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), result)
    header = pydicom.dcmread(written[0])
    assert header.PatientID == "T-1"
    assert "method li" in header.DerivationDescription


def test_result_lies_in_the_inputs_study(host, corrected):
    import slicer

    widget, node, _, _ = corrected
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
    result = hierarchy.GetItemByDataNode(widget._parameterNode.outputVolume)
    assert hierarchy.GetItemName(study) == "Study"
    assert hierarchy.GetItemParent(result) == study


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools' dciodvfy")
def test_an_independent_checker_finds_no_error(host, corrected):
    widget, _, database, files = corrected
    send(host, widget)
    written = sorted(Path(database.databaseDirectory).rglob("*.dcm"))
    for path in (files[0], *written):
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")]
        assert errors == [], path.name


def test_a_worker_writes_while_the_panel_says_so(host, corrected, monkeypatch):
    """No click waits for the series; the database takes the files a few at a time."""
    from MetalArtifactReductionLib.panel import study

    widget, _, database, _ = corrected
    monkeypatch.setattr(study, "_LOT_S", 0.0)
    label, seen = widget.ui.dicomLabel, []
    widget.ui.dicomButton.click()
    assert len(database._files) == 5
    assert not widget.ui.dicomButton.enabled
    assert "Writing the series" in label.text
    host.waitUntil(lambda: seen.append(label.text) or host.messages, 60)
    assert any("Into the database: 3 of 5" in text for text in seen)
    assert len(database._files) == 10
    assert widget.ui.dicomButton.enabled
    assert label.text == ""


def test_a_series_that_cannot_be_written_leaves_the_panel_ready(host, corrected):
    widget, _, database, files = corrected
    Path(files[2]).write_bytes(b"no DICOM any more")
    send(host, widget)
    assert host.messages
    assert list(Path(database.databaseDirectory).rglob("*.dcm")) == []
    assert widget.ui.dicomButton.enabled
    assert widget.ui.dicomLabel.text == ""


def test_twice_gives_two_series(host, corrected):
    widget, _, database, _ = corrected
    send(host, widget)
    send(host, widget)
    assert len(list(Path(database.databaseDirectory).rglob("*.dcm"))) == 10


def test_modality_comes_from_the_database(host, corrected, monkeypatch):
    widget, _, database, _ = corrected
    monkeypatch.setattr(type(database), "instanceValue", lambda *_: "MR")
    widget.ui.correctButton.click()
    assert "modality is MR" in host.messages[-1].text


def test_volume_that_is_not_from_dicom_is_refused_with_a_remedy(host, corrected):
    widget, node, _, _ = corrected
    node.RemoveAttribute("DICOM.instanceUIDs")
    node.SetAndObserveStorageNodeID(None)
    send(host, widget)
    assert "not loaded from DICOM" in host.messages[-1].text
    assert "NRRD" in host.messages[-1].text


@pytest.fixture
def loaded(host, tmp_path, monkeypatch):
    """Return a function that loads a series after an edit, ready to be corrected."""
    pytest.importorskip("pydicom")
    import pydicom
    import slicer

    from Testing.host.dicomdatabase import DicomDatabase, loadSeries, writeCtSeries

    host.showWindow()
    host.loadModule(ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py")
    from MetalArtifactReductionLib.panel.selftest import drawnHu

    def load(number, **tags):
        files = writeCtSeries(tmp_path / "series", drawnHu())
        data = pydicom.dcmread(files[number])
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(files[number])
        database = DicomDatabase(tmp_path / "database")
        monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
        loadSeries(database, files)
        host.window.moduleSelector().selectModule("MetalArtifactReduction")
        return slicer.modules.MetalArtifactReductionWidget

    return load


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"Modality": "MR"}, "MR"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "CT localizer"),
    ],
)
def test_every_image_must_be_of_a_ct(host, loaded, tags, what):
    widget = loaded(2, **tags)
    widget.ui.correctButton.click()
    host.process(0.05)
    assert widget.run is None
    assert "is no CT" in host.messages[-1].text
    assert what in host.messages[-1].text


def test_a_reformatted_series_is_asked_about(host, loaded):
    import qt

    widget = loaded(2, ImageType=["DERIVED", "SECONDARY", "MPR"])
    asked = []
    host.answer = lambda message: asked.append(message.text) or qt.QMessageBox.No
    widget.ui.correctButton.click()
    host.process(0.05)
    assert widget.run is None
    assert "reformatted series: its image type is DERIVED\\SECONDARY\\MPR" in asked[0]
