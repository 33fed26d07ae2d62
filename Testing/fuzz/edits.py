"""Edits that damage a good file the way transfers, bugs and attackers do."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "flip", "set", "number", "cut", "drop", "repeat", "insert", "splice", "magic", "join"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Numbers at which lengths, counts and sizes overflow, vanish or turn negative.
_EDGES = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31,
          2**32 - 1, 2**32, 2**53, 2**63 - 1, -(2**31), -(2**63))  # fmt: skip
_FORMATS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q", "<f", ">f", "<d")
_FLOATS = (0.0, -0.0, 1e-300, 1e300, -1.0, float("nan"), float("inf"), float("-inf"), 3.4e38)
_TEXTS = (
    b"0", b"-1", b"99999999999", b"1e309", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}",
    b'""', b"[[[[[[[[", b"\\u0000", b"../../../etc/passwd", b"/dev/zero", b"%s%s%n", b"\0\0\0\0",
    b"\xff\xff\xff\xff", b"\r\n", b"\n\n", b" ", b"LIST", b"LOCAL", b"gzip", b"hex", b"ascii",
    b"1 1 1 1 1 1 1", b"-2147483648", b"18446744073709551616", b"0x7fffffff",
)  # fmt: skip
# How files of other formats begin: a file that is two of them shows each reader another face.
_MAGICS = (
    (0, b"NRRD0005\n"), (0, b"\x93NUMPY\x01\x00"), (0, b"PK\x03\x04"), (4, b"ORTM"),
    (128, b"DICM"), (344, b"n+1\0"), (0, b"\x5c\x01\0\0"), (0, b"\x1f\x8b\x08"),
    (0, b"solid "), (0, b"# vtk DataFile"), (0, b"<?xml"), (0, b"ObjectType = Image\n"),
    (0, b"II*\0"), (0, b"\x89PNG"), (0, b"{"), (0, b"\x08"),
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One damage; `place` and `extent` are shares of the file's length."""

    kind: Kind
    place: float
    extent: float
    choice: int


def apply(data: bytes, edits: Sequence[Edit], others: Sequence[bytes] = ()) -> bytes:
    """Damage a file.

    Parameters
    ----------
    data : bytes
        A good file.
    edits : sequence of Edit
    others : sequence of bytes
        Further good files, to splice parts from.
    """
    for edit in edits:
        data = _apply(data, edit, others or (data,))
    return data


def _apply(data: bytes, edit: Edit, others: Sequence[bytes]) -> bytes:
    if edit.kind == "magic":
        at, magic = _MAGICS[edit.choice % len(_MAGICS)]
        return data[:at].ljust(at, b"\0") + magic + data[at + len(magic) :]
    if edit.kind == "join":
        other = others[edit.choice // 2 % len(others)]
        return other + data if edit.choice % 2 else data + other
    at = min(int(edit.place * len(data)), max(len(data) - 1, 0))
    span = max(1, int(edit.extent**3 * len(data)))  # short ones are the rule
    new, taken = _replacement(data[at : at + span], edit, others)
    return data[:at] + new + data[at + taken :]


def _replacement(  # noqa: PLR0911 - one a kind
    old: bytes, edit: Edit, others: Sequence[bytes]
) -> tuple[bytes, int]:
    """Return what comes in at the place, and how many bytes go out."""
    match edit.kind:
        case "flip":
            return bytes(b ^ (1 << edit.choice % 8) for b in old[:1]), 1
        case "set":
            return bytes([edit.choice % 256]) * len(old[:64]), len(old[:64])
        case "number":
            number = _number(edit.choice)
            return number, len(number)
        case "cut":
            return b"", sys.maxsize
        case "drop":
            return b"", len(old)
        case "repeat":
            return old * (2 + edit.choice % 30), len(old)
        case "insert":
            return _TEXTS[edit.choice % len(_TEXTS)], 0
    other = others[edit.choice % len(others)]
    start = min(int(edit.place * len(other)), max(len(other) - 1, 0))
    return other[start : start + len(old)], len(old)


def _number(choice: int) -> bytes:
    kind = _FORMATS[choice % len(_FORMATS)]
    if kind[1] in "fd":
        value = _FLOATS[choice // 10 % len(_FLOATS)]
        if kind[1] == "f" and 3.5e38 < abs(value) < float("inf"):
            value = 3.4e38
        return struct.pack(kind, value)
    bits = 8 * struct.calcsize(kind)
    return struct.pack(kind, _EDGES[choice // 10 % len(_EDGES)] % 2**bits)


def draw(random_source: random.Random) -> list[Edit]:
    """Draw one to eight edits, half of them in the first 512 bytes or so where headers are."""
    edits = []
    for _ in range(1 + min(int(random_source.expovariate(0.7)), 7)):
        place = random_source.random()
        place = place**4 if random_source.random() < 0.5 else place
        edits.append(
            Edit(random_source.choice(KINDS), place, random_source.random(),
                 random_source.randrange(2**16))
        )  # fmt: skip
    return edits
