"""A job's JSON as the typed request of its kind; what it does not know is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from spinemar.base.json_records import build_record

_Request = TypeVar("_Request")


def request_of(kind: type[_Request], job: Mapping[str, Any]) -> _Request:
    """Read a job.

    Parameters
    ----------
    kind : type
        Dataclass of what this kind of job asks for.
    job : mapping
        With `schema` and `kind`, which the worker has read.

    Raises
    ------
    InputError
        If an entry is missing, unknown or of a wrong kind.
    """
    asked = {name: value for name, value in job.items() if name not in ("schema", "kind")}
    return build_record(kind, asked, "job", remedy="Correct the job.")
