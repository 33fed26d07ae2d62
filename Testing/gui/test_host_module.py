"""A scripted module written against documented Slicer API runs unchanged in the host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.gui
MODULE = Path(__file__).parent / "TrivialThreshold" / "TrivialThreshold.py"


@pytest.fixture
def widget(host):
    from Testing.host.__main__ import loadSample

    host.showWindow()
    host.input = loadSample()
    return host.openModule(MODULE)


def test_panel_is_set_up_from_the_scene(host, widget):
    import slicer

    assert widget.ui.inputSelector.currentNode() is host.input
    assert widget.ui.applyButton.enabled
    assert widget.ui.imageThresholdSliderWidget.value == 100
    assert widget.ui.advancedCollapsibleButton.collapsed
    assert slicer.util.getModule("TrivialThreshold").title == "Trivial Threshold"
    assert slicer.util.selectedModule() == "TrivialThreshold"


def test_apply_by_mouse(host, widget):
    import slicer
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    from Testing.host import mouse

    mouse.pick(widget.ui.polarityCombo, "Keep below")
    widget.ui.imageThresholdSliderWidget.value = 200
    QTest.mouseClick(widget.ui.applyButton, Qt.MouseButton.LeftButton)
    output = widget.ui.outputSelector.currentNode()
    voxels = slicer.util.arrayFromVolume(output)
    assert voxels.max() <= 200
    composite = host.layoutManager.sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == output.GetID()


def test_error_is_shown_not_traced(host, widget):
    widget.ui.outputSelector.setCurrentNode(host.input)
    widget.ui.applyButton.click()
    assert "must be two volumes" in host.messages[-1].text
    assert isinstance(host.errors.pop(), ValueError)  # tryWithErrorDisplay raises it again


def test_self_test_passes(host, widget):
    import slicer

    slicer.selfTests["TrivialThreshold"]()


def test_reload_gives_a_working_panel(host, widget):
    import slicer

    widget.ui.imageThresholdSliderWidget.value = 250
    widget.onReload()
    again = slicer.modules.TrivialThresholdWidget
    assert again is not widget
    assert again.ui.imageThresholdSliderWidget.value == 250
    assert widget.Observations == []  # cleanup ran
    again.ui.applyButton.click()
    assert again.ui.outputSelector.currentNode() is not None


def test_closing_the_scene_resets_the_panel(host, widget):
    import slicer

    widget.ui.imageThresholdSliderWidget.value = 250
    slicer.mrmlScene.Clear(0)
    host.process()
    assert widget.ui.inputSelector.currentNode() is None
    assert not widget.ui.applyButton.enabled
    slicer.util.addVolumeFromArray(np.zeros((2, 2, 2), np.int16))
    widget.initializeParameterNode()
    assert widget.ui.applyButton.enabled


def test_startup_signal_reaches_the_module(host, widget):
    import sys

    host.finishStartup()
    assert sys.modules["TrivialThreshold"].registered == ["TrivialThreshold"]


def test_strings_are_translated_in_their_context(host):
    host.app.translations["TrivialThreshold", "Trivial Threshold"] = "Einfache Schwelle"
    assert host.loadModule(MODULE).title == "Einfache Schwelle"


def test_modules_are_unloaded_at_the_end():
    import sys

    pytest.importorskip("slicer_core")
    from Testing.host.host import Host

    with Host() as host:
        widget = host.openModule(MODULE)
    assert "TrivialThreshold" not in sys.modules
    assert widget.Observations == []
