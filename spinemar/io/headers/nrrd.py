"""What a NRRD header promises: how many bytes, how packed, and in which file."""

from __future__ import annotations

from pathlib import Path

from spinemar.base.files.regular import open_regular
from spinemar.errors import InputError
from spinemar.io.headers.stored_size import StoredVoxels, neighbour

_MAX_HEADER_BYTES = 16 << 20
_TYPE_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8"), 1),
    **dict.fromkeys(("uint8_t", "char"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16"), 2),
    **dict.fromkeys(("int16_t", "ushort", "unsigned short", "unsigned short int", "uint16"), 2),
    **dict.fromkeys(("uint16_t",), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int"), 4),
    **dict.fromkeys(("uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long"), 8),
    **dict.fromkeys(("signed long long int", "int64", "int64_t", "ulonglong"), 8),
    **dict.fromkeys(("unsigned long long", "unsigned long long int", "uint64"), 8),
    **dict.fromkeys(("uint64_t", "double"), 8),
}
_PACKINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}
# Written as text every value takes a digit and a space at least; as hex two digits a byte.
_TEXTS = ("text", "txt", "ascii", "hex")


def stored_in_nrrd(path: Path) -> StoredVoxels:
    """Read where a NRRD file (or its detached header) keeps its voxels.

    Raises
    ------
    InputError
        If the header is damaged, or names voxels outside its folder.
    """
    fields, offset = _fields(path)
    try:
        sizes = [int(part) for part in fields["sizes"].split()]
        width = _TYPE_BYTES[fields["type"].lower()]
        encoding = fields["encoding"].lower()
    except (KeyError, ValueError) as error:
        raise _damaged(path) from error
    voxels = 1
    for side in sizes:
        voxels *= max(side, 0)
    if encoding in _TEXTS:
        promised, packing = voxels * (width * 2 if encoding == "hex" else 2) - 1, "raw"
    elif encoding in _PACKINGS:
        promised, packing = voxels * width, _PACKINGS[encoding]
    else:
        raise _damaged(path)
    detached = fields.get("datafile")
    if detached is None:
        return StoredVoxels(path, offset, promised, packing)
    if detached.split()[:1] in (["LIST"], ["SKIPLIST"]) or "%" in detached:
        raise InputError(
            f"{path.name} spreads its voxels over several files.", "Save it as one .nrrd file."
        )
    return StoredVoxels(neighbour(path, detached), 0, promised, packing)


def nrrd_key_values(path: Path) -> dict[str, str]:
    """Return what a NRRD header says beyond the format's own fields (its lines `key:=value`).

    Raises
    ------
    InputError
        If it is no NRRD header.
    """
    lines, _ = _lines(path)
    found: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition(b":=")
        if equals and not line.startswith(b"#"):
            text = value.decode("utf-8", errors="replace")
            found[key.decode("utf-8", errors="replace")] = text.replace("\\n", "\n")
    return found


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields by their name without spaces, and where the header ends."""
    lines, position = _lines(path)
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith((b"#", b"NRRD")) or b": " not in line or b":=" in line.split(b": ")[0]:
            continue
        name, _, value = line.decode("latin-1").partition(": ")
        key = name.lower().replace(" ", "")
        if key in fields:
            raise _damaged(path)
        fields[key] = value.strip()
    return fields, position


def _lines(path: Path) -> tuple[list[bytes], int]:
    """Return the header's lines, and where it ends."""
    with open_regular(path, f"file {path.name}") as stream:
        start = stream.read(_MAX_HEADER_BYTES + 1)
    if not start.startswith(b"NRRD"):
        raise _damaged(path)
    lines: list[bytes] = []
    position = 0
    while position < len(start):
        end = start.find(b"\n", position)
        line = start[position : len(start) if end < 0 else end].removesuffix(b"\r")
        position = len(start) if end < 0 else end + 1
        if not line:
            return lines, position
        # Teem ends lines at a lone CR too, and texts at a zero: it would read another header.
        if b"\r" in line or b"\0" in line:
            raise _damaged(path)
        lines.append(line)
    if len(start) > _MAX_HEADER_BYTES:
        raise _damaged(path)  # what follows would be read by others, and was not looked at
    return lines, position


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path.name} cannot be read: its NRRD header is truncated or damaged.",
        "Copy or export the file again.",
    )
