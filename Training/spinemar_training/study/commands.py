"""`spinemar-train study`: every study from the command line; results are JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help=__doc__)

Config = Annotated[Path, typer.Argument(help="The study's YAML file.")]
Result = Annotated[Path, typer.Option("-o", "--output", help="JSON file of the results.")]
Work = Annotated[Path, typer.Option(help="Folder for scans and corrections; used again.")]
WORK = Path("runs/study")


@app.command()
def scenes(config: Config, work: Work = WORK) -> None:
    """Scan and correct the scenes that findings, width and hu read."""
    from spinemar_training.study.bank import fill_bank
    from spinemar_training.study.methods import study_methods
    from spinemar_training.study.settings import BankSettings, load_study

    settings = load_study(config, BankSettings)
    fill_bank(settings, study_methods(models=settings.models), work)
