"""Walk over a DICOM file before GDCM does, which believes every length that the file claims.

A file of one kilobyte can claim an element of four gigabytes, and GDCM would ask for them. Here
nothing is kept but the few short values that say what the file is, how large its picture is and
how it is packed.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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
PHOTOMETRIC = 0x00280004
_NUMBERS = frozenset((_ROWS, _COLUMNS, _BITS, _SAMPLES))
# What a file says it is: class, instance, study, series, kind of image, place.
_TEXTS = frozenset((
    0x00020002, _SYNTAX, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x0008103E, 0x00100020,
    0x0020000D, 0x0020000E, 0x00200011, 0x00200032, 0x00200037, PHOTOMETRIC, _FRAMES,
))  # fmt: skip
_LONGEST_KEPT = 512
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
    """Values met on the way, at the top level of the data set."""

    values: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    pixel_bytes: int | None = None
    packed: bool = False
    understood: bool = False
    mislabelled: bool = False

    def text(self, tag: int) -> str:
        """Return a value as text, without its padding."""
        return self.values.get(tag, b"").decode("latin-1").strip("\0 ")


@dataclass(frozen=True)
class DicomScan:
    """What a walk over a file found.

    Parameters
    ----------
    texts : mapping of int to str
        Short values at the top level by their tag (0xGGGGEEEE), without padding.
    places : mapping of int to int
        Where their bytes start; in a deflated file, after inflating.
    syntax : str
        Transfer syntax.
    has_pixels : bool
        Whether there are pixels at the top level.
    understood : bool
        Whether the walk came to the end; if not, another reader may.
    problem : InputError, optional
        Why the file is not to be read.
    """

    texts: Mapping[int, str]
    places: Mapping[int, int]
    syntax: str
    has_pixels: bool
    understood: bool
    problem: InputError | None


class _LieError(Exception):
    """A length reaches beyond the end of the file."""


class _ConfusedError(Exception):
    """The grammar is lost; whoever reads on will say so, without harm."""


def scan_dicom(path: Path) -> DicomScan | None:
    """Walk over a file that may be DICOM.

    Parameters
    ----------
    path : Path
        An ordinary file.

    Returns
    -------
    DicomScan or None
        None for anything that is no DICOM file. A file that claims more than it holds, or is
        packed in a way unknown here, comes with its problem.
    """
    if path.stat().st_size < 8:
        return None
    found, problem = _Found(), None
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            syntax = _walk_file(data, found)
        except _LieError:
            syntax, problem = _syntax_of(found), cut_off(path)
    if syntax is None:
        return None
    if problem is None and syntax not in _READABLE:
        name = _NAMES.get(syntax, "a compression")
        problem = InputError(
            f"{path.name} is packed with {name} ({syntax[:64]}), which cannot be unpacked here.",
            "Export the series uncompressed, or unpack it first (gdcmconv --raw).",
        )
    if problem is None and found.mislabelled and _SYNTAX in found.values:
        # GDCM reads such a file for ever.
        problem = InputError(
            f"{path.name} is damaged: its header names another encoding than its elements have.",
            "Copy or export the file again.",
        )
    return DicomScan(
        texts={tag: found.text(tag) for tag in found.values},
        places=found.places,
        syntax=syntax,
        has_pixels=found.pixel_bytes is not None,
        understood=found.understood,
        problem=problem or _problem_of_picture(path, found),
    )


def with_value(path: Path, scan: DicomScan, tag: int, value: bytes) -> bytes:
    """Return a file's bytes with another value of the same length at one tag.

    Parameters
    ----------
    path : Path
    scan : DicomScan
        Of that file.
    tag : int
        One that the scan found.
    value : bytes
        Written over the start of the value that is there.
    """
    data, start = path.read_bytes(), 0
    place = scan.places[tag]
    if scan.syntax == _DEFLATED:
        start = _Walk(data, _Found(), "<", implicit=False).elements(132, len(data), meta=True)
        data, head = zlib.decompressobj(-15).decompress(data[start:], _MAX_INFLATED), data[:start]
        changed = data[:place] + value + data[place + len(value) :]
        packer = zlib.compressobj(wbits=-15)
        return head + packer.compress(changed) + packer.flush()
    return data[:place] + value + data[place + len(value) :]


def _walk_file(data: mmap.mmap, found: _Found) -> str | None:
    """Walk over everything; return the transfer syntax, None for what is no DICOM file."""
    if data[128:132] == b"DICM":
        with suppress(_ConfusedError):
            start = _Walk(data, found, "<", implicit=False).elements(132, len(data), meta=True)
            _walk_dataset(data, start, _syntax_of(found), found)
            found.understood = True
        return _syntax_of(found)
    (group,) = struct.unpack("<H", data[:2])
    if group not in (0x0002, 0x0008):
        return None
    start = 0
    with suppress(_ConfusedError):
        if group == 0x0002:
            start = _Walk(data, found, "<", implicit=False).elements(0, len(data), meta=True)
        _walk_dataset(data, start, _syntax_of(found), found)
        found.understood = True
    return _syntax_of(found)


def _syntax_of(found: _Found) -> str:
    return found.text(_SYNTAX) or _IMPLICIT


def _walk_dataset(data: mmap.mmap, start: int, syntax: str, found: _Found) -> None:
    if syntax == _DEFLATED:
        try:
            inflated = zlib.decompressobj(-15).decompress(data[start:], _MAX_INFLATED)
        except zlib.error as error:
            raise _LieError from error
        _Walk(inflated, found, "<", implicit=False).elements(0, len(inflated))
        return
    # Files exist whose header names the wrong one of the two plain encodings, or none.
    form = data[start + 4 : start + 6]
    implicit = syntax in (_IMPLICIT, _EXPLICIT) and not (form.isalpha() and form.isupper())
    found.mislabelled = implicit and syntax == _EXPLICIT and len(form) == 2
    walk = _Walk(data, found, ">" if syntax == _BIG else "<", implicit=implicit)
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
        elif tag in _NUMBERS or tag in _TEXTS:
            raw = bytes(self._data[value : value + min(length, _LONGEST_KEPT)])
            if tag in _NUMBERS and len(raw) >= 2:
                raw = str(struct.unpack(f"{self._order}H", raw[:2])[0]).encode()
            self._found.values[tag], self._found.places[tag] = raw, value

    def _unpack(self, form: str, position: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(f"{self._order}{form}", self._data, position)
        except struct.error as error:
            raise _ConfusedError from error


def _problem_of_picture(path: Path, found: _Found) -> InputError | None:
    """Compare what the header promises with the pixels that are there."""

    def number(tag: int, default: int) -> int:
        text = found.values.get(tag, b"").strip(b"\0 ")
        return int(text) if text.isdigit() and len(text) < 10 else default

    rows, columns = number(_ROWS, 0), number(_COLUMNS, 0)
    if not rows or not columns or found.pixel_bytes is None:
        return None  # a report or a directory
    frames = max(number(_FRAMES, 1), 1)
    try:
        check_size((columns, rows, frames), path.name)
    except InputError as error:
        return error
    promised = rows * columns * frames * max(number(_SAMPLES, 1), 1) * number(_BITS, 16) // 8
    there = found.pixel_bytes * (_LARGEST_RATIO if found.packed else 1)
    return cut_off(path) if there + 1024 * found.packed < promised else None


def cut_off(path: Path) -> InputError:
    """Make the error for a file that ends too early."""
    return InputError(
        f"{path.name} cannot be read: it is truncated, damaged or not the format that its name "
        "says (it holds less than its header promises).",
        "Copy or export the file again.",
    )
