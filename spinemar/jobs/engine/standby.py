"""A worker that is started before it is needed, so that a quick job need not wait for imports.

It still does one job and ends, as every worker does: a crash loses nothing, and memory is freed.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence

from spinemar.base.interpreter import choose_interpreter, worker_command
from spinemar.errors import FaultError
from spinemar.jobs.engine.process import start_worker
from spinemar.jobs.engine.process_tree import end_process_tree


class StandbyWorker:
    """Keeps at most one worker waiting.

    Parameters
    ----------
    kind : str
        The kind of job it gets ready for.
    command : sequence of str, optional
        Command line of a worker; by default this Python's.
    """

    def __init__(self, kind: str, command: Sequence[str] | None = None) -> None:
        self._command = [*(command or worker_command(choose_interpreter())), "--warm", kind]
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The waiting worker's process id; None if none waits."""
        return self._process.pid if self._alive() and self._process is not None else None

    def prepare(self) -> None:
        """Start a worker unless one waits; the job tells where none can."""
        if not self._alive():
            with contextlib.suppress(FaultError):
                self._process = start_worker(self._command)

    def take(self) -> subprocess.Popen[str] | None:
        """Hand over the waiting worker for a job; None if none waits."""
        process = self._process if self._alive() else None
        self._process = None
        return process

    def close(self) -> None:
        """End the waiting worker."""
        process = self.take()
        if process is None:
            return
        end_process_tree(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None
