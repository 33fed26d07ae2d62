"""`spinemar find-implants-batch`: the screws and rods of many postoperative CTs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinemar.cli.commands.correct import AllowReformatted, DeviceOption, MethodOption
from spinemar.cli.commands.find_implants import Material, ScrewModelOption
from spinemar.cli.console import end_batch, printable, progress_bars, stdout
from spinemar.cli.options import CatalogueFiles, EarlierCts, Json, Naming, Scheduler, Workers
from spinemar.cli.plan_inputs import read_catalogue
from spinemar.implants.checks import MATERIALS
from spinemar.mar.settings import DEVICES, METHODS, CorrectionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spinemar.jobs.batches.implants import ImplantsRow


def find_implants_batch(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="CT...",
            help="After the operation, as they were scanned; or folders that hold such and DICOM "
            "series.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the plans, implants.csv and summary.csv."),
    ],
    earlier_cts: EarlierCts = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with vertebrae, each file named as its CT; other CTs are segmented.",
        ),
    ] = None,
    naming: Naming = "auto",
    screw_model: ScrewModelOption = "generic-polyaxial",
    material: Material = MATERIALS[0],
    catalogue: CatalogueFiles = None,
    method: MethodOption = METHODS[0],
    device: DeviceOption = DEVICES[0],
    workers: Workers = 1,
    scheduler: Scheduler = None,
    allow_reformatted: AllowReformatted = False,
    json: Json = False,
) -> None:
    """Find the implants of many postoperative CTs; run it again to go on where it stopped.

    OUTPUT gets a plan for each CT, `implants.csv` with a row for each screw of the cohort, and
    `summary.csv` with a row for each CT. A CT that cannot be read or has no spine is a row of the
    summary and stops nothing; the exit code is then 1. A CT is done again only when it, its earlier
    CT, the settings or the software changed.

    Examples:

      spinemar find-implants-batch study/ -o found

      spinemar find-implants-batch after/ -o found --earlier-cts before/ --workers 2
    """
    from spinemar.jobs.batches.implants import SCREWS
    from spinemar.jobs.batches.implants import find_implants_batch as run_batch
    from spinemar.jobs.batches.items import SUMMARY
    from spinemar.postop.study import StudySettings

    correction = CorrectionSettings(method, device=device, allow_reformatted=allow_reformatted)
    with progress_bars(quiet=json) as (progress, cancel):
        rows = run_batch(
            sources,
            output.resolve(),
            StudySettings(correction, screw_model, material),
            catalogue=read_catalogue(catalogue),
            workers=workers,
            scheduler=scheduler,
            labels=labels,
            naming=naming,
            earlier=[folder.resolve() for folder in earlier_cts or ()],
            progress=progress,
            cancel=cancel,
        )
    end_batch(
        rows,
        lambda: _show(rows, output / SUMMARY, output / SCREWS),
        "The implants of {failed} of {all} CTs could not be looked for.",
        output / SUMMARY,
        json=json,
    )


def _show(rows: Sequence[ImplantsRow], *files: Path) -> None:
    from rich.table import Table

    from spinemar.jobs.batches.items import name_of

    table = Table(box=None, pad_edge=False)
    for name in ("CT", "status", "screws", "rods", "graded", "certain", "worst", "s"):
        left = name in ("CT", "status", "worst")
        table.add_column(name, justify="left" if left else "right")
    for row in rows:
        counts = map(str, (row.screws, row.rods, row.graded, row.certain))
        name = printable(name_of(row.source, row.series))
        table.add_row(name, row.status, *counts, row.worst, f"{row.seconds:.0f}")
    console = stdout()
    console.print(table)
    for row in rows:
        if row.message and row.status != "skipped":
            console.print(f"{name_of(row.source, row.series)}: {row.message}", soft_wrap=True)
    for path in files:
        console.print(str(path), highlight=False, soft_wrap=True)
