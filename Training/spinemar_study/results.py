"""A study's result on disk: what was asked for, with which model, every row, and the summary."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path

ModelFacts = dict[str, str]

_DIGITS = 5


def model_facts() -> ModelFacts:
    """Return name, version and hashes of the model that is shipped now."""
    from spinemar_study.scenes.methods import shipped_manifest

    manifest = shipped_manifest()
    return {"name": manifest.name, "version": manifest.version, "sha256": manifest.sha256}


def write_result(
    path: Path,
    study: str,
    settings: Any,
    rows: Sequence[dict[str, Any]],
    summary: dict[str, Any],
    model: ModelFacts,
    **facts: Any,
) -> None:
    """Write one JSON file, figures to five digits, at once or not at all.

    Parameters
    ----------
    path : Path
    study : str
    settings : dataclass
    rows : sequence of dict
        One a case.
    summary : dict
    model : dict
        From `model_facts`, asked for before the run began: a model shipped during a long run
        is not the one that was measured.
    facts
        Whatever else the page states, such as the budget.
    """
    document = {
        "study": study,
        "model": model,
        "settings": asdict(settings) if is_dataclass(settings) else settings,  # type: ignore[arg-type]
        **facts,
        "summary": summary,
        "rows": list(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _compact(json.dumps(_rounded(document), indent=1, allow_nan=False))
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_result(path: Path) -> dict[str, Any]:
    """Read what `write_result` wrote; None stands for figures that nobody could measure."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    number = float(value)
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None


def _compact(text: str) -> str:
    """Put innermost lists and objects on one line: fewer lines, and readable differences."""
    import re

    return re.sub(
        r"[\[{][^\[\]{}]*[\]}]", lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text
    )
