"""Correct many volumes: one after the other, in several processes, or on many machines.

A volume that fails is a row in the summary and stops nothing. A batch that was interrupted goes
on where it stopped: a result is not made again if the facts beside it name its hash, and the same
source, settings, model and software.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinemar.base.atomic_files import made_folder
from spinemar.base.explain import explained
from spinemar.errors import CancelledError, InputError
from spinemar.jobs.batches.earlier import with_earlier, with_or_without_earlier
from spinemar.jobs.batches.items import SUMMARY, BatchItem, BatchRow, plan_batch
from spinemar.jobs.batches.running import check_scheduler, run_batch
from spinemar.jobs.batches.sidecar import (
    check_sidecar,
    read_current_sidecar,
    read_sidecar,
    sidecar_facts,
    stamp_of,
    write_with_sidecar,
)
from spinemar.jobs.engine.request import request_of
from spinemar.mar.settings import CorrectionSettings
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress

if TYPE_CHECKING:
    from spinemar.mar.result import CorrectionResult
    from spinemar.volume import CTVolume


def correct_batch(
    sources: Sequence[str | Path],
    folder: Path,
    settings: CorrectionSettings | None = None,
    *,
    suffix: str = ".nrrd",
    workers: int = 1,
    scheduler: str | None = None,
    earlier: Sequence[str | Path] = (),
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> tuple[BatchRow, ...]:
    """Correct all volumes of `sources` into `folder`, with a summary.csv that grows with them.

    Parameters
    ----------
    sources : sequence of path
        Files, DICOM folders, or folders that hold such; of each, every series.
    folder : Path
        Made where it is missing.
    settings : CorrectionSettings, optional
    suffix : str
        Format of the results.
    workers : int
        Local processes, each with a volume in memory.
    scheduler : str, optional
        Address of a Dask scheduler whose workers see the same paths; overrides `workers`.
    earlier : sequence of path
        DICOM folders with earlier CTs: a scan takes the latest one of the same patient ID from
        before it. A scan without such a one, or whose earlier CT does not fit, is corrected
        without, and its row says so.
    progress, cancel
        Volumes that are not finished when cancelled are left out and made the next time.

    Returns
    -------
    tuple of BatchRow
        In the order of the sources.

    Raises
    ------
    InputError
        If there is nothing to do or the folder cannot be made.
    CancelledError
        After the summary was written.
    """
    chosen = settings or CorrectionSettings()
    check_scheduler(scheduler)
    folder = made_folder(folder)
    return run_batch(
        with_earlier(plan_batch(sources, folder, f"_corrected{suffix}"), earlier),
        folder / SUMMARY,
        BatchRow,
        partial(_correct_one, settings=chosen),
        _failed,
        partial(_done_before, settings=chosen),
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        cancel=cancel or CancelToken(),
    )


def _correct_one(
    item: BatchItem, settings: CorrectionSettings, cancel: CancelToken | None = None
) -> BatchRow:
    """Correct one volume of a batch; every problem but a cancel becomes a row."""
    from spinemar.io import check_writable
    from spinemar.jobs.fed_back import read_scan

    try:
        wanted = fingerprint(item, settings)
        before = _done_before(item, settings)
        if before is not None and read_current_sidecar(item.output) is not None:
            return before
        check_sidecar(item.output)
        if item.output.exists() and read_sidecar(item.output) is None:
            raise InputError(
                f"{item.output.name} exists already and is no result of a batch.",
                "Remove it, or choose another folder.",
            )
        volume = read_scan(item.source, item.series or None, settings)
        check_writable(item.output, volume)
        result, said = _corrected(item, volume, settings, cancel)
        facts = {**sidecar_facts(item.source, item.output, result), "series": item.series}
        facts["message"] = f"{facts['message']} {said}".strip()
        write_with_sidecar(item.output, result, {**facts, "batch": wanted})
    except CancelledError:
        raise
    except Exception as error:  # a fault of ours with one volume must not stop the others
        return _failed(item, str(explained(error)))
    return _row(item, facts)


def _done_before(item: BatchItem, settings: CorrectionSettings) -> BatchRow | None:
    """Return the row of a result of the same source and settings; its file is not looked into."""
    known = read_sidecar(item.output)
    if known is None or known.get("batch") != fingerprint(item, settings):
        return None
    if not item.output.is_file():
        return None
    return replace(_row(item, known), status="skipped", message="Done before.")


def _corrected(
    item: BatchItem, volume: CTVolume, settings: CorrectionSettings, cancel: CancelToken | None
) -> tuple[CorrectionResult, str]:
    """Correct with the item's earlier CT; without it where it does not fit, and say so."""
    from spinemar.mar.correct import correct_volume

    return with_or_without_earlier(
        item,
        volume,
        settings,
        lambda earlier: correct_volume(volume, settings, earlier=earlier, cancel=cancel),
    )


@dataclass(frozen=True)
class BatchRequest:
    """The job "batch"; see `correct_batch`."""

    sources: tuple[str, ...]
    folder: Path
    settings: CorrectionSettings = field(default_factory=CorrectionSettings)
    suffix: str = ".nrrd"
    workers: int = 1
    scheduler: str | None = None
    earlier: tuple[str, ...] = ()


def run(job: Mapping[str, Any], progress: ProgressCallback, cancel: CancelToken) -> dict[str, Any]:
    """Run the job "batch"; return its rows and the path of the summary."""
    asked = request_of(BatchRequest, job)
    rows = correct_batch(
        asked.sources,
        asked.folder,
        asked.settings,
        suffix=asked.suffix,
        workers=asked.workers,
        scheduler=asked.scheduler,
        earlier=asked.earlier,
        progress=progress,
        cancel=cancel,
    )
    return {"rows": [asdict(row) for row in rows], "summary": str(asked.folder / SUMMARY)}


def fingerprint(item: BatchItem, settings: CorrectionSettings) -> dict[str, Any]:
    """Return what a result depends on: source, settings, model and software."""
    import spinemar
    from spinemar.mar.inpainters.methods import manifest_sha256
    from spinemar.mar.result import PIPELINE_VERSION

    return {
        "source": stamp_of(item.source),
        "series": item.series,
        "earlier": None if item.earlier is None else stamp_of(item.earlier),
        "settings": settings.to_json(),
        "manifest": manifest_sha256(settings.model),
        "software": spinemar.__version__,
        "pipeline": PIPELINE_VERSION,
    }


def _failed(item: BatchItem, message: str) -> BatchRow:
    return BatchRow(str(item.source), str(item.output), "failed", message, series=item.series)


def _row(item: BatchItem, facts: Mapping[str, Any]) -> BatchRow:
    made, slices = facts["provenance"], facts["slices"]
    corrected = [s for s in slices if s["corrected"]]
    model = f"{made['model_name']} {made['model_version']}" if made["model_name"] else ""
    return BatchRow(
        source=str(item.source),
        output=str(item.output),
        status="done" if slices else "no metal",
        message=facts["message"],
        method=made["method"],
        model=model,
        provider=made["provider"] or "",
        slices_corrected=len(corrected),
        slices_left_alone=len(slices) - len(corrected),
        metal_mm2=round(sum(s["metal_area_mm2"] for s in slices), 1),
        change_hu=round(sum(s["change_hu"] for s in corrected) / max(len(corrected), 1), 2),
        seconds=round(facts["seconds"].get("total", 0.0), 2),
        series=item.series,
    )
