"""What a MetaImage header promises: how many bytes, how packed, and in which file."""

from __future__ import annotations

from pathlib import Path

from spinemar.base.files.regular import open_regular
from spinemar.errors import InputError
from spinemar.io.headers.stored_size import StoredVoxels, neighbour

_MAX_HEADER_BYTES = 1 << 20
_TYPE_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip
_LAST = "ElementDataFile"
# MetaIO reads these into arrays of fixed size, whatever NDims and the lines say.
_VECTORS = ("DimSize", "ElementSpacing", "ElementSize", "Offset", "Origin", "Position",
            "CenterOfRotation")  # fmt: skip
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_DEFLATE, _NEEDS_DICTIONARY = 8, 0x20
_MAX_LINE = 1024
_MAX_DIMS = 4


def stored_in_metaimage(path: Path) -> StoredVoxels:
    """Read where a MetaImage (.mha, or a .mhd header) keeps its voxels.

    Raises
    ------
    InputError
        If the header is damaged, or names voxels outside its folder.
    """
    fields, offset = _fields(path)
    try:
        _check_shape(fields)
        sizes = [int(part) for part in fields["DimSize"].split()]
        width = _TYPE_BYTES[fields["ElementType"]]
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        detached = fields[_LAST]
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path.name} cannot be read: its MetaImage header is truncated or damaged.",
            "Copy or export the file again.",
        ) from error
    promised = width * max(channels, 1)
    for side in sizes:
        promised *= max(side, 0)
    packing = "gzip" if fields.get("CompressedData", "").upper().startswith("T") else "raw"
    if fields.get("BinaryData", "True").upper().startswith("F"):
        promised //= width  # numbers written as text: a digit and a space at least
        packing = "raw"
    if detached.upper() == "LOCAL":
        return _unpacking(StoredVoxels(path, offset, promised, packing), path.name)
    if detached.split()[:1] == ["LIST"] or "%" in detached:
        raise InputError(
            f"{path.name} spreads its voxels over several files.", "Save it as one .mha file."
        )
    return _unpacking(StoredVoxels(neighbour(path, detached), 0, promised, packing), path.name)


def _unpacking(stored: StoredVoxels, name: str) -> StoredVoxels:
    """Refuse a stream that asks for a dictionary (RFC 1950), which MetaIO awaits for ever."""
    if stored.packing == "gzip":
        with open_regular(stored.path, f"voxels of {name}") as stream:
            stream.seek(stored.offset)
            start = stream.read(2)
        if len(start) == 2 and start[0] & 0x0F == _DEFLATE and start[1] & _NEEDS_DICTIONARY:
            raise InputError(
                f"{name} cannot be read: its voxels are damaged, or packed in an unknown way.",
                "Copy or export the file again.",
            )
    return stored


def _check_shape(fields: dict[str, str]) -> None:
    """Raise ValueError for counts that do not fit: MetaIO would write beyond its arrays."""
    dims = int(fields["NDims"])
    if not 2 <= dims <= _MAX_DIMS or len(fields["NDims"]) > 1:
        raise ValueError("NDims")
    counts = {**dict.fromkeys(_VECTORS, dims), **dict.fromkeys(_MATRICES, dims * dims)}
    for name, count in counts.items():
        if name in fields and len([float(part) for part in fields[name].split()]) != count:
            raise ValueError(name)
    if any(len(name) + len(value) > _MAX_LINE for name, value in fields.items()):
        raise ValueError("a line without end")


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields up to the one that ends the header, and where the header ends."""
    with open_regular(path, f"file {path.name}") as stream:
        start = stream.read(_MAX_HEADER_BYTES)
    fields: dict[str, str] = {}
    position = 0
    while position < len(start) and _LAST not in fields:
        end = start.find(b"\n", position)
        line = start[position : len(start) if end < 0 else end].decode("latin-1")
        position = len(start) if end < 0 else end + 1
        name, equals, value = line.partition("=")
        key = name.strip()
        unclear = not equals or key in fields or set(line.rstrip("\r")) & set("\r\0") or ":" in key
        if line.strip() and unclear:
            return {}, position  # damaged: no field, one given twice, or read otherwise by MetaIO
        if equals:
            fields[key] = value.strip()
    return fields, position
