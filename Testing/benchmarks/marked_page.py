"""Pages of the documentation a part of which is written by a benchmark, between two marks."""

from __future__ import annotations

from pathlib import Path

from spinemar.base.atomic_files import atomic_path


def fill_between(page: Path, first: str, last: str, text: str) -> None:
    """Put a text in the place of what stands between two marks, which stay."""
    before, _, rest = page.read_text(encoding="utf-8").partition(first)
    _, _, after = rest.partition(last)
    with atomic_path(page) as path:
        path.write_text(f"{before}{first}{text}{last}{after}", encoding="utf-8")
