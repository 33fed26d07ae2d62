"""Rows of a comparison in a file of JSON lines, so that a long one goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path


class KeptRows:
    """Rows that were scored before, and those that are added now.

    Parameters
    ----------
    path : Path, optional
        None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = []
        if path is not None and path.exists():
            text = path.read_text("utf-8")
            whole = text[: text.rfind("\n") + 1]  # a kill may have cut the last line
            self.rows = [json.loads(line) for line in whole.splitlines()]
            if whole != text:
                with atomic_path(path) as temporary:
                    temporary.write_text(whole, encoding="utf-8")

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, and write it at once."""
        self.rows.append(dict(row))
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(dict(row)) + "\n")

    def has(self, **values: str) -> bool:
        """Whether a row has these values."""
        return any(all(row[k] == v for k, v in values.items()) for row in self.rows)
