"""One run at a time on one output: a lock beside it that ends with its process, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spinemar.base.atomic_files import disk_fault
from spinemar.errors import InputError

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextmanager
def output_lock(output: str | Path) -> Iterator[None]:
    """Keep an output to this run while the block lasts.

    Where the disk knows no locks (some network disks) nothing is claimed; results are still
    complete or absent there, but of two runs the later one stays.

    Parameters
    ----------
    output : path
        File or folder that will be written; its folder must exist.

    Raises
    ------
    InputError
        If another run has claimed it, or its folder is missing or may not be written to.
    """
    target = Path(output)
    if not target.parent.is_dir():
        raise InputError(
            f"The folder {target.parent} does not exist.", "Make the folder or choose another one."
        )
    lock = target.with_name(f".{target.name[:60]}.lock")
    number = _taken(lock, target)
    try:
        yield
    finally:
        if sys.platform == "win32":
            os.close(number)
            with suppress(OSError):
                lock.unlink()
        else:
            # Unlinked first: whoever opened it meanwhile sees that its lock is of no name.
            lock.unlink(missing_ok=True)
            os.close(number)


def _taken(lock: Path, target: Path) -> int:
    while True:
        try:
            number = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise disk_fault(error, target) from error
        try:
            _lock(number)
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                return number
            os.close(number)
            raise InputError(
                f"Another run is writing {target}.",
                "Wait until it has ended, or choose another name.",
            ) from error
        if _names(lock, number):
            return number
        os.close(number)


def _names(lock: Path, number: int) -> bool:
    """Whether the path still leads to the file that was locked."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(number))
    except FileNotFoundError:
        return False


def _lock(number: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
