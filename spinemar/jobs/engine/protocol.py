"""The lines a worker prints and the ones it reads: one JSON object each, UTF-8.

From the worker, in this order::

    {"event": "start", "kind": "correct", "pid": 4711}
    {"event": "progress", "stage": "Correcting", "done": 3, "total": 12}     (any number)
    {"event": "done", "result": {...}}
    or {"event": "error", "error": "InputError", "problem": ..., "remedy": ..., "exit_code": 2}
    or {"event": "cancelled", "problem": ..., "remedy": ..., "exit_code": 3}

To the worker, any time: ``{"command": "cancel"}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from spinemar.errors import (
    CancelledError,
    FaultError,
    GeometryError,
    InputError,
    ModelError,
    SpinemarError,
)
from spinemar.progress import Progress

SCHEMA = "spinemar-job/1"
CANCEL = json.dumps({"command": "cancel"})
ENDINGS = ("done", "error", "cancelled")

_ERRORS: Mapping[str, type[SpinemarError]] = {
    kind.__name__: kind for kind in (InputError, ModelError, GeometryError, FaultError)
}


def encode(event: str, **facts: Any) -> str:
    """Write one event as one line, without its line break."""
    return json.dumps({"event": event, **facts}, default=plain, allow_nan=False)


def plain(value: Any) -> Any:
    """Turn paths and NumPy scalars and arrays into what JSON knows."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def finite(value: Any) -> Any:
    """Replace numbers that JSON does not know (NaN, infinity) by None, all the way down."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decode(line: str) -> Mapping[str, Any] | None:
    """Read one line; None for anything that is no event (a library's own output)."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "event" in content else None


def error_line(error: SpinemarError) -> str:
    """Say how a job failed."""
    event = "cancelled" if isinstance(error, CancelledError) else "error"
    return encode(
        event,
        error=type(error).__name__,
        problem=error.problem,
        remedy=error.remedy,
        exit_code=error.exit_code,
    )


def error_of(event: Mapping[str, Any]) -> SpinemarError:
    """Make the exception again that a worker reported."""
    problem, remedy = str(event.get("problem", "")), str(event.get("remedy", ""))
    if event.get("event") == "cancelled":
        return CancelledError(problem, remedy)
    return _ERRORS.get(str(event.get("error")), FaultError)(problem, remedy)


def progress_of(event: Mapping[str, Any]) -> Progress:
    """Make the progress report again that a worker printed."""
    return Progress(str(event["stage"]), int(event["done"]), int(event["total"]))
