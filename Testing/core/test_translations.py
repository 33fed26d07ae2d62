"""The translation template holds every text of both panels, and nothing that is gone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "update_translations.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_template_is_up_to_date(script: ModuleType) -> None:
    kept = script.TEMPLATE.read_text(encoding="utf-8")
    assert script.document(script.texts()) == kept, "run python scripts/update_translations.py"


def test_contexts_are_those_that_slicer_looks_up(script: ModuleType) -> None:
    """As `slicer.i18n.getContext`: file, or package and file; the class of a form."""
    found = set(script.texts())
    assert ("SpineImplantPlanner", "Spine Implant Planner") in found
    assert ("panel.runner", "Preparing...") in found
    assert ("SpineImplantPlanner", "Segment the spine") in found  # of the form
    assert ("qSlicerAbstractCoreModule", "Planning") in found
    assert not any(text == "vtkMRMLScalarVolumeNode" for _, text in found)


def test_texts_made_at_run_time_are_refused(script: ModuleType, tmp_path: Path) -> None:
    for bad in ('_(f"{x} screws")', "_(name)", '_("a" + b)', 'translate("c", text)'):
        (tmp_path / "bad.py").write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match="looked up"):
            list(script.python_texts(tmp_path / "bad.py"))


def test_qt_reads_the_template_once_it_is_translated(script: ModuleType, tmp_path: Path) -> None:
    """With Qt's own compiler: what a translator fills in is what Slicer looks up."""
    import subprocess
    from xml.etree import ElementTree

    pyside = pytest.importorskip("PySide6")
    core = pytest.importorskip("PySide6.QtCore")
    compiler = Path(pyside.__file__).parent / "lrelease"
    if not compiler.is_file():
        pytest.skip("needs PySide6's lrelease")
    tree = ElementTree.parse(script.TEMPLATE)
    for message in tree.iter("message"):
        done = message.find("translation")
        assert done is not None
        done.attrib.clear()
        done.text = f"<{message.findtext('source')}>"
    tree.write(tmp_path / "SpineMAR_xx.ts", encoding="utf-8", xml_declaration=True)
    files = [str(tmp_path / f"SpineMAR_xx.{kind}") for kind in ("ts", "qm")]
    subprocess.run([str(compiler), files[0], "-qm", files[1]], check=True, capture_output=True)
    translator = core.QTranslator()
    assert translator.load(files[1])
    for context, text in script.texts():
        assert translator.translate(context, text) == f"<{text}>"
