"""What an export's folder looks like, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Pair = Mapping[str, NDArray[Any]]
"""Arrays of a pair as `PairStore` gives them: line integrals and HU as float32."""


class PairLayout(Protocol):
    """Writes pairs as somebody else's loader wants them.

    Attributes
    ----------
    fields : tuple of str
        What it reads of a pair.
    about : str
        What lies where, in Markdown, for the export's README.md.
    """

    fields: tuple[str, ...]
    about: str

    def add(self, split: str, pair: Pair, row: Mapping[str, Any]) -> list[Path]:
        """Write one pair and return its files, relative to the export's folder."""

    def close(self) -> None:
        """Write what can only be written when all pairs are there."""


def middle(values: NDArray[Any]) -> NDArray[Any]:
    """Return the middle slice of (slices, ...), the one to be corrected."""
    found: NDArray[Any] = values[len(values) // 2]
    return found
