"""Plan files: versioned JSON, exact round trip, everything checked on the way in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinemar.base.json_records import build_record
from spinemar.base.json_text import parse_json, read_text
from spinemar.errors import InputError
from spinemar.planning.plans.plan import PLAN_VERSION, Plan

_FORMAT = "spinemar-plan"
_REMEDY = "Use a plan written by SpineMAR, or correct the file."

# One entry per old version: turns the raw JSON object of version n into n + 1.
Migration = Callable[[dict[str, Any]], dict[str, Any]]


def _name_models(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew one rod and one crosslink: what they are called is the default since."""
    return raw


def _say_why_not_graded(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 2 did not say why a screw has no grade: it is not known."""
    return raw


def _say_what_lies_in_the_canal(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 3 did not say it of a screw without a grade: grading anew does."""
    return raw


def _say_what_was_seen(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 4 did not keep what was seen of a screw in the CT that it was found in."""
    return raw


MIGRATIONS: Mapping[int, Migration] = {
    1: _name_models,
    2: _say_why_not_graded,
    3: _say_what_lies_in_the_canal,
    4: _say_what_was_seen,
}


def plan_to_json(plan: Plan) -> str:
    """Return the plan as JSON text; floats are written so that they read back exactly."""
    raw = {"format": _FORMAT, **asdict(plan)}
    return json.dumps(raw, indent=2, allow_nan=False) + "\n"


def plan_from_json(text: str, *, migrations: Mapping[int, Migration] = MIGRATIONS) -> Plan:
    """Read a plan; refuses what is no plan, unknown versions, NaN and absurd sizes.

    Raises
    ------
    InputError
        With the place in the file and the remedy.
    """
    raw = parse_json(text, "plan")
    if not isinstance(raw, dict) or raw.get("format") != _FORMAT:
        raise InputError("The file is not a SpineMAR plan.", _REMEDY)
    return build_record(Plan, _migrated(raw, migrations), "plan")


def read_plan(path: Path) -> Plan:
    """Read a plan file."""
    return plan_from_json(read_text(Path(path), f"plan {Path(path).name}"))


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan file; an existing one is replaced at once or not at all."""
    from spinemar.base.atomic_files import atomic_path

    with atomic_path(Path(path)) as temporary:
        temporary.write_text(plan_to_json(plan), encoding="utf-8")


def _migrated(raw: dict[str, Any], migrations: Mapping[int, Migration]) -> dict[str, Any]:
    version = raw.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise InputError("The plan does not say its version.", _REMEDY)
    if version > PLAN_VERSION:
        raise InputError(
            f"The plan is of version {version}; this software knows up to {PLAN_VERSION}.",
            "Update SpineMAR.",
        )
    while version < PLAN_VERSION:
        if version not in migrations:
            raise InputError(f"A plan of version {version} is not known.", _REMEDY)
        raw = migrations[version](dict(raw))
        version += 1
    return {
        **{key: value for key, value in raw.items() if key != "format"},
        "version": PLAN_VERSION,
    }
