"""`spinemar demo`: everything on the sample CT, with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemar.cli.console import print_json, progress_bars, score_lines, stdout
from spinemar.cli.options import Json, Overwrite
from spinemar.cli.outputs import refuse_existing_in


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for volumes and report.html.")
    ] = Path("demo"),
    levels: Annotated[
        str, typer.Option(metavar="T11-L1", help="Levels to plan screws and rods for.")
    ] = "L1-L2",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Put screws and rods into the sample CT, scan it, correct the scan, compare with the truth.

    Examples:

      spinemar demo -o demo

      spinemar demo -o demo --levels T11-L1
    """
    from spinemar.demo.run import FILES, run_demo

    refuse_existing_in(output, FILES, overwrite=overwrite)
    with progress_bars(quiet=json) as (progress, cancel):
        result = run_demo(output, levels=levels, progress=progress, cancel=cancel)
    if json:
        print_json(
            {
                "status": "done",
                "report": result.report,
                "files": result.files,
                "scores": {name: scores.to_json() for name, scores in result.scores.items()},
            }
        )
        return
    console = stdout()
    console.print(score_lines(result.scores))
    console.print(f"Report: {result.report}", highlight=False, soft_wrap=True)
