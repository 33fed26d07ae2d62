"""Registrations as JSON, so that they can be looked at, edited and used again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from spinemar.base.json_records import build_record
from spinemar.base.json_text import parse_json
from spinemar.errors import InputError
from spinemar.registration.motions import HowFound, Registration, VertebraMotion

SCHEMA = "spinemar-registration/1"
_CONVENTION = (
    "4 x 4 matrices, row by row; each maps a point (R, A, S, 1) in mm of the scan to the same "
    "anatomy in the earlier CT. An ITK transform of LPS points with the scan as the fixed image is "
    "D M D with D = diag(-1, -1, 1, 1)."
)
_Row = tuple[float, float, float, float]


@dataclass(frozen=True)
class _StoredVertebra:
    level: str
    scan_to_earlier: tuple[_Row, _Row, _Row, _Row]
    found: HowFound = "given"
    likeness: float | None = None
    residual_hu: float | None = None
    moved_mm: float | None = None


@dataclass(frozen=True)
class _Stored:
    schema: str
    scan_to_earlier: tuple[_Row, _Row, _Row, _Row]
    vertebrae: tuple[_StoredVertebra, ...] = ()
    likeness: float | None = None
    overlap: float | None = None
    warnings: tuple[str, ...] = ()
    convention: str = ""


def registration_facts(registration: Registration) -> dict[str, Any]:
    """Return a registration as JSON has it."""
    return {
        "schema": SCHEMA,
        "convention": _CONVENTION,
        "scan_to_earlier": registration.scan_to_earlier.tolist(),
        "likeness": _known(registration.likeness),
        "overlap": _known(registration.overlap),
        "vertebrae": [
            {
                "level": one.level,
                "scan_to_earlier": one.scan_to_earlier.tolist(),
                "found": one.found,
                "likeness": _known(one.likeness),
                "residual_hu": _known(one.residual_hu),
                "moved_mm": _known(one.moved_mm),
            }
            for one in registration.vertebrae
        ],
        "warnings": list(registration.warnings),
    }


def registration_to_json(registration: Registration) -> str:
    """Write a registration as JSON text; see `convention` in it."""
    return json.dumps(registration_facts(registration), indent=1, allow_nan=False) + "\n"


def registration_from_json(text: str) -> Registration:
    """Read what `registration_to_json` wrote, edited or not, or the facts beside a result.

    Raises
    ------
    InputError
        If it is no such JSON, of another version, or a matrix is not rigid.
    """
    raw = parse_json(text, "file of transforms")
    if isinstance(raw, dict) and isinstance(raw.get("earlier_ct"), dict):
        raw = raw["earlier_ct"].get("registration")
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise InputError(
            f"The file of transforms is not of schema {SCHEMA}.",
            "Give the file that SpineMAR wrote beside a result, or leave it out.",
        )
    stored = build_record(_Stored, raw, "file of transforms")
    return Registration(
        scan_to_earlier=stored.scan_to_earlier,  # type: ignore[arg-type]
        vertebrae=tuple(
            VertebraMotion(
                level=one.level,
                scan_to_earlier=one.scan_to_earlier,  # type: ignore[arg-type]
                found=one.found,
                likeness=_number(one.likeness),
                residual_hu=_number(one.residual_hu),
                moved_mm=_number(one.moved_mm),
            )
            for one in stored.vertebrae
        ),
        likeness=_number(stored.likeness),
        overlap=_number(stored.overlap),
        warnings=stored.warnings,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
