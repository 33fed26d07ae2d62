"""Plan files: versioned JSON, exact round trip, everything checked on the way in."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinemar.base.json_records import build_record
from spinemar.base.json_text import parse_json, read_text
from spinemar.errors import InputError
from spinemar.planning.plans.plan import PLAN_VERSION, Plan

_FORMAT = "spinemar-plan"
_REMEDY = "Use a plan written by SpineMAR, or correct the file."

# What older versions do not say has a default since, so they are read as they are: 1 knew one rod
# and one crosslink, 2 not why a screw has no grade, 3 not what of such a screw lies in the canal,
# 4 not what was seen of a screw in the CT that it was found in, 5 no screws into the ilium.
_OLDEST_VERSION = 1


def plan_to_json(plan: Plan) -> str:
    """Return the plan as JSON text; floats are written so that they read back exactly."""
    raw = {"format": _FORMAT, **asdict(plan)}
    return json.dumps(raw, indent=2, allow_nan=False) + "\n"


def plan_from_json(text: str) -> Plan:
    """Read a plan; refuses what is no plan, unknown versions, NaN and absurd sizes.

    Raises
    ------
    InputError
        With the place in the file and the remedy.
    """
    raw = parse_json(text, "plan")
    if not isinstance(raw, dict) or raw.get("format") != _FORMAT:
        raise InputError("The file is not a SpineMAR plan.", _REMEDY)
    return build_record(Plan, _present(raw), "plan")


def read_plan(path: Path) -> Plan:
    """Read a plan file."""
    return plan_from_json(read_text(Path(path), f"plan {Path(path).name}"))


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan file; an existing one is replaced at once or not at all."""
    from spinemar.base.atomic_files import atomic_path

    with atomic_path(Path(path)) as temporary:
        temporary.write_text(plan_to_json(plan), encoding="utf-8")


def _present(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a plan of any version that is known as one of the present version."""
    version = raw.pop("version", None)
    if isinstance(version, bool) or not isinstance(version, int):
        raise InputError("The plan does not say its version.", _REMEDY)
    if version > PLAN_VERSION:
        raise InputError(
            f"The plan is of version {version}; this software knows up to {PLAN_VERSION}.",
            "Update SpineMAR.",
        )
    if version < _OLDEST_VERSION:
        raise InputError(f"A plan of version {version} is not known.", _REMEDY)
    del raw["format"]
    return {**raw, "version": PLAN_VERSION}
