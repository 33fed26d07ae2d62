"""Options of `spinemar` itself, and those that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemar import __version__

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Overwrite = Annotated[bool, typer.Option(help="Replace files that exist.")]
Series = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="Which series, where a DICOM folder holds several."),
]
EarlierSeries = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="Which series of the earlier CT's folder.")
]
EarlierLabels = Annotated[
    Path | None, typer.Option(help="The earlier CT's vertebrae; segmented by default.")
]
EarlierCts = Annotated[
    list[Path] | None,
    typer.Option(help="DICOM folder with earlier CTs; each scan takes its patient's. Repeatable."),
]
Workers = Annotated[int, typer.Option(min=1, help="Local processes.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, for many machines.")
]
CatalogueFiles = Annotated[
    list[Path] | None, typer.Option(help="Catalogue of your own. Repeatable.")
]
Labels = Annotated[
    Path | None,
    typer.Option(help="Segmented vertebrae; without them the spine is segmented here."),
]
Naming = Annotated[
    str,
    typer.Option(
        help="Numbers in LABELS: auto (by the file's names first), verse, totalsegmentator, "
        "totalsegmentator-v1, or 1=L1,2=L2."
    ),
]
Frames = Annotated[
    Path | None,
    typer.Option(
        help="Frames that `spinemar segment --frames` wrote with LABELS, taken as they are."
    ),
]
FirstLevel = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="Name of the uppermost vertebra: it settles the levels, but a sacrum in LABELS "
        "stays S1.",
    ),
]
PlanReport = Annotated[
    Path | None, typer.Option(help="Folder for plan.html with pictures, and screws.csv.")
]
SurfaceScale = Annotated[
    float,
    typer.Option(
        metavar="MM",
        help="Millimetres of one unit in a plan's surface files: 1000 for metres, 25.4 for inches.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spinemar {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Remove metal artifacts from spine CT."""
