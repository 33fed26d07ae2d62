"""The host is no kinder than Slicer: what fails there fails here.

With SLICER_SOURCE the same tests run on Slicer's own files.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from Testing.host import slicersown

pytestmark = pytest.mark.gui


def packagingOrSkip():
    try:
        return import_module("slicer.packaging")
    except ImportError:
        pytest.skip("5.10 has no slicer.packaging")


def test_the_files_are_the_ones_that_were_asked_for(host):
    import slicer

    folder = slicersown.checkout() or Path(__file__).resolve().parents[1] / "host" / "standins"
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
        assert folder in Path(sys.modules[f"slicer.{name}"].__file__).parents, name
    import SampleData

    assert folder in Path(SampleData.__file__).parents
    if slicersown.checkout():
        assert folder in Path(slicer.util.__file__).parents


def test_packaging_is_there_for_who_imports_it(host):
    import slicer

    assert not hasattr(slicer, "packaging")
    packagingOrSkip()
    assert hasattr(slicer, "packaging")


def test_packaging_is_forgotten_with_its_session(host):
    import slicer  # the test before this one imported it

    assert not hasattr(slicer, "packaging")


def test_pip_that_fails_raises(host):
    import slicer

    host.app.pythonSlicer.endPipWith(1)
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.pip_install(["there-is-no-such-package"])
    assert host.app.pythonSlicer.pipCalls() == [["install", "there-is-no-such-package"]]


def test_pip_ensure_raises_what_pip_raises_and_installs_nothing_in_testing(host):
    packaging = packagingOrSkip()
    host.app.testing = True
    packaging.pip_ensure(["there-is-no-such-package>=1"])
    assert host.app.pythonSlicer.pipCalls() == []
    host.app.testing = False
    host.app.pythonSlicer.endPipWith(1)
    with pytest.raises(subprocess.CalledProcessError):
        packaging.pip_ensure(["there-is-no-such-package>=1"], requester="A module")


def test_a_sample_has_no_description(host):
    import SampleData

    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    with pytest.raises(TypeError):
        register(category="A", sampleName="B", uris="", sampleDescription="C")


def test_only_the_button_asks_the_custom_downloader(host, monkeypatch):
    import SampleData

    clicked = []
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="A", sampleName="B", uris="", fileNames="", nodeNames="", thumbnailFileName=None,
        customDownloader=clicked.append,
    )  # fmt: skip
    with contextlib.suppress(Exception):  # whatever an empty address ends in
        SampleData.downloadSample("B")
    assert clicked == []
    host.clickSample("B")
    assert [source.sampleName for source in clicked] == ["B"]


def test_what_a_downloader_raises_ends_in_a_slot(host):
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="A", sampleName="B", uris="", fileNames="", nodeNames="", thumbnailFileName=None,
        customDownloader=lambda source: {}["B"],
    )  # fmt: skip
    host.clickSample("B")
    assert isinstance(host.errors.pop(), KeyError)
    assert host.messages == []  # the user sees nothing


def test_the_segment_selector_tells_of_the_first_segment_at_once(host):
    import slicer

    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name in ("left", "right"):
        node.GetSegmentation().AddEmptySegment(name, name)
    selector = slicer.qMRMLSegmentSelectorWidget()
    told = []
    selector.connect("currentSegmentChanged(QString)", told.append)
    selector.setMRMLScene(host.scene)
    selector.setCurrentNode(node)
    selector.setCurrentSegmentID("right")
    assert told == ["left", "right"]


def test_a_path_asks_for_files_unless_told_otherwise(host, monkeypatch):
    import ctk
    from PySide6.QtWidgets import QFileDialog

    asked = []

    def answer(name, nothing):
        monkeypatch.setattr(QFileDialog, name, lambda *_: asked.append(name) or nothing)

    answer("getOpenFileName", ("", ""))
    answer("getExistingDirectory", "")
    field = ctk.ctkPathLineEdit()
    field.browse()
    field.filters = ctk.ctkPathLineEdit.Dirs
    field.browse()
    assert asked == ["getOpenFileName", "getExistingDirectory"]


def test_modules_of_an_earlier_session_do_not_hear_of_this_one(host):
    called = []
    host.app.connect("startupCompleted()", lambda: called.append(1))
    host.app.detach()
    host.app.startupCompleted.emit()
    assert called == []
    host.app.attach(host._runtime, host.moduleManager)
