"""The command-line module as another module runs it: `slicer.cli.runSync` with nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slicer
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "MetalArtifactReductionCLI" / "MetalArtifactReductionCLI.py"


@pytest.fixture
def body(host):
    host.loadCommandLineModule(SCRIPT)
    from MetalArtifactReductionLib.panel.selftest import drawnVolume

    return drawnVolume(host.scene)


def run(body, **parameters):
    import slicer

    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "out")
    given = {"inputVolume": body.GetID(), "outputVolume": output.GetID(), **parameters}
    node = slicer.cli.runSync(slicer.modules.metalartifactreductioncli, None, given)
    return node, output


def test_same_result_as_the_module(body, tmp_path):
    import slicer

    node, output = run(body, method="li")
    assert node.GetStatusString() == "Completed", node.GetErrorText()
    from spinemar.mar.correct import correct_volume
    from spinemar.volume import CTVolume

    hu = slicer.util.arrayFromVolume(body).astype(np.float32)
    from SpineMARLib.nodes.volumes import ijkToRas

    expected = correct_volume(CTVolume(hu, ijkToRas(body)), method="li").volume.hu
    np.testing.assert_allclose(slicer.util.arrayFromVolume(output), expected, atol=0.51)
    np.testing.assert_allclose(ijkToRas(output), ijkToRas(body), atol=1e-5)


def test_a_mask_from_another_module(body):
    import slicer

    mask = slicer.modules.volumes.logic().CreateAndAddLabelVolume(body, "mask")
    hu = slicer.util.arrayFromVolume(body)
    slicer.util.updateVolumeFromArray(mask, (hu > 2500).astype(np.int16))
    node, output = run(body, method="li", metalMask=mask.GetID())
    assert node.GetStatusString() == "Completed", node.GetErrorText()
    after = slicer.util.arrayFromVolume(output)
    np.testing.assert_array_equal(after[hu > 2500], hu[hu > 2500])


def test_errors_are_sentences(body):
    node, _ = run(body, metalThreshold=-950.0, method="li")
    assert node.GetStatusString() == "Completed with errors"
    assert "which no implant does" in node.GetErrorText()
    assert "Traceback" not in node.GetErrorText()
