"""Which files we read and write, and the sizes we accept."""

from __future__ import annotations

import os
from pathlib import Path

from spinemar.base.files.left_over import full_suffix
from spinemar.base.memory import machine_bytes
from spinemar.errors import InputError

NIFTI = (".nii", ".nii.gz")
NRRD = (".nrrd", ".nhdr")
METAIMAGE = (".mha", ".mhd")
READABLE = NRRD + NIFTI + METAIMAGE
# Formats that keep header and voxels in one file: only these can be replaced atomically.
_WRITABLE = (".nrrd", *NIFTI, ".mha")

_MAX_VOXELS = 2_000_000_000
"""About 7,600 slices of 512x512; 8 GB as float32."""
_MAX_SIDE = 16_384
_MAX_NAME_BYTES = 255
# While a file is read, ITK's float32 image and our copy of it exist side by side.
_BYTES_PER_VOXEL = 8


def suffix_of(path: Path) -> str:
    """Lower-case format suffix of `path`."""
    return full_suffix(path).lower()


def is_image_file(path: Path) -> bool:
    """Whether the suffix says NRRD, NIfTI or MetaImage (anything else may be DICOM)."""
    return suffix_of(path) in READABLE


def check_exists(path: Path) -> None:
    """Refuse a path where nothing is, or something that only looks like a file.

    Raises
    ------
    InputError
        Also for pipes and devices, which could keep a reader waiting for ever.
    """
    _check_name(path)
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a name too long, or with a null byte
        raise InputError("This path is no name of a file.", "Check the path.") from error
    if not there:
        raise InputError(f"{path} does not exist.", "Check the path.")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is neither a file nor a folder.", "Give a CT as file or folder.")


def _check_name(path: Path) -> None:
    """Refuse a name that is no text (neither messages nor ITK can hold it), or endless.

    Raises
    ------
    InputError
        If it is.
    """
    if len(os.fsencode(path.name)) > _MAX_NAME_BYTES:
        raise InputError(
            f"{path.name[:40]}… cannot be the name of a file: it is too long.",
            "Choose a shorter name.",
        )
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="replace").decode()
        raise InputError(
            f"The name {shown} cannot be written as text.", "Rename the file or folder."
        ) from error


def check_writable_format(path: Path) -> None:
    """Refuse a target whose suffix names no format that we write, or that is a folder.

    Raises
    ------
    InputError
        If it does not; the message lists the formats.
    """
    _check_name(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Choose another name for the result.")
    if suffix_of(path) not in _WRITABLE:
        raise InputError(
            f"{path.name} does not name a format that can be written.",
            f"Use one of the endings {', '.join(_WRITABLE)}.",
        )


def check_size(shape: tuple[int, ...], name: str) -> None:
    """Refuse sizes that no CT has or no memory holds, before any memory is asked for.

    Parameters
    ----------
    shape : tuple of int
        Size along each axis, as the header claims.
    name : str
        The file's name for the message.

    Raises
    ------
    InputError
        If there is no voxel, or too many.
    """
    voxels = 1
    for side in shape:
        voxels *= int(side)
    if min(shape, default=0) < 1:
        raise InputError(f"{name} holds no voxel.", "Export the volume again.")
    if max(shape) > _MAX_SIDE or voxels > _MAX_VOXELS:
        size = " x ".join(str(side) for side in shape)
        raise InputError(
            f"{name} claims to be {size} voxels large, more than any CT.",
            f"The header is damaged, or the volume has to be cropped to {_MAX_VOXELS:,} voxels.",
        )
    memory = machine_bytes()
    if memory is not None and voxels * _BYTES_PER_VOXEL > memory:
        raise InputError(
            f"{name} takes {voxels * _BYTES_PER_VOXEL / 1e9:.1f} GB of memory, and this machine "
            f"has {memory / 1e9:.1f} GB.",
            "Crop the volume, or use a machine with more memory.",
        )
