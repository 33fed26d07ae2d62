"""Where errors of the training commands become one sentence and an exit code."""

from __future__ import annotations

import typer

from spinemar.base.privacy import keep_matplotlib_out_of_home, keep_to_this_machine
from spinemar.errors import SpinemarError

EXTRA = ("torch", "lightning", "monai", "tensorboard", "onnx", "onnxscript", "yaml")
"""What the extra `training` brings; a plain install has none of it."""


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
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in EXTRA:
            raise
        typer.echo(
            f"Error: training needs the package {missing.name}, which is not installed.\n"
            'Install it with the extra: pip install "spinemar[training]".',
            err=True,
        )
        raise SystemExit(2) from None
    except SpinemarError as error:
        typer.echo(f"Error: {error.problem}\n{error.remedy or ''}".rstrip(), err=True)
        raise SystemExit(error.exit_code) from None
