"""The command line starts at once: nothing heavy is loaded before a command needs it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "scipy.ndimage",
    "scipy.fft",
    "finufft",
    "onnxruntime",
    "SimpleITK",
    "skimage",
    "pydicom",
    "vtkmodules",
    "zarr",
    "dask",
    "torch",
    "matplotlib",
)


def test_all_commands_together_load_nothing_heavy() -> None:
    code = (
        "import sys; from spinemar.cli.main import build_app; build_app();"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.split() == []
