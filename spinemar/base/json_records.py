"""The one strict reader: dataclasses from JSON or YAML, every entry checked by its annotation."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from spinemar.base.json_text import known_ones, shown
from spinemar.errors import InputError

_T = TypeVar("_T")
_REMEDY = "Correct the file, or use one written by SpineMAR."


def build_record(
    cls: type[_T],
    raw: Any,
    where: str,
    *,
    remedy: str = _REMEDY,
    error: type[InputError] = InputError,
) -> _T:
    """Make a dataclass from a JSON or YAML object, field by field, by its annotations.

    Annotations may be `bool`, `int`, `float`, `str`, `Path`, `Literal`, dataclasses, tuples,
    string-keyed mappings, unions of them, and `Any`. An integer stands for a float; nothing else
    is converted, so that a number in quotes is refused and not guessed.

    Parameters
    ----------
    cls : type
        A dataclass.
    raw : object
        What was parsed.
    where : str
        Names the place, for the message: "plan", "settings".
    remedy : str
        What to do about a wrong entry.
    error : type of InputError
        What is raised.

    Raises
    ------
    InputError
        If an entry is missing, unknown or of a wrong kind, or what the dataclass itself raises.
    """
    return _Reader(remedy, error).record(cls, raw, where)


class _Reader:
    """Converts values; every refusal carries the same remedy."""

    def __init__(self, remedy: str, error: type[InputError]) -> None:
        self._remedy = remedy
        self._error = error

    def record(self, cls: type[_T], raw: Any, where: str) -> _T:
        if not isinstance(raw, Mapping):
            raise self._refused(f"The {where} is not an object.")
        hints = typing.get_type_hints(cls)
        known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
        unknown = sorted(str(key) for key in raw if key not in known)
        if unknown:
            raise self._error(
                f"The {where} holds an unknown entry {shown(unknown[0])}.",
                known_ones(unknown[0], known),
            )
        for name, field in known.items():
            needed = field.default is MISSING and field.default_factory is MISSING
            if needed and name not in raw:
                raise self._refused(f"The {where} lacks the entry {name!r}.")
        return cls(
            **{
                key: self._value(hints[key], raw[key], f"{where}.{key}")
                for key in known
                if key in raw
            }
        )

    def _value(self, hint: Any, value: Any, where: str) -> Any:
        """Check one value against its annotation and return the Python value."""
        if hint is Any:
            return value
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            return self._one_of(arguments, value, where)
        if origin is not None:
            return self._generic(origin, arguments, value, where)
        if is_dataclass(hint):
            return self.record(typing.cast("type[Any]", hint), value, where)
        if hint is Path and isinstance(value, str) and value:
            return Path(value)
        return self._scalar(hint, value, where)

    def _generic(self, origin: Any, arguments: Sequence[Any], value: Any, where: str) -> Any:
        if origin is typing.Literal:
            return self._choice(arguments, value, where)
        if origin is tuple:
            return self._tuple(arguments, value, where)
        return self._mapping(arguments[1], value, where)

    def _one_of(self, options: Sequence[Any], value: Any, where: str) -> Any:
        if value is None and type(None) in options:
            return None
        problem: InputError | None = None
        for option in options:
            if option is type(None):
                continue
            try:
                return self._value(option, value, where)
            except InputError as error:
                problem = problem or error
        assert problem is not None
        raise problem

    def _choice(self, choices: Sequence[Any], value: Any, where: str) -> Any:
        if not any(value is one or (type(value) is type(one) and value == one) for one in choices):
            known = known_ones(value, map(str, choices))
            raise self._error(f"The {where} cannot be {shown(value)}.", known)
        return value

    def _tuple(self, kinds: Sequence[Any], value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise self._refused(f"The {where} is not a list.")
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = [kinds[0]] * len(value)
        if len(value) != len(kinds):
            raise self._refused(f"The {where} has {len(value)} entries, not {len(kinds)}.")
        return tuple(
            self._value(kind, item, f"{where}[{n}]")
            for n, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )

    def _mapping(self, kind: Any, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self._refused(f"The {where} is not an object.")
        return {key: self._value(kind, item, f"{where}.{key}") for key, item in value.items()}

    def _scalar(self, hint: Any, value: Any, where: str) -> Any:
        if type(value) is not hint and not (hint is float and type(value) is int):
            raise self._refused(f"The {where} is {shown(value)}, not of kind {hint.__name__}.")
        if hint is not float:
            return value
        # An integer of JSON may be too large for a float.
        number = math.inf if abs(value) > 1e300 else float(value)
        if not math.isfinite(number):
            raise self._refused(f"The {where} is not a finite number.")
        return number

    def _refused(self, problem: str) -> InputError:
        return self._error(problem, self._remedy)
