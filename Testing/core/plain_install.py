"""A Python with what a plain `pip install spinemar` brings, and nothing else.

The packages are not downloaded: a virtual environment without pip gets links to those of this
environment that the plain dependencies of pyproject.toml lead to.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def _names(text: str) -> list[str]:
    lines = (line.partition("#")[0] for line in text.splitlines())
    return re.findall(r'"([^"]+)"', "\n".join(lines))


@cache
def pyproject_lists() -> dict[str, list[str]]:
    """Return the plain dependencies (under "") and those of each extra, as pyproject has them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    plain = re.search(r"^dependencies = \[$(.*?)^\]$", text, re.MULTILINE | re.DOTALL)
    extras = re.search(r"^\[project\.optional-dependencies\]$(.*?)^\[", text, re.M | re.S)
    assert plain
    assert extras
    found = {"": _names(plain[1])}
    for name, content in re.findall(r"^([\w-]+) = \[(.*?)\]$", extras[1], re.M | re.S):
        found[name] = _names(content.replace("[distributed]", ""))
    return found


def _reached(requirement: str, seen: dict[str, Distribution]) -> None:
    """Follow a requirement through the metadata of what is installed."""
    wanted = Requirement(requirement)
    if wanted.marker is not None and not any(
        wanted.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)
    ):
        return
    name = wanted.name.lower().replace("_", "-")
    if name in seen:
        return
    try:
        seen[name] = distribution(name)
    except PackageNotFoundError:
        return
    for need in seen[name].requires or []:
        if "extra ==" not in need:
            _reached(need, seen)


def plain_distributions() -> dict[str, Distribution]:
    """Return what a plain install brings, by name."""
    seen: dict[str, Distribution] = {}
    for requirement in pyproject_lists()[""]:
        _reached(requirement, seen)
    return seen


def make_plain_python(folder: Path) -> Path:
    """Make the environment in a folder, and return its interpreter."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    site = next(folder.glob("lib/python*/site-packages"))
    for package in plain_distributions().values():
        for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            source = Path(str(package.locate_file(top)))
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    for name in ("spinemar", "Training/spinemar_training", "Training/spinemar_study"):
        (site / Path(name).name).symlink_to(ROOT / name)
    return folder / "bin" / "python"


def plain_environment() -> dict[str, str]:
    """Return an environment in which nothing but that Python's own packages are found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
