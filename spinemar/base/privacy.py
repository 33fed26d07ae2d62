"""Libraries that would report on their users, or keep files in their home, are told not to.

ONNX Runtime reports from version 1.29 on: on Linux and macOS it looks up a collector's name, keeps
a device id and a store of events in the home, and sends what it ran and on what
(microsoft/onnxruntime, docs/Privacy.md). The environment is the only switch that it reads before
its first event; what a process has set, its children inherit.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from types import MappingProxyType

SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "ORT_DISABLE_TELEMETRY": "1",
        "MESA_SHADER_CACHE_DISABLE": "true",  # files in the home for a picture or two
    }
)
"""Environment variables that silence what SpineMAR may load."""

_MATPLOTLIB_FOLDER = "MPLCONFIGDIR"


def keep_to_this_machine() -> None:
    """Silence libraries in this process and in those that it starts, whatever was set before."""
    os.environ.update(SWITCHES)


def keep_matplotlib_out_of_home() -> None:
    """Have Matplotlib keep its list of fonts with this process, unless the user chose a place.

    To be called before Matplotlib is imported.
    """
    if _MATPLOTLIB_FOLDER in os.environ or "matplotlib" in sys.modules:
        return
    folder = tempfile.mkdtemp(prefix="spinemar-fonts-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_MATPLOTLIB_FOLDER] = folder
