"""Files that belong together appear together: a result and its facts, a scan and its truth.

They are written in one private folder, flushed, and listed there; from then on the set counts as
written. They are renamed with the one that tells of the others last, and the old one of that name
goes first, so that it never tells of files of another set. A kill in between leaves the list: the
next one who writes or reads the set renames the rest (`left_over`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from spinemar.base.atomic_files import atomic_path, check_folder, faults_of, flush, flush_tree
from spinemar.base.files.hashes import file_sha256
from spinemar.base.files.left_over import (
    COMMITTED,
    finish_set,
    part_folder,
    put_in_place,
    settle_left_over,
)
from spinemar.base.files.regular import read_regular
from spinemar.errors import InputError

_MAX_BYTES = 16 << 20


class FileSet:
    """The files of a set while they are written; see `file_set`."""

    def __init__(self, folder: Path, elsewhere: ExitStack) -> None:
        self._folder = folder
        self._elsewhere = elsewhere
        self._written: dict[Path, Path] = {}

    @contextmanager
    def place(self, path: str | Path) -> Iterator[Path]:
        """Give a temporary path for one file (or folder) of the set.

        Raises
        ------
        InputError, FaultError
            As `atomic_path`.
        """
        target = Path(path)
        if target.parent.resolve() == self._folder.parent.resolve():
            temporary = self._folder / target.name
        else:
            temporary = self._elsewhere.enter_context(atomic_path(target))
        with faults_of(target, self._folder, temporary):
            yield temporary
        self._written[target] = temporary

    def sha256(self) -> dict[str, str]:
        """Return the SHA-256 of every file that was written, by its name; folders have none."""
        files = {target.name: one for target, one in self._written.items() if one.is_file()}
        return {name: file_sha256(one) for name, one in files.items()}

    def names(self) -> list[str]:
        """Return the names of what lies in the set's own folder, in the order written."""
        return [t.name for t, one in self._written.items() if one.parent == self._folder]


@contextmanager
def file_set(last: Path) -> Iterator[FileSet]:
    """Have files appear together when the block succeeds, and none of them otherwise.

    Those of another folder, perhaps on another disk, appear just before the others.

    Parameters
    ----------
    last : Path
        The file that tells of the others. The block writes it last, by `FileSet.place` as all.

    Raises
    ------
    InputError, FaultError
        As `atomic_path`; every file is then what it was before.
    """
    check_folder(last)
    settle_left_over(last)
    folder = part_folder(last)
    try:
        with faults_of(last, folder):
            with ExitStack() as elsewhere:
                folder.mkdir(mode=0o700)
                files = FileSet(folder, elsewhere)
                yield files
                _make_durable(folder, files.names())
            _commit(folder, files.names())
    finally:
        with suppress(OSError):
            finish_set(folder)  # an interrupt may have come between two renames
        shutil.rmtree(folder, ignore_errors=True)


def is_current(path: Path, stated: object) -> bool:
    """Whether a file is the very one whose SHA-256 is stated.

    Parameters
    ----------
    path : Path
    stated : object
        What a set's last file holds as "sha256": names and digests.
    """
    if not isinstance(stated, dict):
        return False
    with suppress(OSError, InputError):
        return bool(stated.get(path.name) == file_sha256(path))
    return False


def refuse_mixed(path: Path, last: Path) -> None:
    """Refuse a file that is not the one of its name that its set's last file tells of.

    Parameters
    ----------
    path : Path
        What is to be read. Files of no set, or of one without hashes, are not looked at.
    last : Path
        The JSON file that would tell of it.

    Raises
    ------
    InputError
    """
    stated: object = None
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError, InputError):
        settle_left_over(last)
        stated = json.loads(read_regular(last, last.name, _MAX_BYTES))["sha256"]
    if isinstance(stated, dict) and path.name in stated and not is_current(path, stated):
        raise InputError(
            f"{path.name} is not the one that {last.name} beside it tells of.",
            f"Make all of them anew, or remove {last.name} if they belong together.",
        )


def _make_durable(folder: Path, names: list[str]) -> None:
    for name in names:
        target = folder.parent / name
        if target.is_file():
            shutil.copymode(target, folder / name)
    flush_tree(folder)


def _commit(folder: Path, names: list[str]) -> None:
    """Put the set in place; where that fails, what was before."""
    before = [name for name in names if os.path.lexists(folder.parent / name)]
    for n, name in enumerate(names[:-1]):  # the last one is moved away
        if name in before:
            with suppress(OSError):  # some disks know no links, and folders have none
                os.link(folder.parent / name, folder / f"{n}.old")
    listed = folder / f"{COMMITTED}.new"
    listed.write_text(json.dumps(names), encoding="utf-8")
    flush(listed)
    listed.replace(folder / COMMITTED)
    flush(folder)
    try:
        put_in_place(folder, names)
    except OSError:
        (folder / COMMITTED).unlink()
        _take_back(folder, names, before)
        raise
    flush(folder.parent)


def _take_back(folder: Path, names: list[str], before: list[str]) -> None:
    for n, name in enumerate(names):
        old, target = folder / f"{n}.old", folder.parent / name
        if os.path.lexists(folder / name) and os.path.lexists(target):
            continue  # it was not replaced
        if target.is_dir():
            target.replace(folder / name)  # nothing can be renamed onto a folder
        if os.path.lexists(old):
            old.replace(target)
        elif name not in before:
            with suppress(FileNotFoundError):
                target.unlink()
