"""Which Python runs the worker, and with what environment.

Slicer's own Python is PythonSlicer, which sets up Slicer's libraries. The application puts it on
its PATH, also in a build tree, where it does not lie beside the application; ``sys.executable``
names it as well, in versions since 2021. Outside Slicer it is ``sys.executable``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

import spinemar
from spinemar.base.privacy import SWITCHES
from spinemar.errors import FaultError

_LAUNCHER = "PythonSlicer"


def choose_interpreter(
    application_folder: str | PurePath | None = None,
    *,
    platform: str = sys.platform,
    executable: str = sys.executable,
    which: Callable[[str], str | None] = shutil.which,
    exists: Callable[[PurePath], bool] = lambda path: Path(path).is_file(),
) -> str:
    """Find the interpreter that can run a worker.

    Parameters
    ----------
    application_folder : path, optional
        Folder of the running Slicer application (``slicer.app.applicationDirPath()``); None
        outside Slicer.
    platform, executable, which, exists
        The machine's own by default; tests give others.

    Returns
    -------
    str
        Path of an executable.

    Raises
    ------
    FaultError
        If Slicer runs and its launcher is in none of the places it may be in.
    """
    if application_folder is None:
        return executable
    on_path = which(_LAUNCHER)
    if on_path:
        return on_path
    # Its file name without the ending; a path of another system has other separators.
    if re.split(r"[/\\]", executable)[-1].removesuffix(".exe") == _LAUNCHER:
        return executable
    folder = PurePath(application_folder)
    name = f"{_LAUNCHER}.exe" if platform == "win32" else _LAUNCHER
    # Linux and Windows: <home>/bin/PythonSlicer, the application in <home>/bin or below it, or in
    # <home> itself where the launcher started it. macOS: Slicer.app/Contents/bin/PythonSlicer,
    # the application in Contents/MacOS.
    folders = [folder, folder / "bin", folder.parent / "bin", folder.parent.parent / "bin"]
    for candidate in folders:
        if exists(candidate / name):
            return str(candidate / name)
    raise FaultError(
        f"Slicer's own Python ({name}) was not found beside {folder}.",
        "Repair the Slicer installation, or run the job on the command line.",
    )


def own_interpreter() -> str:
    """Return the Python that runs this process, or the one beside the application that does.

    Raises
    ------
    FaultError
        If this process is an application that has none.
    """
    here = Path(sys.executable or "")
    if here.stem.lower().startswith("python"):
        return str(here)
    return choose_interpreter(here.parent)


def worker_command(interpreter: str, job: str = "-") -> list[str]:
    """Return the command line of a worker that its parent attends."""
    return [interpreter, "-m", "spinemar.jobs.worker", job, "--attended"]


def worker_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a worker: the parent's, where `spinemar` lies, no telemetry.

    Parameters
    ----------
    base : mapping, optional
        The parent's environment by default.
    """
    environment = dict(os.environ if base is None else base)
    core = str(Path(spinemar.__file__).resolve().parents[1])
    known = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (core, known) if part)
    environment.update(SWITCHES)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment
