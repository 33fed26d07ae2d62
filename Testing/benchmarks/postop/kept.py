"""Rows that stay in the repository, each with the code that made it: a later session goes on."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from Testing.benchmarks.earlier_ct.making.patients import ROOT
from Testing.benchmarks.postop.score import Row

KEPT = ROOT / "Docs" / "results" / "postop.json"


def keep_rows(home: Path, code: str, kept: Path = KEPT) -> int:
    """Put all rows of a home folder into the repository, over older ones of the same scan and case.

    Parameters
    ----------
    home : Path
    code : str
        The commit that scored them.
    kept : Path

    Returns
    -------
    int
        How many scans and cases are kept then.

    Raises
    ------
    InputError
        If no code is named.
    """
    if not code:
        raise InputError("Nobody says which code scored these rows.", "Name its commit: --code.")
    known = _read(kept)
    for path in sorted((home / "rows").glob("*.json")):
        rows = [asdict(Row(**one)) for one in json.loads(path.read_text(encoding="utf-8"))]
        known[path.stem] = {"code": code, "rows": [_without_nan(row) for row in rows]}
    scans = ",\n".join(_as_text(name, one) for name, one in sorted(known.items()))
    with atomic_path(kept) as temporary:
        temporary.write_text(f"{{\n{scans}\n}}\n", encoding="utf-8")
    return len(known)


def take_rows(home: Path, code: str, kept: Path = KEPT) -> int:
    """Write kept rows into a home folder that has none of that scan and case.

    Parameters
    ----------
    home : Path
    code : str
        Rows of this commit alone are taken: the truth of the validation patient is drawn by the
        code too, and a table of several codes would say nothing.
    kept : Path

    Returns
    -------
    int
        How many scans and cases were taken.

    Raises
    ------
    InputError
        If no rows of that code are kept.
    """
    known = {name: one for name, one in _read(kept).items() if one["code"] == code}
    if not known:
        codes = sorted({one["code"] for one in _read(kept).values()})
        raise InputError(
            f"No rows of code {code or '(none named)'} are kept.",
            f"Name one of these: --code {', '.join(codes) or '(there are none)'}.",
        )
    folder = home / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0
    for name, one in known.items():
        path = folder / f"{name}.json"
        if path.is_file():
            continue
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps([_with_nan(row) for row in one["rows"]], indent=1))
        taken += 1
    return taken


def _as_text(name: str, one: dict[str, Any]) -> str:
    """A scan and case as JSON, a row a line: so a change of one row is one in the history."""
    rows = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in one["rows"])
    return f' {json.dumps(name)}: {{"code": {json.dumps(one["code"])}, "rows": [\n{rows}\n ]}}'


def _read(kept: Path) -> dict[str, Any]:
    return dict(json.loads(kept.read_text(encoding="utf-8"))) if kept.is_file() else {}


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: what is not known is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in row.items()
    }


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in row.items()}
