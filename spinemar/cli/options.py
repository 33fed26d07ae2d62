"""Options of `spinemar` itself."""

from __future__ import annotations

from typing import Annotated

import typer

from spinemar import __version__


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
