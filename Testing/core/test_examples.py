"""Examples in docstrings, and those of the documentation, do what they say."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from spinemar.mar.correct import correct_volume
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[2]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "spinemar").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def test_there_are_examples() -> None:
    assert len(WITH_EXAMPLES) >= 10


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_a_module(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_inpainter_of_the_developer_guide() -> None:
    path = ROOT / "Docs" / "examples" / "own_inpainter.py"
    spec = importlib.util.spec_from_file_location("own_inpainter", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    y, x = np.mgrid[-60:60:120j, -60:60:120j]
    hu = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0).astype(np.float32)
    hu[(np.abs(x - 14) < 2.2) & (np.abs(y) < 9)] = 3071.0
    scan = CTVolume(np.repeat(hu[None], 3, axis=0), np.diag([-1.0, -1.0, 2.0, 1.0]))
    inpainter = example.MedianOfTheView()
    result = correct_volume(scan, inpainter=inpainter)
    assert result.provenance.method == "median"
    # Of the measured rays none has changed: that is the contract, whoever fills the trace.
    touched = result.volume.hu - scan.hu
    assert np.isfinite(touched).all()
    assert example.correct(scan).hu.tolist() == result.volume.hu.tolist()
