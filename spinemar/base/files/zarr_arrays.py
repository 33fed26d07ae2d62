"""Zarr arrays from elsewhere: what their metadata ask for is looked at before Zarr sees them.

Numbers alone, packed by codecs of a list (an old numcodecs runs pickles), in so many chunks as such
data have, in ordinary files of their own folder. Metadata after the Zarr specifications, version 2
and 3 (zarr-specs.readthedocs.io).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar.base.json_text import read_json
from spinemar.base.memory import machine_bytes
from spinemar.errors import InputError


@dataclass(frozen=True)
class ZarrFacts:
    """What metadata claim: the Zarr format (2 or 3) that they are of, and bytes unpacked."""

    version: int
    n_bytes: int


_MAX_CHUNKS = 2_000_000
_MAX_METADATA_BYTES = 4 << 20
_CODECS_2 = frozenset(("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"))
_FILTERS_2 = frozenset(("bitround", "delta", "shuffle"))
_CODECS_3 = frozenset(("blosc", "bytes", "crc32c", "gzip", "transpose", "zstd"))
_SHARDED = "sharding_indexed"
_NUMBER_2 = re.compile(r"[<>|=]?[bifu](?:1|2|4|8)$")
_NUMBER_3 = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)$")


def check_zarr_array(folder: Path) -> ZarrFacts:
    """Refuse an array that would run code, wait, exhaust memory or read elsewhere.

    Parameters
    ----------
    folder : Path
        Of the array; its chunks are not looked at, see `check_zarr_files`.

    Returns
    -------
    ZarrFacts

    Raises
    ------
    InputError
    """
    try:
        if (folder / "zarr.json").exists():
            return _check_3(read_json(folder / "zarr.json", "file zarr.json", _MAX_METADATA_BYTES))
        return _check_2(read_json(folder / ".zarray", "file .zarray", _MAX_METADATA_BYTES))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise _refused(folder, f"its metadata are damaged ({error})") from error
    except _UnfitError as error:
        raise _refused(folder, str(error)) from error


def check_zarr_files(folder: Path) -> None:
    """Refuse a folder that holds anything but ordinary files of its own, or too many.

    Raises
    ------
    InputError
    """
    for number, entry in enumerate(_entries(folder)):
        if number > _MAX_CHUNKS:
            raise _refused(folder, "it holds too many files")
        if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
            raise _refused(folder, f"{entry.name[:60]} in it is no ordinary file")


def check_fits_memory(folder: Path, facts: ZarrFacts) -> None:
    """Refuse an array that this machine cannot hold whole.

    Raises
    ------
    InputError
    """
    memory = machine_bytes()
    if memory is not None and facts.n_bytes > memory:
        raise _refused(
            folder, f"it takes {facts.n_bytes / 1e9:.1f} GB of memory, more than there is"
        )


class _UnfitError(Exception):
    """What does not fit."""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
            else:
                yield entry


def _check_2(content: Mapping[str, Any]) -> ZarrFacts:
    kind = content["dtype"]
    if not isinstance(kind, str) or not _NUMBER_2.match(kind):
        raise _UnfitError("it holds no numbers")
    compressor = content.get("compressor")
    used = [] if compressor is None else [compressor["id"]]
    _check_known(used, _CODECS_2)
    _check_known([one["id"] for one in content.get("filters") or ()], _FILTERS_2)
    width = int(kind[-1])
    _check_counts(content["shape"], content["chunks"], width)
    return ZarrFacts(2, width * math.prod(content["shape"]))


def _check_3(content: Mapping[str, Any]) -> ZarrFacts:
    if content.get("node_type") != "array":
        raise _UnfitError("it is no array")
    kind = content["data_type"]
    if not isinstance(kind, str) or not _NUMBER_3.match(kind):
        raise _UnfitError("it holds no numbers")
    if content.get("storage_transformers"):
        raise _UnfitError("it is stored in a way that is not read here")
    grid = content["chunk_grid"]
    if grid["name"] != "regular":
        raise _UnfitError("its chunks are not regular")
    width = int(re.sub(r"\D", "", kind) or 8) // 8
    shape, chunks = content["shape"], grid["configuration"]["chunk_shape"]
    _check_counts(shape, chunks, width)
    for codec in content["codecs"]:
        if codec["name"] == _SHARDED:
            inside = codec["configuration"]
            _check_counts(shape, inside["chunk_shape"], width)
            _check_known([c["name"] for c in inside["codecs"]], _CODECS_3)
            _check_known([c["name"] for c in inside.get("index_codecs", ())], _CODECS_3)
        else:
            _check_known([codec["name"]], _CODECS_3)
    return ZarrFacts(3, width * math.prod(shape))


def _check_known(used: list[Any], known: frozenset[str]) -> None:
    for name in used:
        if name not in known:
            raise _UnfitError(f"it is packed by '{str(name)[:40]}', which is not read here")


def _check_counts(shape: Any, chunks: Any, width: int) -> None:
    sizes = [*shape, *chunks]
    if not sizes or len(shape) != len(chunks) or any(type(n) is not int or n < 0 for n in sizes):
        raise _UnfitError("its sizes are no sizes")
    if min(chunks) < 1:
        raise _UnfitError("its sizes are no sizes")
    if math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True)) > _MAX_CHUNKS:
        raise _UnfitError("it claims more chunks than any such data have")
    memory = machine_bytes()
    if memory is not None and width * math.prod(chunks) > memory:
        raise _UnfitError("one of its chunks takes more memory than there is")


def _refused(folder: Path, why: str) -> InputError:
    return InputError(
        f"{folder.name} cannot be read as a Zarr array: {why}.",
        "Write it as the documentation says, or as .npz.",
    )
