"""Bad input and faults in the panel: a message box with problem and remedy, the scene as before."""

from __future__ import annotations

import errno
import tempfile

import numpy as np
import pytest

from Testing.gui.test_mar_module import click, finish, panel  # noqa: F401 - a fixture

pytestmark = pytest.mark.gui


def _refused(host, panel) -> str:  # noqa: F811
    count = host.scene.GetNumberOfNodes()
    click(panel.ui.correctButton)
    finish(host, panel)
    assert len(host.messages) == 1
    text = host.messages[0].text
    assert "Traceback" not in text
    assert "\n\n" in text  # the problem, then the remedy
    assert panel._parameterNode.outputVolume is None
    assert host.scene.GetNumberOfNodes() == count
    assert panel.ui.correctButton.enabled
    return text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda hu: np.where(np.arange(hu.size).reshape(hu.shape) == 77, np.nan, hu),
            "not numbers",
        ),
        (lambda hu: np.full_like(hu, 40), "is constant"),
        (lambda hu: hu * 1e6, "not in Hounsfield units"),
    ],
    ids=["NaN", "constant", "scaled"],
)
def test_values_that_are_no_ct(host, panel, change, said):  # noqa: F811
    from MetalArtifactReductionLib.panel import selftest

    from SpineMARLib.nodes.volumes import setArray

    setArray(host.volume, change(selftest.drawnHu().astype(np.float32)).astype(np.float32))
    assert said in _refused(host, panel)


def test_no_place_for_temporary_files(host, panel, monkeypatch):  # noqa: F811
    def full(**_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert "The disk is full" in _refused(host, panel)
