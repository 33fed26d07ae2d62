"""The .json file beside a corrected volume: how it was made, and whether it is still current."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinemar.base.files.left_over import full_suffix, settle_left_over
from spinemar.base.files.sets import file_set, is_current
from spinemar.base.json_text import read_json
from spinemar.errors import InputError
from spinemar.jobs.engine.protocol import finite

if TYPE_CHECKING:
    from spinemar.mar.result import CorrectionResult


def sidecar_path(output: Path) -> Path:
    """Where the facts about `output` are written."""
    return output.with_name(output.name.removesuffix(full_suffix(output)) + ".json")


def check_sidecar(output: Path) -> None:
    """Refuse an output beside which the facts would replace a file that is no such facts.

    Raises
    ------
    InputError
        Say, for a plan of the same name, or for the header of raw data.
    """
    beside = sidecar_path(output)
    if beside.exists() and "provenance" not in (read_sidecar(output) or {}):
        raise InputError(
            f"{beside.name} exists already and would be replaced by the facts about {output.name}.",
            "Choose another name for the result.",
        )


def sidecar_facts(source: Path, output: Path, result: CorrectionResult) -> dict[str, Any]:
    """Return what is said of a corrected file: the result's facts, and what it was made of."""
    return {"status": "done", "input": str(source), "output": str(output), **result.facts()}


def write_with_sidecar(
    output: Path,
    result: CorrectionResult,
    facts: Mapping[str, Any],
    *,
    outline: Path | None = None,
    agreement: Path | None = None,
    uncertainty: Path | None = None,
) -> dict[str, Any]:
    """Write a corrected volume and the facts about it, to appear together.

    Parameters
    ----------
    output : Path
    result : CorrectionResult
    facts : mapping
        From `sidecar_facts`, and what else is to be said.
    outline : Path, optional
        Label map of the metal's outline, as it was put back.
    agreement : Path, optional
        Label map of how far the earlier CT was believed, percent.
    uncertainty : Path, optional
        Label map of how far each value may be off, HU.

    Returns
    -------
    dict
        The facts as written: with the SHA-256 of each file by its name.

    Raises
    ------
    InputError, FaultError
        If something cannot be written; nothing was changed then.
    """
    from spinemar.io import write_labels, write_volume
    from spinemar.volume import LabelVolume

    maps = {
        outline: result.metal_outline,
        agreement: result.agreement_percent,
        uncertainty: result.uncertainty_in_every_slice,
    }
    with file_set(sidecar_path(output)) as files:
        for path, values in maps.items():
            if path is not None:
                labels = LabelVolume(values.astype("int16"), result.volume.ijk_to_ras)
                write_labels(path, labels, place=files.place)
        write_volume(output, result.volume, place=files.place)
        said = {**facts, "sha256": files.sha256()}
        with files.place(sidecar_path(output)) as temporary:
            temporary.write_text(facts_text(said), encoding="utf-8")
    return said


def read_current_sidecar(output: Path) -> Mapping[str, Any] | None:
    """Read the facts about `output`; None where they are not about this very file.

    Facts of a version that stated no hash are about no file that can be told.
    """
    facts = read_sidecar(output)
    if facts is None or not is_current(output, facts.get("sha256")):
        return None
    return facts


def read_sidecar(output: Path) -> Mapping[str, Any] | None:
    """Read what lies beside `output` as facts; None where there are none to be read."""
    return read_facts(sidecar_path(output))


def facts_text(said: Mapping[str, Any]) -> str:
    """Return facts as the text of their file."""
    return json.dumps(finite(said), indent=2) + "\n"


def read_facts(path: Path) -> Mapping[str, Any] | None:
    """Read a file of facts, what a killed writer left of its set settled first; None of no such."""
    try:
        settle_left_over(path)
        content = read_json(path, f"file {path.name}")
    except (OSError, InputError):
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
