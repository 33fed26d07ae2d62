"""What may lie where a file is expected, and is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

Guise = Literal["fifo", "endless device", "null device", "folder", "socket", "loop", "nothing"]
GUISES: tuple[Guise, ...] = get_args(Guise)


def disguise(path: Path, guise: Guise) -> None:
    """Put something that is no file at a path where nothing lies."""
    match guise:
        case "fifo":
            os.mkfifo(path)
        case "endless device":
            path.symlink_to("/dev/zero")
        case "null device":
            path.symlink_to(os.devnull)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
        case "loop":
            path.symlink_to(path.name)
        case "nothing":
            pass


@contextmanager
def disguised(path: Path, guise: Guise) -> Iterator[None]:
    """Put something that is no file in a file's place, and take it away again."""
    path.unlink(missing_ok=True)
    disguise(path, guise)
    try:
        yield
    finally:
        if guise == "folder":
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
