"""NumPy files from elsewhere: what a header promises is checked before memory is asked for."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.files.regular import open_regular
from spinemar.base.memory import machine_bytes
from spinemar.errors import InputError

_DEFLATE_RATIO = 1032  # no deflated stream unpacks to more than so many times its size


def load_npy(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Load a .npy file.

    Parameters
    ----------
    path : Path
    mapped : bool
        Leave the values on the disk and map them.

    Returns
    -------
    ndarray
        In the shape and type of the file.

    Raises
    ------
    InputError
        If the file is damaged, cut off, holds Python objects or does not fit into memory.
    """
    try:
        with open_regular(path, f"file {path.name}") as stream:
            _check_header(stream, os.fstat(stream.fileno()).st_size, path.name, mapped=mapped)
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path.name, error) from error
    return array


def load_npz(path: Path, names: tuple[str, ...]) -> list[NDArray[Any]]:
    """Load arrays of those names from a .npz file.

    Returns
    -------
    list of ndarray
        In the order of `names`, each in the shape and type of the file.

    Raises
    ------
    InputError
        As `load_npy`, and if one is missing or packed so that it could not be honest.
    """
    try:
        with open_regular(path, f"file {path.name}") as packed, zipfile.ZipFile(packed) as archive:
            for name in names:
                member = archive.getinfo(f"{name}.npy")
                if member.file_size > _DEFLATE_RATIO * max(member.compress_size, 1):
                    raise ValueError("it is packed wrongly")
                with archive.open(member) as stream:
                    _check_header(stream, member.file_size, path.name, mapped=False)
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except KeyError as error:
        raise InputError(
            f"{path.name} cannot be read: it holds no array {error}.", "Check the file."
        ) from error
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's parser have many ways to fail
        raise _damaged(path.name, error) from error


def _check_header(stream: IO[bytes], size: int, name: str, *, mapped: bool) -> None:
    form = np.lib.format
    try:
        version = form.read_magic(stream)
        reader = form.read_array_header_1_0 if version[0] == 1 else form.read_array_header_2_0
        shape, _, kind = reader(stream)
        position = stream.tell()
    except Exception as error:  # the header is a Python literal: its parser has errors of its own
        raise _damaged(name, error) from error
    needed = math.prod(shape) * kind.itemsize
    if kind.hasobject or min(shape, default=0) < 0 or needed > size - position:
        raise _damaged(name, ValueError("it is cut off, or holds no numbers"))
    memory = machine_bytes()
    if not mapped and memory is not None and needed > memory:
        raise InputError(
            f"{name} takes {needed / 1e9:.1f} GB of memory, and this machine has "
            f"{memory / 1e9:.1f} GB.",
            "Cut it into parts, or use a machine with more memory.",
        )


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} cannot be read as an array ({str(error).strip()[:200] or type(error).__name__}).",
        "Write or copy the file again.",
    )
