"""`spinemar correct-batch`: remove the metal artifacts of many CTs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinemar.cli.commands.correct import (
    AllowCorrected,
    AllowReformatted,
    DeviceOption,
    MethodOption,
    Model,
)
from spinemar.cli.console import end_batch, printable, progress_bars, stdout
from spinemar.cli.options import EarlierCts, Json, Scheduler, Workers
from spinemar.mar.settings import DEVICES, METHODS, THRESHOLD_RANGE_HU, CorrectionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spinemar.jobs.batches.items import BatchRow


def correct_batch(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="CTs, or folders that hold CTs and DICOM series.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for results and summary.csv.")
    ],
    method: MethodOption = METHODS[0],
    metal_threshold: Annotated[
        float | None,
        typer.Option(
            min=THRESHOLD_RANGE_HU[0], max=THRESHOLD_RANGE_HU[1], help="HU; automatic by default."
        ),
    ] = None,
    model: Model = None,
    device: DeviceOption = DEVICES[0],
    earlier_cts: EarlierCts = None,
    suffix: Annotated[str, typer.Option(help="Format of the results.")] = ".nrrd",
    workers: Workers = 1,
    scheduler: Scheduler = None,
    allow_reformatted: AllowReformatted = False,
    allow_corrected: AllowCorrected = False,
    json: Json = False,
) -> None:
    """Remove the metal artifacts of many CTs; run it again to go on where it stopped.

    A CT that cannot be corrected is a row of the summary and stops nothing; the exit code is then
    1. A result is made again only when its source, the settings or the software changed.

    Examples:

      spinemar correct-batch study/ -o corrected

      spinemar correct-batch a.nrrd b.nii.gz DICOM/series7 -o corrected --method nmar

      spinemar correct-batch study/ -o corrected --scheduler tcp://head:8786
    """
    from spinemar.jobs.batches.batch import correct_batch as run_batch
    from spinemar.jobs.batches.items import SUMMARY
    from spinemar.mar.inpainters.methods import find_model

    settings = CorrectionSettings(
        method=method,
        device=device,
        metal_threshold_hu=metal_threshold,
        model=find_model(model).resolve() if model else None,
        allow_reformatted=allow_reformatted,
        allow_corrected=allow_corrected,
    )
    with progress_bars(quiet=json) as (progress, cancel):
        rows = run_batch(
            sources,
            output.resolve(),
            settings,
            suffix=suffix,
            workers=workers,
            scheduler=scheduler,
            earlier=[folder.resolve() for folder in earlier_cts or ()],
            progress=progress,
            cancel=cancel,
        )
    end_batch(
        rows,
        lambda: _show(rows, output / SUMMARY),
        "{failed} of {all} volumes could not be corrected.",
        output / SUMMARY,
        json=json,
    )


def _show(rows: Sequence[BatchRow], summary: Path) -> None:
    from rich.table import Table

    from spinemar.jobs.batches.items import name_of

    table = Table(box=None, pad_edge=False)
    for name in ("volume", "status", "slices", "change HU", "s"):
        table.add_column(name, justify="right" if name in ("slices", "change HU", "s") else "left")
    for row in rows:
        cells = (str(row.slices_corrected), f"{row.change_hu:.1f}", f"{row.seconds:.1f}")
        table.add_row(printable(name_of(row.source, row.series)), row.status, *cells)
    console = stdout()
    console.print(table)
    for row in rows:
        if row.status == "failed":
            console.print(f"{name_of(row.source, row.series)}: {row.message}", soft_wrap=True)
    console.print(f"Summary: {summary}", highlight=False, soft_wrap=True)
