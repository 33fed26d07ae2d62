"""Walk over a DICOM file before GDCM does, which believes every length that the file claims.

A file of one kilobyte can claim an element of four gigabytes, and GDCM would ask for them. Here
nothing is kept but the few numbers that say how large the picture is and how it is packed.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spinemar.errors import InputError
from spinemar.io.formats import check_size

_UNDEFINED = 0xFFFFFFFF
_LONG_FORMS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = 0x7FE00010
_ROWS, _COLUMNS, _FRAMES, _BITS, _SAMPLES = (
    0x00280010, 0x00280011, 0x00280008, 0x00280100, 0x00280002,
)  # fmt: skip
_SYNTAX = 0x00020010
_KEPT = frozenset((_ROWS, _COLUMNS, _FRAMES, _BITS, _SAMPLES, _SYNTAX))
_MAX_DEPTH = 32
_MAX_INFLATED = 256 << 20
_LARGEST_RATIO = 100_000  # an empty picture packs far better than a patient

_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_JPEG = "1.2.840.10008.1.2.4."
# What GDCM unpacks: JPEG baseline, extended and lossless, JPEG-LS, JPEG 2000, RLE.
_READABLE = {
    _IMPLICIT, _EXPLICIT, _BIG, _DEFLATED, "1.2.840.10008.1.2.5", "1.2.840.113619.5.2",
    *(f"{_JPEG}{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 92, 93)),
}  # fmt: skip
_NAMES = {
    f"{_JPEG}100": "MPEG-2", f"{_JPEG}102": "MPEG-4", f"{_JPEG}107": "HEVC",
    f"{_JPEG}110": "JPEG XL", f"{_JPEG}201": "high-throughput JPEG 2000",
    f"{_JPEG}202": "high-throughput JPEG 2000", f"{_JPEG}203": "high-throughput JPEG 2000",
}  # fmt: skip


@dataclass
class _Found:
    """Numbers met on the way, at the top level of the data set."""

    values: dict[int, bytes]
    pixel_bytes: int | None = None
    packed: bool = False


class _LieError(Exception):
    """A length reaches beyond the end of the file."""


class _ConfusedError(Exception):
    """The grammar is lost; whoever reads on will say so, without harm."""


def refuse_hostile_dicom(path: Path) -> None:
    """Refuse a DICOM file that claims more than it holds, or is packed in a way unknown here.

    Anything that is no DICOM file passes: it is for the reader to say so.

    Parameters
    ----------
    path : Path
        An ordinary file.

    Raises
    ------
    InputError
    """
    if path.stat().st_size < 8:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = _Found({})
        try:
            syntax = _walk_file(data, found)
        except _LieError as error:
            raise _cut_off(path) from error
    if syntax is None:
        return
    if syntax not in _READABLE:
        name = _NAMES.get(syntax, "a compression")
        raise InputError(
            f"{path.name} is packed with {name} ({syntax[:64]}), which cannot be unpacked here.",
            "Export the series uncompressed, or unpack it first (gdcmconv --raw).",
        )
    _check_picture(path, found)


def _walk_file(data: mmap.mmap, found: _Found) -> str | None:
    """Walk over everything; return the transfer syntax, None for what is no DICOM file."""
    if data[128:132] == b"DICM":
        with suppress(_ConfusedError):
            start = _Walk(data, found, "<", implicit=False).elements(132, len(data), meta=True)
            syntax = found.values.get(_SYNTAX, b"").rstrip(b"\0 ").decode("latin-1") or _IMPLICIT
            _walk_dataset(data, start, syntax, found)
            return syntax
        return found.values.get(_SYNTAX, b"").rstrip(b"\0 ").decode("latin-1") or None
    group, _, form = struct.unpack("<HH2s", data[:6])
    if group not in (0x0002, 0x0008):
        return None
    implicit = not (form.isalpha() and form.isupper())
    with suppress(_ConfusedError):
        _Walk(data, found, "<", implicit=implicit).elements(0, len(data))
    return _IMPLICIT if implicit else _EXPLICIT


def _walk_dataset(data: mmap.mmap, start: int, syntax: str, found: _Found) -> None:
    if syntax == _DEFLATED:
        try:
            inflated = zlib.decompressobj(-15).decompress(data[start:], _MAX_INFLATED)
        except zlib.error as error:
            raise _LieError from error
        _Walk(inflated, found, "<", implicit=False).elements(0, len(inflated))
        return
    walk = _Walk(data, found, ">" if syntax == _BIG else "<", implicit=syntax == _IMPLICIT)
    walk.elements(start, len(data))


class _Walk:
    """One pass over elements of one encoding."""

    def __init__(self, data: mmap.mmap | bytes, found: _Found, order: str, *, implicit: bool):
        self._data = data
        self._found = found
        self._order = order
        self._implicit = implicit

    def elements(self, position: int, end: int, *, depth: int = 0, meta: bool = False) -> int:
        """Walk from `position` to `end`, or to the end of an item; return where it stopped."""
        while position + 8 <= end:
            tag, form, length, value = self._head(position)
            if meta and tag >> 16 != 2:
                return position
            if tag in (_ITEM_END, _SEQUENCE_END):
                return value
            if length == _UNDEFINED:
                position = self._items(value, end, depth, tag, form)
                continue
            if value + length > len(self._data):
                raise _LieError
            if form == b"SQ":
                self._items(value, value + length, depth, tag, form)
            elif depth == 0:
                self._keep(tag, value, length)
            position = value + length
        return position

    def _head(self, position: int) -> tuple[int, bytes, int, int]:
        """Return tag, value representation, length, and where the value starts."""
        group, element = self._unpack("HH", position)
        tag = group << 16 | element
        if self._implicit or group == 0xFFFE:
            return tag, b"", self._unpack("I", position + 4)[0], position + 8
        form = bytes(self._data[position + 4 : position + 6])
        if form in _LONG_FORMS:
            return tag, form, self._unpack("I", position + 8)[0], position + 12
        # An unknown form has a short length, as GDCM reads it too.
        return tag, form, self._unpack("H", position + 6)[0], position + 8

    def _items(self, position: int, end: int, depth: int, tag: int, form: bytes) -> int:
        """Walk over the items of a sequence or of packed pixels."""
        if depth > _MAX_DEPTH:
            raise _LieError
        if tag == _PIXELS and depth == 0:
            self._found.packed, self._found.pixel_bytes = True, 0
        # What is unknown (UN) and of no length is written implicitly, whatever the rest is.
        inner = self if form != b"UN" else _Walk(self._data, self._found, "<", implicit=True)
        while position + 8 <= end:
            group, element = self._unpack("HH", position)
            length, position = self._unpack("I", position + 4)[0], position + 8
            kind = group << 16 | element
            if kind == _SEQUENCE_END:
                return position
            if kind != _ITEM:
                raise _ConfusedError
            if length == _UNDEFINED:
                position = inner.elements(position, end, depth=depth + 1)
                continue
            if position + length > len(self._data):
                raise _LieError
            if tag == _PIXELS:
                self._found.pixel_bytes = (self._found.pixel_bytes or 0) + length
            else:
                inner.elements(position, position + length, depth=depth + 1)
            position += length
        return position

    def _keep(self, tag: int, value: int, length: int) -> None:
        if tag == _PIXELS:
            self._found.pixel_bytes = length
        elif tag in _KEPT:
            raw = bytes(self._data[value : value + min(length, 64)])
            if tag in (_ROWS, _COLUMNS, _BITS, _SAMPLES) and len(raw) >= 2:
                raw = str(struct.unpack(f"{self._order}H", raw[:2])[0]).encode()
            self._found.values[tag] = raw

    def _unpack(self, form: str, position: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(f"{self._order}{form}", self._data, position)
        except struct.error as error:
            raise _ConfusedError from error


def _check_picture(path: Path, found: _Found) -> None:
    def number(tag: int, default: int) -> int:
        text = found.values.get(tag, b"").strip(b"\0 ")
        return int(text) if text.isdigit() and len(text) < 10 else default

    rows, columns = number(_ROWS, 0), number(_COLUMNS, 0)
    if not rows or not columns or found.pixel_bytes is None:
        return  # a report or a directory
    frames = max(number(_FRAMES, 1), 1)
    check_size((columns, rows, frames), path.name)
    promised = rows * columns * frames * max(number(_SAMPLES, 1), 1) * number(_BITS, 16) // 8
    there = found.pixel_bytes * (_LARGEST_RATIO if found.packed else 1)
    if there + 1024 * found.packed < promised:
        raise _cut_off(path)


def _cut_off(path: Path) -> InputError:
    return InputError(
        f"{path.name} cannot be read: it is truncated, damaged or not the format that its name "
        "says (it holds less than its header promises).",
        "Copy or export the file again.",
    )
