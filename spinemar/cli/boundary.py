"""Where errors become one sentence and an exit code; no traceback passes here."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from spinemar.base.explain import explained
from spinemar.cli.console import print_json, printable, stderr
from spinemar.cli.streams import lasting_streams, open_missing_streams
from spinemar.errors import CancelledError, InputError, SpinemarError

_DEBUG = "SPINEMAR_DEBUG"


def run(build_app: Callable[[], Any], arguments: list[str]) -> int:
    """Run the application.

    Parameters
    ----------
    build_app : callable
        Makes the typer application.
    arguments : list of str
        Without the program's name.

    Returns
    -------
    int
        0 done, 1 a fault of ours or of the machine, 2 bad input or usage, 3 cancelled.
    """
    open_missing_streams()
    with lasting_streams() as check:
        try:
            code = _run(build_app, arguments)
            if code == 0:
                check()
        except (Exception, KeyboardInterrupt) as error:
            code = _tell(_explained(error), arguments)
    return code


def _run(build_app: Callable[[], Any], arguments: list[str]) -> int:
    """Run the application with its own words about a command that it does not understand."""
    import typer

    try:
        # Not standalone, so that what others wrote (names of files) passes our filter alone.
        code = build_app()(args=arguments, prog_name="spinemar", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt) as error:
        raise CancelledError from error
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _tell_usage(error, arguments)
    return code if isinstance(code, int) else 0


def _tell_usage(error: Any, arguments: list[str]) -> int:
    """Show the help that was asked for by giving nothing, else what was not understood."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return InputError.exit_code
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "spinemar"
    return _tell(InputError(error.format_message(), f"See {command} --help."), arguments)


def _explained(error: BaseException) -> SpinemarError:
    """Put any error into one sentence and a remedy."""
    if os.environ.get(_DEBUG) and not isinstance(error, SpinemarError | KeyboardInterrupt):
        for line in "".join(traceback.format_exception(error)).splitlines():
            stderr().print(line, highlight=False)
    return explained(error, f"Please report it; {_DEBUG}=1 shows where it happened.")


def _tell(error: SpinemarError, arguments: list[str]) -> int:
    from rich.text import Text

    problem = Text.assemble(("Error:", "bold red"), f" {printable(error.problem)}")
    stderr().print(problem, highlight=False)
    if error.remedy:
        stderr().print(error.remedy, highlight=False)
    if "--json" in arguments:
        _tell_json(error)
    return error.exit_code


def _tell_json(error: SpinemarError) -> None:
    print_json(
        {
            "status": "error",
            "error": type(error).__name__,
            "problem": error.problem,
            "remedy": error.remedy,
            "exit_code": error.exit_code,
        }
    )
