"""PythonSlicer as an installed Slicer has it: on PATH, and not beside the application.

It is this Python. pip is kept from installing, unless it is let: its command line is written down.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

_PIP = """\
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
with (folder / "pip.jsonl").open("a", encoding="utf-8") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
code = int((folder / "pip-ends-with").read_text())
print("ERROR: Could not find a version" if code else "Successfully installed")
raise SystemExit(code)
"""

_REAL_PIP = """\
import subprocess
raise SystemExit(subprocess.call([sys.executable, "-m", "pip", *sys.argv[1:]]))
"""


class PythonSlicer:
    """The launcher, first on this process's PATH, and what pip was asked for.

    Parameters
    ----------
    folder : Path
        Made, and filled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        python, pip = shlex.quote(sys.executable), shlex.quote(str(folder / "pip.py"))
        launcher = folder / "PythonSlicer"
        launcher.write_text(
            f'#!/bin/sh\nif [ "$1 $2" = "-m pip" ]; then shift 2; exec {python} {pip} "$@"; fi\n'
            f'exec {python} "$@"\n',
            encoding="utf-8",
        )
        launcher.chmod(0o755)
        (folder / "pip.py").write_text(_PIP, encoding="utf-8")
        os.environ["PATH"] = os.pathsep.join((str(folder), os.environ.get("PATH", "")))
        self.forget()

    def endPipWith(self, code: int) -> None:
        """Let pip end with this code from now on."""
        (self._folder / "pip-ends-with").write_text(str(code), encoding="utf-8")

    def letPipInstall(self) -> None:
        """Let pip install from now on, into this Python; calls are still written down."""
        written = _PIP.partition("code = ")[0]
        (self._folder / "pip.py").write_text(written + _REAL_PIP, encoding="utf-8")

    def pipCalls(self) -> list[list[str]]:
        """Return the arguments of every call of pip so far."""
        lines = (self._folder / "pip.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def forget(self) -> None:
        """Begin anew: no calls, and pip succeeds."""
        self.endPipWith(0)
        (self._folder / "pip.jsonl").write_text("", encoding="utf-8")
