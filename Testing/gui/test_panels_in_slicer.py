"""What both panels must not take from Slicer, or take for granted of it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.gui
ROOT = Path(__file__).resolve().parents[2]
MODULES = ("MetalArtifactReduction", "SpineImplantPlanner")


@pytest.fixture(params=MODULES)
def panel(request, host):
    return host.openModule(ROOT / request.param / f"{request.param}.py")


def test_no_key_is_one_of_slicers_own(host, panel):
    """Qt takes a key that two shortcuts have for each of them in turn."""
    from PySide6.QtGui import QKeySequence, QShortcut

    taken = {action.shortcut.toString() for action in host.window.actions()}
    keys = {shortcut.key.toString() for shortcut in host.window.findChildren(QShortcut)}
    assert keys
    assert QKeySequence("Ctrl+Left").toString() in taken
    assert keys & taken == set()


def test_buttons_beside_folders_open_folders(panel, monkeypatch, tmp_path):
    import ctk
    from PySide6.QtWidgets import QFileDialog

    def files(*_arguments):
        raise AssertionError("a dialog for files was opened")

    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, files)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    fields = panel.parent.findChildren(ctk.ctkPathLineEdit)
    assert fields
    for field in fields:
        field.browse()
        assert field.currentPath == str(tmp_path)


def test_the_worker_is_the_python_that_slicer_puts_on_its_path(host, panel):
    from SpineMARLib.panel.worker import workerCommand

    assert not (Path(host.app.applicationDirPath()) / "PythonSlicer").exists()
    assert Path(workerCommand()[0]).name == "PythonSlicer"
