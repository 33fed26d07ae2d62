"""The job "pairs": a store of training pairs, made or completed, with a contact sheet.

::

    {"schema": "spinemar-job/1", "kind": "pairs", "store": PATH, "pairs": 50, "seed": 0,
     "inputs": [{CtEntry by name}],
     "settings": {PairSettings by name}, "workers": 1, "scheduler": null, "block_pairs": 8,
     "sheets": PATH or null}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.pair_settings import PairSettings
from spinemar.jobs.engine.request import request_of
from spinemar.progress import CancelToken, Progress, ProgressCallback


@dataclass(frozen=True)
class PairsRequest:
    """The job "pairs"."""

    store: Path
    inputs: tuple[CtEntry, ...]
    pairs: int = 1
    seed: int = 0
    settings: PairSettings = field(default_factory=PairSettings)
    workers: int = 1
    scheduler: str | None = None
    block_pairs: int = 8
    sheets: Path | None = None


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; the same job goes on where a killed one stopped.

    Raises
    ------
    InputError
        If the job is none, or as `make_store`.
    """
    from spinemar.dataset.make import make_store
    from spinemar.dataset.storage.sheets import draw_sheets

    asked = request_of(PairsRequest, job)
    made = make_store(
        asked.store,
        asked.inputs,
        asked.pairs,
        settings=asked.settings,
        seed=asked.seed,
        workers=asked.workers,
        scheduler=asked.scheduler,
        block_pairs=asked.block_pairs,
        progress=progress,
        cancel=cancel,
    )
    sheets = []
    if asked.sheets is not None:
        progress(Progress("Drawing the contact sheet", 0, 1))
        sheets = draw_sheets(asked.store, asked.sheets, 24)
    return {
        "pairs": made.pairs,
        "made_now": sum(one.pairs for one in made.done),
        "found_blocks": made.found_blocks,
        "sheets": [str(path) for path in sheets],
    }
