"""Slicer's own Python files in place of the stand-ins, from a checkout of its sources.

The environment variable SLICER_SOURCE names the checkout (`make test-slicer-sources`). Nothing of
it is copied. What a version lacks is absent here as well: `slicer.packaging` came after 5.10.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

VARIABLE = "SLICER_SOURCE"
_PACKAGE, _SAMPLE_DATA = "Base/Python/slicer", "Modules/Scripted/SampleData"
# Widgets that Slicer's connectors of parameters name and the host does not have.
_NO_WIDGETS = ("qMRMLSpinBox", "qMRMLSliderWidget", "qMRMLRangeWidget", "qMRMLNodeComboBox",
               "qMRMLCheckableNodeComboBox", "qMRMLSubjectHierarchyComboBox")  # fmt: skip


def checkout() -> Path | None:
    """Return the checkout's folder; None where the stand-ins are wanted."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named).resolve()
    if not (folder / _PACKAGE).is_dir():
        raise FileNotFoundError(f"{VARIABLE}={named} is no checkout of Slicer's sources.")
    return folder


def publish(folder: Path) -> None:
    """Publish Slicer's own files under the names that modules import."""
    import slicer

    _fillWidgets(slicer)
    slicer.__path__.append(str(folder / _PACKAGE))  # before the stand-ins, after the wheel
    sys.path.append(str(folder / _SAMPLE_DATA))
    _replaceUtil(slicer, folder / _PACKAGE / "util.py")
    # Slicer's start-up imports these; slicer.packaging only who asks for it.
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper"):
        setattr(slicer, name, importlib.import_module(f"slicer.{name}"))


def _replaceUtil(slicer: Any, path: Path) -> None:
    """The wheel has a `slicer.util` of its own version."""
    spec = importlib.util.spec_from_file_location("slicer.util", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer.util"] = slicer.util = module
    spec.loader.exec_module(module)


def _fillWidgets(slicer: Any) -> None:
    """Name the widget classes that the host lacks: no widget is ever one of them."""
    placeholders: dict[str, type] = {}

    def placeholder(name: str) -> type:
        if not name.startswith(("ctk", "qMRML", "qSlicer")):
            raise AttributeError(name)
        return placeholders.setdefault(name, type(name, (), {}))

    sys.modules["ctk"].__getattr__ = placeholder  # PEP 562
    for name in _NO_WIDGETS:
        if not hasattr(slicer, name):
            setattr(slicer, name, placeholder(name))
