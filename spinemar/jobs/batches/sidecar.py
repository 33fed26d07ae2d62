"""The .json file beside a corrected volume: how it was made, and whether it is still current."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinemar.base.atomic_files import atomic_path, full_suffix
from spinemar.errors import InputError
from spinemar.jobs.engine.protocol import finite

if TYPE_CHECKING:
    from spinemar.mar.result import CorrectionResult


def _sidecar_path(output: Path) -> Path:
    """Where the facts about `output` are written."""
    return output.with_name(output.name.removesuffix(full_suffix(output)) + ".json")


def check_sidecar(output: Path) -> None:
    """Refuse an output beside which the facts would replace a file that is no such facts.

    Raises
    ------
    InputError
        Say, for a plan of the same name, or for the header of raw data.
    """
    beside = _sidecar_path(output)
    if beside.exists() and "provenance" not in (read_sidecar(output) or {}):
        raise InputError(
            f"{beside.name} exists already and would be replaced by the facts about {output.name}.",
            "Choose another name for the result.",
        )


def sidecar_facts(source: Path, output: Path, result: CorrectionResult) -> dict[str, Any]:
    """Return what is said of a corrected file: the result's facts, and what it was made of."""
    return {"status": "done", "input": str(source), "output": str(output), **result.facts()}


@contextmanager
def written_sidecar(output: Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Write the facts about `output`, to appear when the block, which writes it, succeeds."""
    with atomic_path(_sidecar_path(output)) as temporary:
        temporary.write_text(json.dumps(finite(facts), indent=2) + "\n", encoding="utf-8")
        yield


def read_sidecar(output: Path) -> Mapping[str, Any] | None:
    """Read the facts about `output`; None where there are none to be read."""
    try:
        content = json.loads(_sidecar_path(output).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def stamp_of(source: Path) -> dict[str, Any]:
    """Size and time of a source, to tell later whether it is still the same.

    A folder counts by its newest file and the sum of sizes.
    """
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    stats = [p.stat() for p in files]
    return {
        "files": len(stats),
        "bytes": sum(s.st_size for s in stats),
        "newest_ns": max((s.st_mtime_ns for s in stats), default=0),
    }
