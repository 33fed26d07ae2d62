"""Can a file hold what its header promises? Asked before any memory is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spinemar.errors import InputError

# No stream of these packings unpacks to more than so many times its own size.
_LARGEST_RATIO = {"raw": 1, "gzip": 1032, "bzip2": 1_100_000}


@dataclass(frozen=True)
class StoredVoxels:
    """Where a header says that its voxels lie.

    Parameters
    ----------
    path : Path
        The file with the voxels: the header's own or another one.
    offset : int
        First byte of the voxels.
    unpacked_bytes : int
        Bytes that the voxels take, unpacked.
    packing : {"raw", "gzip", "bzip2"}
    """

    path: Path
    offset: int
    unpacked_bytes: int
    packing: str


def check_holds(stored: StoredVoxels, name: str) -> None:
    """Refuse a file too small for what its header promises.

    Parameters
    ----------
    stored : StoredVoxels
    name : str
        The header's file name, for the message.

    Raises
    ------
    InputError
        If it is.
    """
    there = max(stored.path.stat().st_size - stored.offset, 0)
    if there * _LARGEST_RATIO[stored.packing] < stored.unpacked_bytes:
        raise InputError(
            f"{name} is truncated: its header promises {stored.unpacked_bytes:,} bytes of voxels, "
            f"and {stored.path.name} holds {there:,}.",
            "Copy or download the file again.",
        )


def neighbour(header: Path, name: str) -> Path:
    """Return the file of that name beside a header; anything else a name can say is refused.

    Parameters
    ----------
    header : Path
    name : str
        As written in the header.

    Raises
    ------
    InputError
        If it leads out of the header's folder, or to no ordinary file.
    """
    folder = header.parent.resolve()
    try:
        found = (folder / name).resolve()
        there = found.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, or links in a circle
        raise InputError(
            f"{header.name} does not name the file of its voxels.", "Save the volume as one file."
        ) from error
    if not found.is_relative_to(folder):
        raise InputError(
            f"{header.name} takes its voxels from outside its own folder.",
            "Put both files into one folder, or save the volume as one file.",
        )
    if not there:
        raise InputError(
            f"{header.name} takes its voxels from {found.name[:60]}, which is not there.",
            "Copy both files into one folder, or save the volume as one file.",
        )
    return found
