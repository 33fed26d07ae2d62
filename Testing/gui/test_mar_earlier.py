"""The panel's earlier CT: what it offers, what a run gets, what a result shows of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError

pytestmark = pytest.mark.gui
MODULE = (
    Path(__file__).resolve().parents[2] / "MetalArtifactReduction" / "MetalArtifactReduction.py"
)
FACTS = {
    "facts": {},
    "registration": {
        "vertebrae": [{"level": "L1", "found": "registered"}],
        "warnings": ["The earlier CT ends in L2."],
    },
    "mean_agreement_percent": 80.2,
}


@pytest.fixture
def panel(host, tmp_path, monkeypatch):
    """Return the panel with a scan chosen and a volume without metal beside it."""
    host.showWindow()
    host.loadModule(MODULE)
    from MetalArtifactReductionLib.panel import model, selftest

    monkeypatch.setattr(model, "storeFolder", lambda: tmp_path / "models")
    host.scan = selftest.drawnVolume(host.scene, "scan")
    host.before = bare(host, "before")
    import slicer

    slicer.util.setSliceViewerLayers(background=host.scan, fit=True)
    host.window.moduleSelector().selectModule("MetalArtifactReduction")
    host.process()
    return slicer.modules.MetalArtifactReductionWidget


def bare(host, name):
    """A CT without metal."""
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    node = selftest.drawnVolume(host.scene, name)
    setArray(node, np.minimum(selftest.drawnHu(), 900))
    return node


def offered(panel):
    combo = panel.ui.earlierCombo
    return [combo.itemText(n) for n in range(combo.count)]


def test_volumes_without_metal_are_offered_as_they_come_and_go(host, panel):
    assert panel._parameterNode.inputVolume is host.scan
    assert offered(panel) == ["(none)", "before"]
    late = bare(host, "late")
    host.process(0.05)
    panel.enter()
    assert offered(panel) == ["(none)", "before", "late"]
    host.scene.RemoveNode(late)
    host.process(0.05)
    assert offered(panel) == ["(none)", "before"]
    panel._parameterNode.inputVolume = host.before  # the scan has metal itself
    host.process()
    assert offered(panel) == ["(none)"]
    assert not panel.ui.earlierCombo.enabled


def test_the_choice_is_kept_in_the_scene_and_let_go_with_its_input(host, panel):
    panel.ui.earlierCombo.setCurrentIndex(1)
    assert panel._parameterNode.earlierCt is host.before
    panel.exit()
    panel.enter()
    assert panel.ui.earlierCombo.currentIndex == 1
    panel._parameterNode.inputVolume = host.before
    host.process()
    assert panel._parameterNode.earlierCt is None
    panel._parameterNode.inputVolume = host.scan
    panel.ui.earlierCombo.setCurrentIndex(1)
    panel.ui.earlierCombo.setCurrentIndex(0)
    assert panel._parameterNode.earlierCt is None


def test_another_patient_is_not_offered(host, panel, monkeypatch):
    patients = {"scan": "A", "before": "B", "own": "A"}
    bare(host, "own")
    monkeypatch.setattr(
        panel.earlierPanel._candidates, "_patientOf", lambda node: patients[node.GetName()]
    )
    panel.enter()
    assert offered(panel) == ["(none)", "own"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_run_gets_the_chosen_earlier_ct(host, panel, monkeypatch, index):
    from MetalArtifactReductionLib.logic import CorrectionLogic

    started = []

    def start(self, inputNode, settings, segmentation=None, segmentId="", earlierNode=None, **more):
        started.append((inputNode, earlierNode))
        raise InputError("Nothing runs here.", "It is a test.")

    monkeypatch.setattr(CorrectionLogic, "start", start)
    panel.ui.earlierCombo.setCurrentIndex(index)
    panel.onCorrect()
    assert started == [(host.scan, [None, host.before][index])]


def test_a_result_says_which_vertebrae_were_used_and_shows_where(host, panel):
    import slicer
    from MetalArtifactReductionLib.correction import Corrected
    from MetalArtifactReductionLib.nodes.earlier import addEarlier
    from MetalArtifactReductionLib.nodes.maps import AGREEMENT_ROLE

    hu = slicer.util.arrayFromVolume(host.scan)
    result = bare(host, "result")
    agreement = np.full(hu.shape, 60, np.uint8)
    done = Corrected(hu, hu, hu[:0], (0, 0, 0), {"earlier_ct": FACTS}, agreement, hu)
    addEarlier(host.scene, host.scan, host.before, result, done)
    panel.ui.resultCollapsibleButton.collapsed = False
    assert not panel.ui.earlierLabel.visible
    panel.earlierPanel.setResult(result)
    panel.mapsPanel.setResult(result)
    host.process()
    assert "laid over: L1; believed to 80 %" in panel.ui.earlierLabel.text
    assert "ends in L2" in panel.ui.earlierLabel.text
    assert panel.ui.agreementCheckBox.visible
    slicer.util.setSliceViewerLayers(background=result)
    view = host.layoutManager.sliceWidget("Red").mrmlSliceCompositeNode()
    panel.ui.agreementCheckBox.click()
    assert view.GetForegroundVolumeID() == result.GetNodeReference(AGREEMENT_ROLE).GetID()
    panel.ui.agreementCheckBox.click()
    assert view.GetForegroundVolumeID() is None
    panel.ui.agreementCheckBox.click()
    panel.earlierPanel.setResult(None)
    panel.mapsPanel.setResult(None)  # another result takes it away
    assert view.GetForegroundVolumeID() is None
    assert not panel.ui.agreementCheckBox.visible
    assert not panel.ui.earlierLabel.visible
