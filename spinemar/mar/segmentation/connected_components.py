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

from spinemar.base.boxes import bounding_box

_EIGHT = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class _Piece:
    """One connected part of one slice."""

    k: int
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    totals: Mapping[str, float]


@dataclass(frozen=True)
class Component:
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


class ConnectedComponents:
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
        box = bounding_box(mask)
        if box is None:
            return
        top, left = box[0].start, box[1].start
        labels, _ = ndimage.label(mask[box], structure=_EIGHT)
        first = len(self._pieces)
        for index, part in enumerate(ndimage.find_objects(labels), start=1):
            rows, cols = np.nonzero(labels[part] == index)
            rows, cols = rows + part[0].start + top, cols + part[1].start + left
            totals = {name: float(q[rows, cols].sum()) for name, q in quantities.items()}
            self._pieces.append(_Piece(k, rows, cols, totals))
            self._parent.append(first + index - 1)
        rows, cols = np.nonzero(labels)
        own = labels[rows, cols] + np.int64(first)
        rows, cols = rows + top, cols + left
        if self._last_labels is not None and k == self._last_k + 1:
            self._join(rows, cols, own, self._last_labels)
        # A rim of zeros, so that every pixel has neighbours.
        numbered = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.int32)
        numbered[rows + 1, cols + 1] = own
        self._last_k, self._last_labels = k, numbered

    def _join(
        self,
        rows: NDArray[np.intp],
        cols: NDArray[np.intp],
        own: NDArray[np.int64],
        below: NDArray[np.int32],
    ) -> None:
        """Unite the parts of these pixels with the parts they touch in the slice below."""
        pairs = []
        for dr in (0, 1, 2):
            for dc in (0, 1, 2):
                other = below[rows + dr, cols + dc]
                touching = other > 0
                pairs.append(own[touching] << 32 | other[touching])
        for pair in np.unique(np.concatenate(pairs)):
            a, b = int(pair) >> 32, int(pair) & 0xFFFFFFFF
            self._parent[self._root(a - 1)] = self._root(b - 1)

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def parts(self) -> list[Component]:
        """Return all islands found so far."""
        groups: dict[int, list[_Piece]] = {}
        for index, piece in enumerate(self._pieces):
            groups.setdefault(self._root(index), []).append(piece)
        return [Component(tuple(group)) for group in groups.values()]
