"""The one careful reader of auxiliary files: ordinary ones, of a size that such a file has.

A pipe would keep a reader waiting for ever, a device has no end; neither is opened so that it
blocks, and what was opened is asked, not its name.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from spinemar.errors import InputError


def open_regular(path: Path, what: str, max_bytes: int | None = None) -> BinaryIO:
    """Open an ordinary file for reading.

    Parameters
    ----------
    path : Path
    what : str
        What it should be, for the message: "plan x.json".
    max_bytes : int, optional
        Largest size.

    Raises
    ------
    InputError
        If it is a folder, a pipe, a socket, a device or a circle of links, or too large.
    OSError
        If it is missing or cannot be opened.
    """
    # Without waiting: opening a pipe that nobody writes to would not come back.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ELOOP):  # a socket; links in a circle
            raise _not_ordinary(what) from error
        raise
    try:
        state = os.fstat(number)
        if not stat.S_ISREG(state.st_mode):
            raise _not_ordinary(what)
        if max_bytes is not None and state.st_size > max_bytes:
            raise InputError(
                f"The {what} is larger than {max_bytes >> 20} MiB, far too large.",
                "Check that this is the right file.",
            )
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_regular(path: Path, what: str, max_bytes: int) -> bytes:
    """Read an ordinary file of at most `max_bytes`.

    Raises
    ------
    InputError, OSError
        As `open_regular`, and if it grows beyond that while it is read.
    """
    with open_regular(path, what, max_bytes) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(
            f"The {what} grows while it is read.", "Check that this is the right file."
        )
    return content


def _not_ordinary(what: str) -> InputError:
    return InputError(f"The {what} is no ordinary file.", "Check the path.")
