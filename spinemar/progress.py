"""Progress and cancellation, the same for command line, worker process and tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from spinemar.errors import CancelledError


@dataclass(frozen=True)
class Progress:
    """One step of a long job: `done` of `total` units of `stage`."""

    stage: str
    done: int
    total: int

    @property
    def fraction(self) -> float:
        """Share of the stage that is done, between 0 and 1."""
        return self.done / self.total if self.total else 1.0


ProgressCallback = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Take a progress report and do nothing with it."""


class CancelToken:
    """Thread-safe request to stop; long jobs ask it between units of work.

    Examples
    --------
    >>> token = CancelToken()
    >>> token.cancel()
    >>> token.cancelled
    True
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop at its next unit of work."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the job to stop."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise `CancelledError` if somebody asked the job to stop."""
        if self.cancelled:
            raise CancelledError
