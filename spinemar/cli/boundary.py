"""Where errors become one sentence and an exit code; no traceback passes here."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from spinemar.base.explain import explained
from spinemar.cli.console import stderr, tell_error
from spinemar.cli.streams import lasting_streams, open_missing_streams
from spinemar.errors import CancelledError, InputError, SpinemarError
from spinemar.jobs.engine.ending import ended_cancel, signals_cancel

_DEBUG = "SPINEMAR_DEBUG"


class _Interrupted(BaseException):
    """A signal that asks to stop.

    No KeyboardInterrupt: Python notes one that passes through `exec`, as all that defines a
    dataclass does, and ends by that signal in the end, whatever exit code it was given.
    """


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
    json = "--json" in arguments
    last_words = partial(tell_error, ended_cancel(), json=json)
    with lasting_streams() as check:
        try:
            with signals_cancel(_interrupt, last_words):
                code = _run(build_app, arguments)
                if code == 0:
                    check()
        except (Exception, KeyboardInterrupt, _Interrupted) as error:
            with signals_cancel(_nothing, last_words):  # it ends already
                code = tell_error(_explained(error), json=json)
    return code


def _run(build_app: Callable[[], Any], arguments: list[str]) -> int:
    """Run the application with its own words about a command that it does not understand."""
    import typer

    try:
        # Not standalone, so that what others wrote (names of files) passes our filter alone.
        code = build_app()(args=arguments, prog_name="spinemar", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt, _Interrupted) as error:
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
    told = InputError(error.format_message(), f"See {command} --help.")
    return tell_error(told, json="--json" in arguments)


def _explained(error: BaseException) -> SpinemarError:
    """Put any error into one sentence and a remedy."""
    if isinstance(error, _Interrupted):
        return CancelledError()
    if os.environ.get(_DEBUG) and not isinstance(error, SpinemarError | KeyboardInterrupt):
        for line in "".join(traceback.format_exception(error)).splitlines():
            stderr().print(line, highlight=False)
    return explained(error, f"Please report it; {_DEBUG}=1 shows where it happened.")


def _interrupt() -> None:
    """Stop what the main thread does, outside of what asks whether it was cancelled."""
    if threading.current_thread() is threading.main_thread():
        raise _Interrupted


def _nothing() -> None:
    """Ask nobody."""
