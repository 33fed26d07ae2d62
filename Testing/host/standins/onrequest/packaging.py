"""Stand-in for `slicer.packaging`, which is there only for who imports it, as in Slicer 5.12.

It checks for real, asks as Slicer's does, and runs pip through PythonSlicer; the host's keeps the
command line instead of installing (`Testing.host.pythonslicer`).
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer
from packaging.requirements import Requirement


def load_requirements(path: str | Path) -> list[Requirement]:
    """Read a requirements file; comments, blank lines and pip's options are left out."""
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """Read the dependencies of a pyproject.toml."""
    import tomllib

    project = tomllib.loads(Path(path).read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project.get("dependencies", [])]


def _list(requirements: Any) -> list[Requirement]:
    if isinstance(requirements, str):
        requirements = [requirements] if ";" in requirements else requirements.split()
    if isinstance(requirements, Requirement):
        requirements = [requirements]
    return [r if isinstance(r, Requirement) else Requirement(r) for r in requirements]


def pip_check(req: Any) -> bool:
    """Whether all requirements are installed in a version that fits."""
    for requirement in _list(req):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            return False
        if not requirement.specifier.contains(version, prereleases=True):
            return False
    return True


def pip_install(requirements: Any, constraints: str | Path | None = None, **options: Any) -> None:
    """Run pip; CalledProcessError where it fails, after a message box as in Slicer."""
    arguments = ["install", *(str(r) for r in _list(requirements))]
    if constraints is not None:
        arguments += ["-c", str(constraints)]
    try:
        slicer.util.executePythonModule("pip", arguments)
    except CalledProcessError:
        slicer.util.errorDisplay(
            "Package installation failed.", windowTitle=f"{options.get('requester')} - Failed"
        )
        raise


def pip_uninstall(requirements: Any, **options: Any) -> None:
    """Do nothing: no module of ours removes a package."""


def isPipInstallInProgress() -> bool:
    """Nothing is ever installed in the background here."""
    return False


def pip_ensure(
    requirements: Any,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    """Ask for consent as Slicer does, then install; decline raises RuntimeError."""
    missing = [r for r in _list(requirements) if not pip_check(r)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    names = "\n".join(f"- {r}" for r in missing)
    text = f"{len(missing)} Python packages need to be installed. Continue?"
    if prompt_install and not slicer.util.confirmOkCancelDisplay(
        text, f"{requester} - Install Python Packages", detailedText=names
    ):
        raise RuntimeError("User declined package installation")
    pip_install([str(r) for r in missing], constraints, requester=requester)
