"""Which Python runs the worker, on every system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from spinemar.base.interpreter import choose_interpreter, worker_command, worker_environment
from spinemar.errors import FaultError

CASES = [
    # platform, application folder, PythonSlicer
    ("linux", PurePosixPath("/opt/Slicer-5.12/bin"), "/opt/Slicer-5.12/bin/PythonSlicer"),
    ("linux", PurePosixPath("/opt/Slicer-5.12"), "/opt/Slicer-5.12/bin/PythonSlicer"),
    (
        "darwin",
        PurePosixPath("/Applications/Slicer.app/Contents/MacOS"),
        "/Applications/Slicer.app/Contents/bin/PythonSlicer",
    ),
    (
        "win32",
        PureWindowsPath(r"C:\Users\me\AppData\Local\slicer.org\Slicer 5.12\bin"),
        r"C:\Users\me\AppData\Local\slicer.org\Slicer 5.12\bin\PythonSlicer.exe",
    ),
]


@pytest.mark.parametrize(("platform", "folder", "launcher"), CASES)
def test_the_launcher_beside_the_application(
    platform: str, folder: PurePath, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spinemar.base.interpreter as module

    monkeypatch.setattr(module, "PurePath", type(folder))
    found = choose_interpreter(
        folder, platform=platform, which=nowhere, exists=lambda p: str(p) == launcher
    )
    assert found == launcher


def nowhere(_name: str) -> None:
    """Find no program, as a shell that Slicer did not start."""


def test_a_build_tree_has_the_launcher_on_its_path_alone() -> None:
    found = choose_interpreter(
        "/build/Slicer-build/bin",
        which=lambda name: f"/build/python-install/bin/{name}",
        exists=lambda _: False,
    )
    assert found == "/build/python-install/bin/PythonSlicer"


@pytest.mark.parametrize(
    "executable", ["/opt/Slicer/bin/PythonSlicer", r"C:\Slicer 5.12\bin\PythonSlicer.exe"]
)
def test_slicer_names_its_python_itself(executable: str) -> None:
    found = choose_interpreter(
        "/elsewhere", executable=executable, which=nowhere, exists=lambda _: False
    )
    assert found == executable


def test_outside_slicer_it_is_this_python() -> None:
    assert choose_interpreter() == sys.executable


def test_a_missing_launcher_is_one_sentence() -> None:
    with pytest.raises(FaultError, match="was not found"):
        choose_interpreter("/opt/Slicer/bin", which=nowhere, exists=lambda _: False)


def test_the_worker_finds_the_core_wherever_it_starts(tmp_path: Path) -> None:
    environment = worker_environment({k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    command = [*worker_command(sys.executable)[:3], "--help"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_known_paths_are_kept() -> None:
    environment = worker_environment({"PYTHONPATH": "/slicer/lib", "A": "b"})
    assert environment["PYTHONPATH"].split(os.pathsep)[1:] == ["/slicer/lib"]
    assert environment["A"] == "b"
