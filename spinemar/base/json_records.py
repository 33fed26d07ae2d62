"""Build dataclasses from JSON objects, every entry checked against its annotation."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from spinemar.base.json_text import shown
from spinemar.errors import InputError

_T = TypeVar("_T")
_REMEDY = "Correct the file, or use one written by SpineMAR."


def build_record(cls: type[_T], raw: Any, where: str) -> _T:
    """Make a dataclass from a JSON object, field by field, by its annotations.

    Raises
    ------
    InputError
        If an entry is missing, unknown or of a wrong kind; `where` names the place.
    """
    if not isinstance(raw, dict):
        raise InputError(f"The {where} is not an object.", _REMEDY)
    hints = typing.get_type_hints(cls)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(raw) - known)
    if unknown:
        raise InputError(f"The {where} holds an unknown entry {shown(unknown[0])}.", _REMEDY)
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in raw.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise InputError(f"The {where} lacks an entry ({error}).", _REMEDY) from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Check one JSON value against its annotation and return the Python value."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return None if value is None else _convert(options[0], value, where)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, where)
    if is_dataclass(hint):
        return build_record(typing.cast("type[Any]", hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InputError(f"The {where} is not a list.", _REMEDY)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if len(value) != len(args):
        raise InputError(f"The {where} has {len(value)} entries, not {len(args)}.", _REMEDY)
    return tuple(
        _convert(arg, item, f"{where}[{n}]")
        for n, (arg, item) in enumerate(zip(args, value, strict=True))
    )


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    right = type(value) is hint or (hint is float and type(value) is int)
    if not right:
        raise InputError(f"The {where} is {shown(value)}, not of kind {hint.__name__}.", _REMEDY)
    if hint is not float:
        return value
    # An integer of JSON may be too large for a float.
    number = math.inf if abs(value) > 1e300 else float(value)
    if not math.isfinite(number):
        raise InputError(f"The {where} is not a finite number.", _REMEDY)
    return number
