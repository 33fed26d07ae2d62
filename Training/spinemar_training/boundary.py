"""Where errors of the training commands become one sentence and an exit code."""

from __future__ import annotations

from typing import NoReturn

import typer

from spinemar.base.extras import missing_package
from spinemar.base.privacy import keep_matplotlib_out_of_home, keep_to_this_machine
from spinemar.cli.console import printable
from spinemar.errors import SpinemarError


def run(app: typer.Typer) -> None:
    """Run a command line; an error is a sentence on stderr and an exit code.

    Raises
    ------
    SystemExit
        With the code of the error.
    """
    keep_to_this_machine()
    keep_matplotlib_out_of_home()
    try:
        app()
    except ImportError as missing:
        told = missing_package(missing, "Training")
        if told is None:
            raise
        _end(told)
    except SpinemarError as error:
        _end(error)


def _end(error: SpinemarError) -> NoReturn:
    told = f"Error: {printable(error.problem)}\n{printable(error.remedy or '')}"
    typer.echo(told.rstrip(), err=True)
    raise SystemExit(error.exit_code) from None
