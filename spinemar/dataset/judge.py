"""Scans that judge and must never teach: how they are marked, and that training refuses them."""

from __future__ import annotations

from pathlib import Path

from spinemar.errors import InputError

MARKER = "JUDGE_ONLY.txt"
"""A folder with such a file, and everything below it, is refused as training data."""


def mark_as_judge(folder: Path) -> None:
    """Mark a folder of scans as a judge's."""
    text = "These scans judge models. Never train, tune or fit anything on them.\n"
    (folder / MARKER).write_text(text, encoding="utf-8")


def refuse_judge(path: Path) -> None:
    """Refuse a file or folder that lies in a judge's folder.

    Raises
    ------
    InputError
        If this folder, or one above it, is marked.
    """
    place = path.resolve()
    for folder in (place, *place.parents):
        if (folder / MARKER).is_file():
            raise InputError(
                f"{path} belongs to the scans that judge models ({folder / MARKER}); what is "
                "trained or fitted on them could not be judged by them any more.",
                "Use other data.",
            )
