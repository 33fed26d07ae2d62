"""`import spinemar`: instant, about forty names, typed; old paths of examples get a sentence."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import spinemar
from spinemar.base.moved import MOVED, RENAMED

ROOT = Path(__file__).resolve().parents[2]
FACE = ROOT / "spinemar" / "__init__.py"


def typed_names() -> dict[str, str]:
    """Names that type checkers see, with the module that each is imported from."""
    blocks = [n for n in ast.parse(FACE.read_text("utf-8")).body if isinstance(n, ast.If)]
    return {
        alias.name: node.module
        for node in blocks[0].body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }


@pytest.mark.parametrize("name", spinemar.__all__)
def test_each_name_is_what_type_checkers_see(name: str) -> None:
    found = getattr(spinemar, name)
    assert found is getattr(import_module(typed_names()[name]), name)
    assert name in dir(spinemar)


def test_about_forty_names_and_all_typed() -> None:
    assert sorted(spinemar.__all__) == sorted(typed_names())
    assert 35 <= len(spinemar.__all__) <= 50


def test_importing_it_loads_nothing() -> None:
    script = "import sys, spinemar; print(*(m for m in sys.modules if m.startswith('spinemar.')))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["spinemar.base", "spinemar.base.moved"]
    script = "import sys, spinemar; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_it_corrects() -> None:
    y, x = np.mgrid[-60:60:120j, -60:60:120j]
    hu = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0).astype(np.float32)
    hu[(np.abs(x - 14) < 2.2) & (np.abs(y) < 9)] = 3071.0
    scan = spinemar.CTVolume(np.repeat(hu[None], 3, axis=0), np.diag([-1.0, -1.0, 2.0, 1.0]))
    result = spinemar.correct_volume(scan, method="li")
    assert isinstance(result, spinemar.CorrectionResult)
    assert result.volume.hu.shape == scan.hu.shape
    assert result.provenance.method == "li"
    assert result.metal_mask.any()


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'corect_volume'"):
        spinemar.corect_volume  # noqa: B018


@pytest.mark.parametrize("module", sorted(MOVED))
def test_an_old_path_says_where_its_names_are(module: str) -> None:
    with pytest.raises(ImportError) as caught:
        import_module(module)
    sentence = str(caught.value)
    assert sentence.startswith(f"The module {module} has moved. Use: from spinemar import ")
    names = sentence.rpartition("import ")[2].split(", ")
    assert set(names) <= set(spinemar.__all__)
    exec(sentence.partition("Use: ")[2], {})  # what it says to use works


def test_every_old_path_is_really_gone() -> None:
    for module in MOVED:
        assert not (ROOT / (module.replace(".", "/") + ".py")).exists()


def test_a_path_that_never_was_stays_a_plain_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'spinemar\.mar\.slap'"):
        import_module("spinemar.mar.slap")


@pytest.mark.parametrize("module", sorted(RENAMED))
def test_a_renamed_module_goes_on_working_and_says_where_it_is(module: str) -> None:
    code = (
        f"import {module} as old, {RENAMED[module]} as new\n"
        "names = [n for n in vars(new) if not n.startswith('_')]\n"
        "assert names and all(getattr(old, n) is getattr(new, n) for n in names)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"The module {module} has moved. Use: {RENAMED[module]}" in done.stderr
