"""Get XCIST (`gecatsim`) as source, build it, and keep it away from everything else."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from spinemar.errors import FaultError, InputError

VERSION = "1.6.9"
SHA256 = "e8da3294ebd889ca9c8bf839f5f91cc14fe82376c962fafe43258827e847234f"
ROOT = Path(__file__).resolve().parents[3]
HOME = ROOT / "build" / "xcist"
SITE = HOME / "site"
"""What the scanning process has on its path, and nobody else."""
_NEEDED = ("numpy", "scipy", "matplotlib", "tqdm")


def installed() -> bool:
    """Whether this version is built."""
    mark = SITE / "VERSION"
    return mark.is_file() and mark.read_text(encoding="utf-8") == VERSION


def install() -> Path:
    """Download, check, build and place XCIST in `SITE`; nothing else is installed or changed.

    Raises
    ------
    InputError
        If a package that XCIST imports is missing, or the machine is not Linux.
    FaultError
        If the package index, the checksum or the compiler fails.
    """
    if installed():
        return SITE
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"XCIST needs {' and '.join(missing)}.", f"Run: pip install {' '.join(missing)}"
        )
    if not sys.platform.startswith("linux"):
        raise InputError("XCIST is built on Linux only.", "Make the cases on a Linux machine.")
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as name:
        work = Path(name)
        source = _unpacked(_download(work), work)
        _build(source)
        (source / "VERSION").write_text(VERSION, encoding="utf-8")
        shutil.rmtree(SITE, ignore_errors=True)
        source.rename(SITE)
    return SITE


def _download(work: Path) -> Path:
    """Take the source archive from the package index, without its dependencies."""
    _run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:",
          "-d", str(work), f"gecatsim=={VERSION}"], work)  # fmt: skip
    archive = next(work.glob("gecatsim-*.tar.gz"))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise FaultError(
            f"The archive of gecatsim {VERSION} is not the one that was examined ({found}).",
            "Look at what changed before you trust it.",
        )
    return archive


def _unpacked(archive: Path, work: Path) -> Path:
    with tarfile.open(archive) as stored:
        if sys.version_info >= (3, 12):
            stored.extractall(work, filter="data")
        else:
            stored.extractall(work)
    return next(path for path in work.glob("gecatsim-*") if path.is_dir())


def _build(source: Path) -> None:
    """Compile projector and back-projection; the make files have CR line ends, and fail so."""
    build = source / "gecatsim" / "clib_build"
    for path in (build / "Makefile", *build.glob("MakeVariables_*")):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    (source / "gecatsim" / "lib" / "libcatsim.so").unlink(missing_ok=True)
    _run(["make", "-f", "../Makefile"], build / "src")
    _run(["make", "-f", "../Makefile", "clean"], build / "src")
    recon = source / "gecatsim" / "reconstruction"
    # The library that comes with it takes twice the time.
    _run(["gcc", "-O3", "-ffast-math", "-fPIC", "-shared", "-o", "lib/fdk_equiAngle.so",
          "src/interface_fdk_angle.c", "-lm"], recon)  # fmt: skip


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise FaultError(
            f"{' '.join(command[:4])} failed ({' '.join(tail)}).",
            "Check the network, and that make and a C++ compiler are installed.",
        )
