"""The kinds of job a worker knows: a table and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from spinemar.base.json_text import known_ones
from spinemar.errors import InputError
from spinemar.progress import CancelToken, ProgressCallback

Job = Mapping[str, Any]
JobFunction = Callable[[Job, ProgressCallback, CancelToken], Mapping[str, Any]]

KINDS: Mapping[str, str] = {
    # kind of job: "module:function"; the function takes (job, progress, cancel)
    "correct": "spinemar.jobs.requests.correct:run",
    "find-metal": "spinemar.jobs.requests.find_metal:run",
    "batch": "spinemar.jobs.batches.batch:run",
    "sample-files": "spinemar.jobs.requests.sample_files:run",
    "sample-scan": "spinemar.jobs.requests.sample_scan:run",
    "segment-spine": "spinemar.jobs.requests.segment_spine:run",
    "spine-surfaces": "spinemar.jobs.requests.spine_surfaces:run",
    "plan": "spinemar.jobs.requests.plan:run",
    "outline-pelvis": "spinemar.jobs.requests.outline_pelvis:run",
    "voxelize": "spinemar.jobs.requests.voxelize:run",
    "scan": "spinemar.jobs.requests.scan:run",
    "plan-report": "spinemar.jobs.requests.plan_report:run",
    "find-implants": "spinemar.jobs.requests.find_implants:run",
    "write-series": "spinemar.jobs.requests.write_series:run",
    "write-implants": "spinemar.jobs.requests.write_implants:run",
    "pairs": "spinemar.jobs.requests.pairs:run",
}


def function_of(kind: str) -> JobFunction:
    """Find what runs a kind of job."""
    module, function = _place(kind)
    found: JobFunction = getattr(import_module(module), function)
    return found


def warm_up(kind: str) -> None:
    """Load what a kind of job needs, as far as its module knows how to (`warm_up` there)."""
    module, _ = _place(kind)
    ready: Callable[[], None] = getattr(import_module(module), "warm_up", lambda: None)
    ready()


def _place(kind: str) -> list[str]:
    if kind not in KINDS:
        raise InputError(f"There is no job called '{kind}'.", known_ones(kind, KINDS))
    return KINDS[kind].split(":")
