"""Connected parts through a stack, found slice by slice with little memory.

Labelling a whole volume takes four bytes a voxel (a gigabyte for 1,000 slices); metal is a
thousandth of it. So slices are labelled one at a time and joined where parts touch, diagonals
included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class _Piece:
    """One connected part of one slice."""

    k: int
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    totals: Mapping[str, float]


@dataclass(frozen=True)
class Island:
    """A connected part of the stack."""

    pieces: tuple[_Piece, ...]

    @property
    def size(self) -> int:
        """Number of voxels."""
        return sum(piece.rows.size for piece in self.pieces)

    def total(self, name: str) -> float:
        """Sum over the island of a quantity given with the slices."""
        return sum(piece.totals[name] for piece in self.pieces)

    def pixels(self) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Yield (slice, rows, columns)."""
        for piece in self.pieces:
            yield piece.k, piece.rows, piece.cols


class Islands:
    """Collects masks slice by slice, in order, and joins their parts (26 neighbours)."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._parent: list[int] = []
        self._last_k = -2
        self._last_labels: NDArray[np.int32] | None = None

    def add_slice(
        self, k: int, mask: NDArray[np.bool_], quantities: Mapping[str, NDArray[np.generic]]
    ) -> None:
        """Add the next slice.

        Parameters
        ----------
        k : int
            Index of the slice; slices that hold nothing may be left out.
        mask : ndarray of bool, shape (rows, columns)
        quantities : mapping of str to ndarray, shape (rows, columns)
            Summed over each part.
        """
        labels, count = ndimage.label(mask, structure=_EIGHT)
        first = len(self._pieces)
        for index, box in enumerate(ndimage.find_objects(labels), start=1):
            rows, cols = np.nonzero(labels[box] == index)
            rows, cols = rows + box[0].start, cols + box[1].start
            totals = {name: float(q[rows, cols].sum()) for name, q in quantities.items()}
            self._pieces.append(_Piece(k, rows, cols, totals))
            self._parent.append(first + index - 1)
        numbered = np.where(labels > 0, labels + first, 0).astype(np.int32)
        if self._last_labels is not None and k == self._last_k + 1 and count:
            self._join(numbered, self._last_labels)
        self._last_k, self._last_labels = k, numbered

    def _join(self, here: NDArray[np.int32], below: NDArray[np.int32]) -> None:
        rows, cols = np.nonzero(here)
        padded = np.pad(below, 1)
        own = here[rows, cols]
        for dr in (0, 1, 2):
            for dc in (0, 1, 2):
                other = padded[rows + dr, cols + dc]
                touching = other > 0
                for a, b in np.unique(np.stack((own[touching], other[touching]), 1), axis=0):
                    self._parent[self._root(int(a) - 1)] = self._root(int(b) - 1)

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def parts(self) -> list[Island]:
        """Return all islands found so far."""
        groups: dict[int, list[_Piece]] = {}
        for index, piece in enumerate(self._pieces):
            groups.setdefault(self._root(index), []).append(piece)
        return [Island(tuple(group)) for group in groups.values()]
