"""Faults that change no result: each is named with its reason, shown, and not counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Harmless:
    """One of them.

    Parameters
    ----------
    path : str
        Of the file, from the root.
    before, after : str
        What the line says without and with it, spaces as one.
    why : str
    """

    path: str
    before: str
    after: str
    why: str


HARMLESS: tuple[Harmless, ...] = ()


def why_harmless(path: str, before: str, after: str) -> str | None:
    """Return why a fault changes nothing; None where it may."""
    for one in HARMLESS:
        if (one.path, one.before, one.after) == (path, before, after):
            return one.why
    return None
