"""Entry point of `spinemar`: the table of commands and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from spinemar.base.privacy import keep_to_this_machine

COMMANDS: tuple[tuple[str, str], ...] = (
    # (command, "module:function"), in the order that `spinemar --help` shows
    ("correct", "spinemar.cli.commands.correct:correct"),
    ("correct-batch", "spinemar.cli.commands.correct_batch:correct_batch"),
    ("segment", "spinemar.cli.commands.segment:segment"),
    ("plan", "spinemar.cli.commands.plan:plan"),
    ("grade", "spinemar.cli.commands.grade:grade"),
    ("find-implants", "spinemar.cli.commands.find_implants:find_implants"),
    (
        "find-implants-batch",
        "spinemar.cli.commands.find_implants_batch:find_implants_batch",
    ),
    ("voxelize", "spinemar.cli.commands.voxelize:voxelize"),
    ("simulate", "spinemar.cli.commands.simulate:simulate"),
    ("evaluate", "spinemar.cli.commands.evaluate:evaluate"),
    ("benchmark", "spinemar.cli.commands.benchmark:app"),
    ("dataset", "spinemar.cli.commands.dataset:app"),
    ("demo", "spinemar.cli.commands.demo:demo"),
    ("sample-data", "spinemar.cli.commands.sample_data:sample_data"),
)


def build_app() -> Any:
    """Put the commands together; a table entry may also name a `typer.Typer` of its own."""
    import typer

    from spinemar.cli.options import root

    app = typer.Typer(
        name="spinemar",
        help="Remove metal artifacts from spine CT.",
        epilog="For research. Not a medical device, not for diagnosis or treatment.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(root)
    for name, place in COMMANDS:
        module, function = place.split(":")
        command = getattr(import_module(module), function)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, no_args_is_help=False)(command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (0, 1, 2 or 3)."""
    keep_to_this_machine()
    try:
        from spinemar.cli.boundary import run
    except ModuleNotFoundError as missing:
        print(f"spinemar needs '{missing.name}'. Run: pip install typer rich", file=sys.stderr)
        return 2
    return run(build_app, list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
