"""How far a command is, a line a minute: for logs, where no bar can be drawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from spinemar.progress import Progress

_MINUTE_S = 60.0


class ProgressLines:
    """Says how far the work is and how long the rest may take, whether or not it is heard of.

    Parameters
    ----------
    say : callable
        Takes a line.
    every_s : float
        Seconds between lines.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        every_s: float = _MINUTE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every_s = every_s
        self._clock = clock
        self._began = self._stage_began = clock()
        self._first = self._last = Progress("", 0, 0)
        self._over = threading.Event()
        self._speaker = threading.Thread(target=self._speak, daemon=True)

    def note(self, progress: Progress) -> None:
        """Take a report of progress."""
        if progress.stage != self._first.stage:
            self._first, self._stage_began = progress, self._clock()
        self._last = progress

    def line(self) -> str:
        """Return what there is to say now.

        What is done before a stage's first report (found by a run that goes on) tells nothing of
        its pace.
        """
        now, last = self._clock(), self._last
        elapsed = f"{_minutes(now - self._began)} so far"
        if not last.stage:
            return f"At work, {elapsed}."
        share = f"{last.done} of {last.total}" if last.total else "at work"
        text = f"{last.stage}: {share}, {elapsed}"
        made = last.done - self._first.done
        if made <= 0 or last.done >= last.total:
            return f"{text}."
        left = (now - self._stage_began) / made * (last.total - last.done)
        return f"{text}, about {_minutes(left)} left."

    def __enter__(self) -> ProgressLines:
        self._speaker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._speaker.join()

    def _speak(self) -> None:
        while not self._over.wait(self._every_s):
            self._say(self.line())


def _minutes(seconds: float) -> str:
    """Write a duration as people say it.

    Examples
    --------
    >>> _minutes(95), _minutes(5400), _minutes(20)
    ('2 min', '1 h 30 min', '1 min')
    """
    minutes = max(round(seconds / 60), 1)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
