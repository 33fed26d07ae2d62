"""What a command may write: nothing that exists, unless --overwrite says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spinemar.base.atomic_files import full_path
from spinemar.errors import InputError


def refuse_existing(paths: Sequence[Path | None], *, overwrite: bool) -> None:
    """Refuse early to replace a file, or to write where there is no folder.

    Parameters
    ----------
    paths : sequence of Path or None
        Every file that will be written; None for one that was not asked for.
    overwrite : bool

    Raises
    ------
    InputError
    """
    for path in paths:
        if path is None:
            continue
        if full_path(path).exists() and not overwrite:
            raise _exists(path)
        if not full_path(path).resolve().parent.is_dir():
            raise InputError(
                f"The folder {path.parent} does not exist.", "Make it, or choose another one."
            )


def refuse_existing_in(folder: Path | None, patterns: Sequence[str], *, overwrite: bool) -> None:
    """Refuse early to replace files in a folder, which need not exist.

    Parameters
    ----------
    folder : Path or None
        None where none was asked for.
    patterns : sequence of str
        Names of what will be written there, with * for what is not known yet.
    overwrite : bool

    Raises
    ------
    InputError
        Also if it is a file.
    """
    if folder is None:
        return
    place = full_path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{folder} is no folder.", "Give another name.")
    for pattern in patterns:
        found = next(iter(sorted(place.glob(pattern))), None)
        if found is not None and not overwrite:
            raise _exists(found)


def _exists(path: Path) -> InputError:
    return InputError(
        f"{path} exists already.", "Choose another name, or allow it with --overwrite."
    )
