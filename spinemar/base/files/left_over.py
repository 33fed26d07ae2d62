"""What writers that were killed left behind: told from what others still write, and put right.

What is on its way to a target lies in a hidden folder beside it whose name says who writes it. When
its writer is gone, a set of files that was complete is put in place, a folder that was taken away
to be swapped comes back, and the rest is removed.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
import socket
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from spinemar.base.files.regular import read_regular
from spinemar.errors import InputError

COMMITTED = ".committed"
"""Name of the list of a complete set's files; with it the set counts as written."""

_MAX_LIST_BYTES = 1 << 20
_SECONDS_UNTIL_FORGOTTEN = 24 * 3600


def full_suffix(path: Path) -> str:
    """Return the suffix that says the format: ``.nii.gz`` as one, else the last one."""
    suffixes = [s.lower() for s in path.suffixes]
    if len(suffixes) >= 2 and suffixes[-1] == ".gz":
        return "".join(path.suffixes[-2:])
    return path.suffix


def part_folder(target: Path) -> Path:
    """Name a hidden folder beside `target` for what this process writes to it."""
    return target.with_name(f".{_stem(target)}.{writer()}-{secrets.token_hex(6)}.part")


def old_name(target: Path) -> str:
    """Name under which what is replaced waits in that folder."""
    return f"{target.name[:80]}.old"


def writer() -> str:
    """Name this process on this machine, in the space of process numbers that it lives in."""
    space = ""
    with suppress(OSError, NotImplementedError):
        space = str(Path("/proc/self/ns/pid").readlink())
    machine = zlib.crc32(f"{socket.gethostname()} {space}".encode())
    return f"{machine:08x}-{os.getpid()}"


def settle_left_over(target: Path) -> None:
    """Put right what writers of the same target left behind that were killed.

    Parameters
    ----------
    target : Path
        A file or folder, or the last file of a set.
    """
    for left in target.parent.glob(f".{glob.escape(_stem(target))}.*.part"):
        if is_left_over(left, left.name.split(".")[-2].rpartition("-")[0]):
            finish_set(left)
            old = left / old_name(target)
            if old.exists() and not target.exists():
                old.replace(target)
            shutil.rmtree(left, ignore_errors=True)


def finish_set(folder: Path) -> None:
    """Put the rest of a complete set in place, where a folder holds one."""
    put_in_place(folder, _committed(folder))


def put_in_place(folder: Path, names: Sequence[str]) -> None:
    """Rename the files of a complete set from `folder` to beside it, the last one last.

    What stood in the last one's place goes first, since it would tell of other files; so does a
    folder, which nothing can be renamed onto. They wait in `folder` as NUMBER.old.
    """
    waiting = [(n, name) for n, name in enumerate(names) if os.path.lexists(folder / name)]
    for n, name in reversed(waiting):
        target = folder.parent / name
        if (name == names[-1] or target.is_dir()) and os.path.lexists(target):
            target.replace(folder / f"{n}.old")
    for _, name in waiting:
        (folder / name).replace(folder.parent / name)


def is_left_over(folder: Path, writer_name: str) -> bool:
    """Whether the process that made a folder is gone; on another machine: for a day."""
    machine, _, process = writer_name.partition("-")
    if sys.platform != "win32" and process.isdigit() and machine == writer().partition("-")[0]:
        return not _runs(int(process))
    try:
        return time.time() - folder.stat().st_mtime > _SECONDS_UNTIL_FORGOTTEN
    except OSError:
        return False


def _committed(folder: Path) -> list[str]:
    """Return the files of a complete set, none where it was not complete; never a path."""
    try:
        names = json.loads(read_regular(folder / COMMITTED, "list of a set", _MAX_LIST_BYTES))
    except (OSError, ValueError, RecursionError, InputError):
        return []
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return [n for n in names if Path(n).name == n and n not in ("", "..")] if known else []


def _stem(target: Path) -> str:
    return target.name.removesuffix(full_suffix(target))[:40]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
