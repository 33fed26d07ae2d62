"""Files appear complete or not at all: write in a private folder beside the target, then rename.

What is on its way lies in a hidden folder that only its owner can read. It is flushed to the disk
before the rename and the rename after it, so that a power cut leaves the old file or the new one.
What a killed process left behind goes with the next write to the same target.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from spinemar.base.files.left_over import (
    is_left_over,
    old_name,
    part_folder,
    settle_left_over,
    writer,
)
from spinemar.errors import FaultError, InputError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SUCH_NAME = (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)
_PREFIX = "spinemar-"

Place = Callable[[Path], AbstractContextManager[Path]]
"""Gives the temporary path for a target, as `atomic_path` does, and `FileSet.place`."""

__all__ = [
    "Place",
    "atomic_path",
    "check_folder",
    "disk_fault",
    "faults_of",
    "flush",
    "flush_tree",
    "full_path",
    "made_folder",
    "private_folder",
    "refuse_foreign",
]


def full_path(path: str | Path) -> Path:
    """Return a path with a leading ~ replaced by the user's home.

    Raises
    ------
    InputError
        If there is no such home: a container's user often has none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{path} begins with ~, and there is no such home folder.",
            "Write the whole path, or set HOME.",
        ) from error


def made_folder(path: str | Path) -> Path:
    """Make a folder with those above it, unless it is there, and return its path.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    folder = full_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be made ({error.strerror}).", "Choose another one."
        ) from error
    return folder


def disk_fault(error: OSError, target: Path) -> FaultError | InputError:
    """Say in one sentence why `target` could not be written."""
    if error.errno in _NO_SPACE:
        return FaultError(
            f"The disk is full: {target} could not be written.",
            "Free some space or write to another disk; nothing was changed.",
        )
    if error.errno in _NOT_ALLOWED:
        return InputError(
            f"There is no permission to write {target}.", "Choose a folder that you may write to."
        )
    if error.errno in _NO_SUCH_NAME:
        return InputError(
            f"{target} cannot be the name of a file here ({error.strerror}).",
            "Choose another name.",
        )
    return FaultError(
        f"{target} could not be written ({error.strerror or error}).",
        "Check the disk and try again; nothing was changed.",
    )


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block succeeds.

    The temporary path has the same name, so that a writer picks the same format, and lies in a
    private folder beside `path`, so that the final rename stays on one disk. It may be made a file
    or a folder. After an error it is removed and `path` is what it was before. A file that is
    replaced hands its permissions on.

    Parameters
    ----------
    path : path
        What shall exist in the end; its folder must exist.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    InputError
        If the folder is missing or may not be written to.
    FaultError
        If the disk is full or fails.
    """
    target = Path(path)
    check_folder(target)
    settle_left_over(target)
    folder = part_folder(target)
    temporary = folder / target.name
    try:
        with faults_of(target, folder, temporary):
            folder.mkdir(mode=0o700)
            yield temporary
            if target.is_file():
                shutil.copymode(target, temporary)
            flush_tree(temporary)
            if temporary.is_dir() and target.is_dir():
                _replace_folder(temporary, target, folder)
            else:
                temporary.replace(target)
            flush(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(target: Path) -> None:
    """Refuse a target whose folder does not exist.

    Raises
    ------
    InputError
    """
    if not target.parent.is_dir():
        raise InputError(
            f"The folder {target.parent} does not exist.", "Make the folder or choose another one."
        )


def refuse_foreign(target: Path, mark: str) -> None:
    """Refuse to replace a whole folder that is not of the kind that will be written.

    Parameters
    ----------
    target : Path
        Need not exist; an empty folder is nobody's.
    mark : str
        A file that every folder of that kind holds.

    Raises
    ------
    InputError
    """
    if not os.path.lexists(target):
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / mark).is_file()):
        raise InputError(
            f"{target} holds something else (no {mark}) and is not replaced.",
            "Choose another name.",
        )


@contextmanager
def faults_of(target: Path, *own: Path) -> Iterator[None]:
    """Explain in terms of `target` what goes wrong with it, with our `own` paths, or for space.

    A failure inside the block that concerns some other file is not ours to explain.

    Raises
    ------
    InputError, FaultError
    """
    try:
        yield
    except OSError as error:
        names = {str(error.filename), str(error.filename2)}
        if error.errno in _NO_SPACE or names & {str(target), *map(str, own)}:
            raise disk_fault(error, target) from error
        raise


def private_folder(parent: str | Path) -> Path:
    """Make a temporary folder that only its owner can read; the caller removes it.

    Those of processes that were killed before they could do so are removed now.

    Parameters
    ----------
    parent : path
        Where it shall lie.

    Raises
    ------
    InputError, FaultError
        If it cannot be made.
    """
    place = Path(parent)
    for left in place.glob(f"{_PREFIX}*-*-*"):
        if is_left_over(left, left.name.removeprefix(_PREFIX).rpartition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{writer()}-", dir=place))
    except OSError as error:
        raise disk_fault(error, place / "spinemar") from error


def _replace_folder(temporary: Path, target: Path, folder: Path) -> None:
    """Swap a finished folder in; the old one goes only when the new one stands."""
    old = folder / old_name(target)
    target.replace(old)
    try:
        temporary.replace(target)
    except OSError:
        old.replace(target)
        raise


def flush_tree(path: Path) -> None:
    """Have a file, or all files of a folder, written to the disk itself.

    Raises
    ------
    OSError
        If the disk is full or broken.
    """
    if path.is_dir():
        for inside in path.iterdir():
            flush_tree(inside)
    flush(path)


def flush(path: Path) -> None:
    """Flush one file or folder; not every system and disk can, and then the rest must do.

    Raises
    ------
    OSError
        If the disk is full or broken.
    """
    if sys.platform == "win32" and path.is_dir():
        return
    flags = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY
    try:
        number = os.open(path, flags)
    except OSError:
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno in (*_NO_SPACE, errno.EIO):
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(number)
