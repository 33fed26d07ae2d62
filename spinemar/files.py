"""Files appear complete or not at all: write beside the target, then rename."""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinemar.errors import FaultError, InputError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def full_suffix(path: Path) -> str:
    """Return the suffix that says the format: ``.nii.gz`` as one, else the last one."""
    suffixes = [s.lower() for s in path.suffixes]
    if len(suffixes) >= 2 and suffixes[-1] == ".gz":
        return "".join(path.suffixes[-2:])
    return path.suffix


def disk_fault(error: OSError, target: Path) -> FaultError | InputError:
    """Say in one sentence why `target` could not be written."""
    if error.errno in _NO_SPACE:
        return FaultError(
            f"The disk is full: {target} could not be written.",
            "Free some space or write to another disk; nothing was changed.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(
            f"There is no permission to write {target}.", "Choose a folder that you may write to."
        )
    return FaultError(
        f"{target} could not be written ({error.strerror or error}).",
        "Check the disk and try again; nothing was changed.",
    )


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block succeeds.

    The temporary path lies in the same folder and has the same suffix, so that a writer picks the
    same format and the final rename stays on one disk. It may be made a file or a folder. After
    an error it is removed and `path` is what it was before.

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
    if not target.parent.is_dir():
        raise InputError(
            f"The folder {target.parent} does not exist.", "Make the folder or choose another one."
        )
    suffix = full_suffix(target)
    stem = target.name.removesuffix(suffix)[:40]
    temporary = target.with_name(f".{stem}.{secrets.token_hex(6)}.part{suffix}")
    try:
        yield temporary
        if temporary.is_dir() and target.is_dir():
            _replace_folder(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        # A failure inside the block that concerns some other file is not ours to explain.
        names = {str(error.filename), str(error.filename2)}
        if error.errno in _NO_SPACE or names & {str(temporary), str(target)}:
            raise disk_fault(error, target) from error
        raise
    finally:
        _remove(temporary)


def _replace_folder(temporary: Path, target: Path) -> None:
    """Swap a finished folder in; the old one goes only when the new one stands."""
    old = target.with_name(f".{target.name}.{secrets.token_hex(6)}.old")
    target.replace(old)
    try:
        temporary.replace(target)
    except OSError:
        old.replace(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
