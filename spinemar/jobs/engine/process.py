"""The side that starts a worker: poll it for events, cancel it, learn why it died."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from spinemar.base.interpreter import choose_interpreter, worker_command, worker_environment
from spinemar.errors import CancelledError, FaultError, SpinemarError
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.process_tree import end_process_tree, start_process_tree

_SECONDS_TO_STOP = 1.2
_LOG_LINES = 200

Event = Mapping[str, Any]


def start_worker(command: Sequence[str] | None = None) -> subprocess.Popen[str]:
    """Start a worker process, which waits for its job on stdin.

    Raises
    ------
    FaultError
        If the process cannot be started.
    """
    command = command or worker_command(choose_interpreter())
    try:
        return start_process_tree(command, worker_environment())
    except OSError as error:
        raise FaultError(
            f"The worker could not be started ({error.strerror or error}).",
            "Check the installation; the log names the command.",
        ) from error


class JobProcess:
    """One job in a worker process.

    Nothing here blocks: threads read the worker's output, and `poll` hands over what has come.

    Parameters
    ----------
    job : mapping
        The job without its schema.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    waiting : Popen, optional
        A worker that was started before and waits for a job (`StandbyWorker.take`).
    """

    def __init__(
        self,
        job: Mapping[str, Any],
        command: Sequence[str] | None = None,
        waiting: subprocess.Popen[str] | None = None,
    ) -> None:
        self._process = waiting or start_worker(command)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._ended = False
        self._cancelled = False
        # The reader of events waits for the other one at the end, so that has to run before it.
        self._log_reader = threading.Thread(target=self._read_log, daemon=True)
        self._log_reader.start()
        threading.Thread(target=self._read_events, daemon=True).start()
        self._send(json.dumps({"schema": protocol.SCHEMA, **job}, default=protocol.plain))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the last event has not been handed over yet."""
        return not self._ended

    @property
    def log(self) -> str:
        """The last lines that the worker and its libraries wrote to stderr."""
        return "\n".join(self._log)

    def poll(self) -> list[Event]:
        """Return the events that came since the last call; the last one of all is an ending."""
        events: list[Event] = []
        while not self._ended:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                break
            events.append(event)
            self._ended = event["event"] in protocol.ENDINGS
        return events

    def wait(self, seconds: float | None = None) -> Event:
        """Return the ending of the job; for programs that have nothing else to do.

        Raises
        ------
        queue.Empty
            After `seconds` without one.
        """
        while not self._ended:
            event = self._events.get(timeout=seconds)
            self._ended = event["event"] in protocol.ENDINGS
        return event

    def cancel(self) -> None:
        """Ask the worker to stop; end it with its children if it does not within 1.2 s."""
        if self._ended or self._cancelled:
            return
        self._cancelled = True
        self._send(protocol.CANCEL)
        timer = threading.Timer(_SECONDS_TO_STOP, self._end_if_running)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """End the worker at once if it still runs; for a program that quits."""
        self._cancelled = True
        self._end_if_running()

    def _end_if_running(self) -> None:
        if self._process.poll() is None:
            end_process_tree(self._process)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone: the reader tells
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line.rstrip())

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        ended = False
        for line in self._process.stdout:
            event = protocol.decode(line)
            if event is None:
                self._log.append(line.rstrip())
            elif not ended:
                self._events.put(event)
                ended = event["event"] in protocol.ENDINGS
        code = self._process.wait()
        for stream in (self._process.stdout, self._process.stdin):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        if not ended:
            self._events.put(self._unexpected_end(code))

    def _unexpected_end(self, code: int) -> Event:
        if self._cancelled:
            return _event(CancelledError())
        self._log_reader.join(timeout=1.0)
        last = next((line for line in reversed(self._log) if line.strip()), "")
        error = FaultError(
            f"The worker process ended unexpectedly ({_why(code)}).",
            "Nothing was changed; try again." + (f" Its last words: {last}" if last else ""),
        )
        return _event(error)


def run_job(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a job in a worker and wait for its result.

    Raises
    ------
    SpinemarError
        The error that the worker reported.
    """
    process = JobProcess(job)
    try:
        ending = process.wait()
    finally:
        process.close()
    if ending["event"] != "done":
        raise protocol.error_of(ending)
    result: Mapping[str, Any] = ending["result"]
    return result


def _event(error: SpinemarError) -> Event:
    event: Event = json.loads(protocol.error_line(error))
    return event


def _why(code: int) -> str:
    """Say what an exit code means, in words where there are some."""
    import signal

    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    words = {"SIGKILL": "killed, perhaps for lack of memory", "SIGSEGV": "crashed"}
    return words.get(name, f"signal {name}")
