"""Busy time by stage, over all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds that threads spend in named stages.

    Stages nest: the inner one's time does not count for the outer. Threads work side by side,
    so the stages together may last longer than the total, which is wall time.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()
        self._lock = threading.Lock()
        self._inner = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside the block as `name`."""
        before = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            with self._lock:
                own = passed - self._inner.seconds
                self.seconds[name] = self.seconds.get(name, 0.0) + own
            self._inner.seconds = before + passed

    def finished(self) -> dict[str, float]:
        """All stages and the total, rounded to a millisecond."""
        total = time.perf_counter() - self._start
        return {k: round(v, 3) for k, v in {**self.seconds, "total": total}.items()}
