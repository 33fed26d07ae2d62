"""STL as its many writers write it: text in any case, binaries that begin with "solid", and tails.

A binary file is 80 bytes of anything, a count, and 50 bytes a triangle; what follows is passed
over. Text names its triangles by words in any case. Nothing here trusts a count: it is held against
the file's size first.

References
----------
3D Systems, StereoLithography Interface Specification, 1988.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.base.files.regular import read_regular

MAX_BYTES = 256 << 20
_HEAD, _RECORD = 84, 50
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
_NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_LOOP = re.compile(
    rb"outer\s+loop((?:\s+vertex(?:\s+" + _NUMBER + rb"){3}){3})\s+end\s*loop", re.IGNORECASE
)
_BEGIN = re.compile(rb"outer\s+loop", re.IGNORECASE)
_VERTEX = re.compile(rb"vertex", re.IGNORECASE)
_MARKS = (b"\xef\xbb\xbf",)


def read_stl(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Read points (n, 3), each once, and triangles (m, 3) of a STL file.

    Returns
    -------
    points, triangles : ndarray
        Triangles without area (two corners in one) are left out. None if the file is neither
        whole binary nor whole text.
    """
    data = read_regular(path, f"surface {path.name}", MAX_BYTES)
    corners = _binary(data, exact=True)
    if corners is None and _is_text(data):
        corners = _text(data)
    elif corners is None:
        corners = _binary(data, exact=False)
    if corners is None:
        return None
    # Corners of neighbours are the same numbers bit by bit; 0.0 and -0.0 are the same place.
    flat = np.ascontiguousarray(corners.reshape(-1, 3) + np.float32(0.0))
    rows, owner = np.unique(
        flat.view(np.dtype((np.void, flat.itemsize * 3))).ravel(), return_inverse=True
    )
    points = rows.view(np.float32).reshape(-1, 3).astype(np.float64)
    triangles = owner.reshape(-1, 3).astype(np.int64)
    distinct = (triangles != np.roll(triangles, 1, axis=1)).all(axis=1)
    return points, triangles[distinct]


def _binary(data: bytes, *, exact: bool) -> NDArray[np.float32] | None:
    """Return the corners (m, 3, 3) of a binary file, None if it is none."""
    if len(data) < _HEAD:
        return None
    count = int.from_bytes(data[80:84], "little")
    end = _HEAD + _RECORD * count
    if count == 0 or (len(data) != end if exact else len(data) < end):
        return None
    records = np.frombuffer(data, _TRIANGLE, count, _HEAD)
    return np.array(records["corners"], dtype=np.float32)


def _is_text(data: bytes) -> bool:
    start = data[:1024]
    for mark in _MARKS:
        start = start.removeprefix(mark)
    lower = start.lstrip().lower()
    return lower.startswith(b"solid") and (b"facet" in data[:4096].lower() or len(data) < _HEAD)


def _text(data: bytes) -> NDArray[np.float32] | None:
    """Return the corners of a text file; None if a triangle of it is not whole."""
    loops = _LOOP.findall(data)
    if not loops or len(loops) != len(_BEGIN.findall(data)):
        return None
    numbers = _VERTEX.sub(b" ", b" ".join(loops)).split()
    if len(numbers) != 9 * len(loops):
        return None
    return np.array(numbers, dtype=np.float64).astype(np.float32).reshape(-1, 3, 3)
