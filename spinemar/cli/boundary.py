"""Where errors become one sentence and an exit code; no traceback passes here."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from spinemar.base.explain import explained
from spinemar.cli.console import open_missing_streams, print_json, printable, stderr
from spinemar.errors import CancelledError, InputError, SpinemarError

_INTERRUPTED = 130  # what a shell calls ended by Ctrl+C
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
    try:
        build_app()(args=arguments, prog_name="spinemar")
    except SystemExit as stop:
        return _code_of(stop, arguments)
    except BrokenPipeError:
        # The reader of our output (head, less) went away: no fault, but nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as error:
        return _tell(_explained(error), arguments)
    return 0


def _explained(error: BaseException) -> SpinemarError:
    """Put any error into one sentence and a remedy."""
    if os.environ.get(_DEBUG) and not isinstance(error, SpinemarError | KeyboardInterrupt):
        traceback.print_exception(error)
    return explained(error, f"Please report it; {_DEBUG}=1 shows where it happened.")


def _tell(error: SpinemarError, arguments: list[str]) -> int:
    from rich.text import Text

    problem = Text.assemble(("Error:", "bold red"), f" {printable(error.problem)}")
    stderr().print(problem, highlight=False)
    if error.remedy:
        stderr().print(printable(error.remedy), highlight=False)
    if "--json" in arguments:
        _tell_json(error)
    return error.exit_code


def _code_of(stop: SystemExit, arguments: list[str]) -> int:
    code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if code == _INTERRUPTED:
        return _tell(CancelledError(), arguments)
    if code == InputError.exit_code and "--json" in arguments:
        _tell_json(InputError("The command was not understood.", "See spinemar --help."))
    return code


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
