"""The job "pairs": a store of training pairs, made or completed, with a contact sheet.

::

    {"schema": "spinemar-job/1", "kind": "pairs", "store": PATH, "pairs": 50, "seed": 0,
     "inputs": [{"ct": PATH, "patient": NAME, "labels": PATH or null, "plan": PATH or null,
                 "catalogue": PATH or null}],
     "settings": {PairSettings by name}, "workers": 1, "scheduler": null, "block_pairs": 8,
     "sheets": PATH or null}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinemar.errors import InputError
from spinemar.progress import CancelToken, Progress, ProgressCallback


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job; the same job goes on where a killed one stopped.

    Raises
    ------
    InputError
        If the job names no store, or as `make_store`.
    """
    from spinemar.dataset.make import make_store
    from spinemar.dataset.pair_settings import PairSettings
    from spinemar.dataset.storage.sheets import draw_sheets

    store = Path(str(job.get("store") or ""))
    if not store.name:
        raise InputError("The job names no store.", "Give the folder of the data set.")
    made = make_store(
        store,
        [_entry(one) for one in job.get("inputs") or ()],
        int(job.get("pairs", 1)),
        settings=PairSettings.from_json(job.get("settings") or {}),
        seed=int(job.get("seed", 0)),
        workers=int(job.get("workers", 1)),
        scheduler=job.get("scheduler") or None,
        block_pairs=int(job.get("block_pairs", 8)),
        progress=progress,
        cancel=cancel,
    )
    sheets = []
    if job.get("sheets"):
        progress(Progress("Drawing the contact sheet", 0, 1))
        sheets = draw_sheets(store, Path(job["sheets"]), 24)
    return {
        "pairs": made.pairs,
        "made_now": sum(one.pairs for one in made.done),
        "found_blocks": made.found_blocks,
        "sheets": [str(path) for path in sheets],
    }


def _entry(one: Mapping[str, Any]) -> Any:
    from spinemar.dataset.manifest import CtEntry

    if not one.get("ct"):
        raise InputError("An input of the data set names no CT.", "Give its path.")
    labels, landmarks, plan, catalogue = (
        Path(one[name]) if one.get(name) else None
        for name in ("labels", "landmarks", "plan", "catalogue")
    )
    return CtEntry(
        ct=Path(one["ct"]),
        patient=str(one.get("patient") or "patient"),
        labels=labels,
        landmarks=landmarks,
        plan=plan,
        source=str(one.get("source", "")),
        catalogue=catalogue,
    )
