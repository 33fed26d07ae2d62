"""The Python packages that the modules need: asked for on the first click, never before."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from spinemar.errors import InputError

REQUESTER = "SpineMAR"
# Distribution and the module that it brings, where the names differ.
_MODULES = {"finufft": "finufft", "scikit-image": "skimage", "SimpleITK": "SimpleITK",
            "pydicom": "pydicom", "pillow": "PIL"}  # fmt: skip
_SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "vtk", "requests", "pillow", "pydicom")
# What pip downloads for it, with what it needs beyond Slicer's own packages: wheels of November
# 2026 for Python 3.12 on Linux.
_DOWNLOAD_MB = {"finufft": 8, "scikit-image": 17, "SimpleITK": 53, "pydicom": 3, "pillow": 7,
                "onnxruntime": 28, "onnxruntime-gpu": 1570}  # fmt: skip


def requirements(path: Path) -> list[str]:
    """Read the requirements file of the module."""
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("-")]


def runtimeRequirement(driver: bool, platform: str = sys.platform) -> str:
    """Name the one ONNX Runtime that fits this machine: never both, GPU only with a driver."""
    if driver and platform in ("linux", "win32"):
        return "onnxruntime-gpu[cuda,cudnn]>=1.19"
    return "onnxruntime>=1.19"


def nameOf(requirement: str) -> str:
    """Return the name of a requirement's distribution."""
    return re.split(r"[<>=!~\[ ]", requirement, maxsplit=1)[0]


def downloadText(wanted: list[str]) -> str:
    """Say which packages will be installed, and how large the download is."""
    names = [nameOf(requirement) for requirement in wanted]
    size = sum(_DOWNLOAD_MB.get(name, 10) for name in names)
    text = f"{size / 1000:.1f} GB" if size >= 1000 else f"{size} MB"
    return f"{', '.join(names)} (about {text})"


def isMet(requirement: str) -> bool:
    """Whether a requirement is there in a version that fits.

    It is not imported, which would stop the user interface. What can be imported but has no
    metadata was built into Slicer, and is taken as it is.
    """
    from packaging.requirements import Requirement  # every Slicer brings it

    wanted = Requirement(requirement)
    importlib.invalidate_caches()
    if importlib.util.find_spec(_MODULES.get(wanted.name, wanted.name)) is None:
        return False
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return True
    return wanted.specifier.contains(version, prereleases=True)


def missing(
    path: Path, needsRuntime: bool, driver: bool, met: Callable[[str], bool] | None = None
) -> list[str]:
    """List what has to be installed before a job can run.

    Parameters
    ----------
    path : Path
        The requirements file.
    needsRuntime : bool
        Whether networks will run.
    driver : bool
        Whether an NVIDIA driver is there.
    met : callable
        For tests; `isMet` by default.
    """
    met = met or isMet
    wanted = [line for line in requirements(path) if not met(line)]
    # Either of the two runtimes is imported by this name, and has no metadata of this name.
    if needsRuntime and not met("onnxruntime"):
        wanted.append(runtimeRequirement(driver))
    return wanted


def askAndInstall(wanted: list[str]) -> None:
    """Ask the user, and install; what Slicer itself brings stays as it is.

    Raises
    ------
    RuntimeError
        If the user declines.
    subprocess.CalledProcessError
        If pip fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(heldVersions()) + "\n", encoding="utf-8")
        try:
            packaging = importlib.import_module("slicer.packaging")  # Slicer 5.11 and later
        except ImportError:
            packaging = None
        if packaging is not None:
            packaging.pip_ensure(wanted, constraints=str(constraints), requester=REQUESTER)
            return
        text = _("SpineMAR needs these Python packages: {names}. Install them now?")
        if not slicer.util.confirmOkCancelDisplay(text.format(names=downloadText(wanted))):
            raise RuntimeError(_("declined"))
        slicer.util.pip_install(["-c", str(constraints), *wanted])


def heldVersions() -> list[str]:
    """Pin what Slicer brings and the running program has loaded, such as ``numpy==2.0.2``."""
    lines = []
    for name in _SLICERS_OWN:
        try:
            lines.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return lines


def ensure(
    path: Path,
    needsRuntime: bool = False,
    driver: bool = False,
    install: Callable[[list[str]], None] = askAndInstall,
    met: Callable[[str], bool] | None = None,
) -> None:
    """Install what is missing, with the user's consent.

    Parameters
    ----------
    install : callable
        Asks and installs; raises RuntimeError when the user declines.

    Raises
    ------
    InputError
        If the user declined, pip failed, or packages are still missing.
    """
    wanted = missing(path, needsRuntime, driver, met)
    if not wanted:
        return
    try:
        install(wanted)
    except RuntimeError as error:
        raise InputError(
            f"SpineMAR needs Python packages that were not installed ({error}).",
            "Click again and agree, or install them yourself: " + ", ".join(wanted) + ".",
        ) from error
    except subprocess.CalledProcessError as error:
        raise InputError(
            f"pip could not install {', '.join(nameOf(one) for one in wanted)} (it ended with "
            f"{error.returncode}; the log says why).",
            "Check the connection. Behind a proxy, set HTTPS_PROXY before Slicer starts. Without a "
            "network, fetch the wheels elsewhere (pip download) and give their folder in Slicer's "
            "Python console: slicer.util.pip_install('--no-index --find-links FOLDER "
            f"{' '.join(nameOf(one) for one in wanted)}').",
        ) from error
    still = missing(path, needsRuntime, driver, met)
    if still:  # pip_ensure returns silently in testing mode
        raise InputError(
            f"These Python packages are still missing: {', '.join(still)}.",
            "Restart Slicer and try again, or install them in its Python console.",
        )
