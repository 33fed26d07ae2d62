"""A correction through the modules leaves the machine and the home alone: every process traced."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spinemar.io import write_volume
from spinemar.mar.inpainters.methods import shipped_model
from Testing.core.reliability.conftest import drawn_ct
from Testing.core.reliability.system_calls import ROOT, Calls, run_in_empty_home, why_no_trace

pytestmark = [
    pytest.mark.slicer,
    pytest.mark.skipif(why_no_trace() is not None, reason=str(why_no_trace())),
    pytest.mark.skipif(shipped_model() is None, reason="no model ships"),
]

# What the panel does after the click, on real MRML.
LOGIC = """
import sys, time
from pathlib import Path
from Testing.host.host import Host
with Host() as host:
    host.loadModule(Path(sys.argv[1]))
    from MetalArtifactReductionLib import logic
    from MetalArtifactReductionLib.panel import selftest
    from spinemar.mar.settings import CorrectionSettings
    volume = selftest.drawnVolume(host.scene)
    corrections = logic.CorrectionLogic(host.scene, Path("."))
    run = corrections.start(volume, CorrectionSettings("generator"))
    while run.running:
        time.sleep(0.05)
    assert corrections.finish(run, volume).volume is not None
    assert "onnxruntime" not in sys.modules  # the worker's matter
"""


def test_the_module(tmp_path: Path) -> None:
    pytest.importorskip("slicer_core", reason="needs slicer-core (pip install .[slicer-tests])")
    pytest.importorskip("PySide6", reason="needs PySide6 (pip install .[slicer-tests])")
    module = ROOT / "MetalArtifactReduction" / "MetalArtifactReduction.py"
    done, calls = run_in_empty_home([sys.executable, "-c", LOGIC, str(module)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert calls == Calls(), calls


def test_the_command_line_module(tmp_path: Path) -> None:
    write_volume(tmp_path / "scan.nrrd", drawn_ct())
    script = ROOT / "MetalArtifactReductionCLI" / "MetalArtifactReductionCLI.py"
    command = [sys.executable, str(script), str(tmp_path / "scan.nrrd"), "out.nrrd"]
    done, calls = run_in_empty_home([*command, "--method", "generator"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert calls == Calls(), calls
