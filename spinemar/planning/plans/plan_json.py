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
from spinemar.spine.labels.levels import GUESSED_LEVELS, UNCONFIRMED_LEVELS

_FORMAT = "spinemar-plan"
_REMEDY = "Use a plan written by SpineMAR, or correct the file."

# What older versions do not say has a default since, so they are read as they are: 1 knew one rod
# and one crosslink, 2 not why a screw has no grade, 3 not what of such a screw lies in the canal,
# 4 not what was seen of a screw in the CT that it was found in, 5 no screws into the ilium,
# 6 said in its warnings alone that levels are not confirmed, 7 knew no screws in lateral masses.
_OLDEST_VERSION = 1
_LEVELS_IN_GRADES = 7


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
    if version < _LEVELS_IN_GRADES:
        _take_levels_from_warnings(raw)
    return {**raw, "version": PLAN_VERSION}


def _take_levels_from_warnings(raw: dict[str, Any]) -> None:
    """Have the grades of an old plan say what only its warnings did: levels not confirmed."""
    said = raw.get("warnings") or ()
    unsure = any(
        isinstance(text, str) and doubt[1:] in text
        for text in (said if isinstance(said, list) else ())
        for doubt in (GUESSED_LEVELS, UNCONFIRMED_LEVELS)
    )
    screws = raw.get("screws")
    for screw in screws if unsure and isinstance(screws, list) else ():
        grade = screw.get("grade") if isinstance(screw, dict) else None
        if isinstance(grade, dict):
            grade.setdefault("level_confirmed", False)
