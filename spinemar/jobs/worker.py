"""The worker process: ``python -m spinemar.jobs.worker JOB.json`` (or ``-`` for stdin).

The job is one JSON object; from stdin it is the first line, and later lines are commands. With
``--attended``, the end of stdin means that the parent is gone, and the job is cancelled. With
``--warm KIND``, the worker loads what that kind of job needs before it reads the job, so that a
worker which was started in advance has nothing left to do but the job.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from spinemar.base.explain import explained
from spinemar.base.json_text import parse_json, read_text
from spinemar.base.privacy import keep_to_this_machine
from spinemar.errors import InputError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.ending import end_after_grace, ended_cancel, signals_cancel
from spinemar.jobs.registry import function_of, warm_up
from spinemar.progress import CancelToken, Progress

_MAX_JOB_BYTES = 16 << 20
_SECONDS_BETWEEN_REPORTS = 0.05


class _Reporter:
    """Prints events; progress of one stage at most every 50 ms, but always its end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._stage = ""
        self._last = 0.0

    def line(self, text: str) -> None:
        with self._lock, suppress(OSError):  # the parent is gone: nobody reads it any more
            self._stream.write(text + "\n")
            self._stream.flush()

    def progress(self, progress: Progress) -> None:
        now = time.monotonic()
        ended = progress.done >= progress.total
        same = progress.stage == self._stage
        if same and not ended and now - self._last < _SECONDS_BETWEEN_REPORTS:
            return
        self._stage, self._last = progress.stage, now
        self.line(
            protocol.encode(
                "progress", stage=progress.stage, done=progress.done, total=progress.total
            )
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job and return its exit code (0, 1, 2 or 3)."""
    parser = argparse.ArgumentParser(prog="python -m spinemar.jobs.worker", description=__doc__)
    parser.add_argument("job", help="JSON file with the job, or - for stdin")
    parser.add_argument("--attended", action="store_true", help="cancel when stdin ends")
    parser.add_argument("--warm", metavar="KIND", help="get ready for a kind of job, then wait")
    options = parser.parse_args(arguments)
    keep_to_this_machine()
    reporter = _Reporter(_take_stdout())
    cancel = CancelToken()
    last_words = partial(reporter.line, protocol.error_line(ended_cancel()))
    with signals_cancel(cancel.cancel, last_words):
        try:
            if options.warm:
                warm_up(options.warm)
            job = _read_job(options.job)
            if options.attended or options.job == "-":
                _listen(cancel, last_words, attended=options.attended)
            result = _run(job, reporter, cancel)
        except SpinemarError as error:
            reporter.line(protocol.error_line(error))
            return error.exit_code
        reporter.line(protocol.encode("done", result=protocol.finite(result)))
    return 0


def _run(job: Mapping[str, Any], reporter: _Reporter, cancel: CancelToken) -> Mapping[str, Any]:
    kind = str(job.get("kind", ""))
    function = function_of(kind)
    reporter.line(protocol.encode("start", kind=kind, pid=os.getpid()))
    try:
        cancel.raise_if_cancelled()
        return function(job, reporter.progress, cancel)
    except SpinemarError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, Exception):
            traceback.print_exc()  # to stderr, which the parent keeps for the log
        raise explained(error) from error


def _take_stdout() -> IO[str]:
    """Keep stdout for events: what libraries print goes to stderr instead."""
    try:
        kept = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    except (OSError, ValueError):  # no real files, as under a test runner
        return sys.stdout
    return os.fdopen(kept, "w", encoding="utf-8", newline="\n")


def _read_job(source: str) -> Mapping[str, Any]:
    try:
        if source == "-":
            text = sys.stdin.readline(_MAX_JOB_BYTES)
        else:
            text = read_text(Path(source), f"job {source}", _MAX_JOB_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The job {source} cannot be read ({error}).", "Give a job's JSON file."
        ) from error
    job = parse_json(text, "job")
    if not isinstance(job, dict) or job.get("schema") != protocol.SCHEMA:
        raise InputError(
            "The job is of another version of SpineMAR.", f"Its schema must be {protocol.SCHEMA}."
        )
    return job


def _listen(cancel: CancelToken, last_words: Callable[[], None], *, attended: bool) -> None:
    """Watch stdin for commands, and for its end; what does not stop then is ended."""

    def watch() -> None:
        asked = any('"cancel"' in line for line in sys.stdin)
        if asked or attended:
            cancel.cancel()
            end_after_grace(last_words)

    threading.Thread(target=watch, name="commands", daemon=True).start()


if __name__ == "__main__":
    # A daemon thread may still wait on stdin, which a normal exit would wait for on some systems.
    code = main()
    sys.stderr.flush()
    os._exit(code)
