"""JSON from elsewhere: bounded in size, strict, and every refusal one sentence."""

from __future__ import annotations

import difflib
import json
import math
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spinemar.base.files.regular import read_regular
from spinemar.errors import InputError

MAX_BYTES = 16 << 20
_REMEDY = "Correct the file, or use one written by SpineMAR."


def parse_json(text: str, what: str) -> Any:
    """Parse JSON.

    Parameters
    ----------
    text : str
    what : str
        What it should be, for the message: "plan", "catalogue my.json".

    Raises
    ------
    InputError
        For anything that is no JSON, and for what Python's reader lets pass: NaN and infinity,
        numbers beyond all bounds, nesting without end, characters that are none.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\u" in text:
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise InputError(f"The {what} is not valid JSON (nested too deep).", _REMEDY) from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"The {what} is not valid JSON (half a character in a text).", _REMEDY
        ) from error
    except ValueError as error:
        raise InputError(f"The {what} is not valid JSON ({error}).", _REMEDY) from error
    return content


def read_json(path: Path, what: str, max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file of at most `max_bytes`.

    Raises
    ------
    InputError
        As `parse_json`, and if the file is missing, too large or not UTF-8.
    """
    return parse_json(read_text(path, what, max_bytes), what)


def read_text(path: Path, what: str, max_bytes: int = MAX_BYTES) -> str:
    """Read a UTF-8 file of at most `max_bytes`.

    Raises
    ------
    InputError
        If it is missing, no ordinary file, too large or not UTF-8.
    """
    try:
        content = read_regular(path, what, max_bytes).decode("utf-8")
        return content.replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"The {what} cannot be read ({problem}).", "Check the file.") from error


def shown(value: Any) -> str:
    """Return a value for a message, however long or deep it is."""
    return _SHORT.repr(value)


def known_ones(name: object, known: Iterable[str]) -> str:
    """Return the remedy for a name that is none of the known ones: the nearest, then all."""
    names = list(known)
    near = difflib.get_close_matches(str(name)[:60], names, 1)
    asked = f"Did you mean {near[0]!r}? " if near else ""
    return f"{asked}Known ones: {', '.join(names)}."


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name} where a number belongs")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value
