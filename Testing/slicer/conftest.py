"""The host's fixtures for tests that need real MRML."""

import sys
from pathlib import Path

from Testing.host.fixtures import *  # noqa: F403

_MODULE = str(Path(__file__).resolve().parents[2] / "MetalArtifactReduction")
if _MODULE not in sys.path:
    sys.path.append(_MODULE)
