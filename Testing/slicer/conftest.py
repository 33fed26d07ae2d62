"""The host's fixtures for tests that need real MRML."""

import sys
from pathlib import Path

import pytest

from Testing.host.fixtures import *  # noqa: F403

_MODULE = str(Path(__file__).resolve().parents[2] / "MetalArtifactReduction")
if _MODULE not in sys.path:
    sys.path.append(_MODULE)


@pytest.fixture
def other():
    """Return a scene that is not slicer.mrmlScene: logic must not look at the global one."""
    pytest.importorskip("slicer_core")
    from Testing.host.host import startApplication
    from Testing.host.scene import openScene

    runtime = openScene(startApplication().temporaryPath)
    yield runtime.scene
    runtime.close()
