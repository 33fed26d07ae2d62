"""Results that several threads need and one of them makes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class ResultCache:
    """Keeps what was made under a key; whoever asks first makes it, the others wait.

    Making may ask for other keys. As long as no key needs itself in the end, threads that wait
    for each other's work cannot block: some thread always makes what needs nothing more.

    Parameters
    ----------
    waiting : callable, optional
        Makes the context in which a thread waits for others.
    """

    def __init__(self, waiting: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        self._made: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._waiting = waiting

    def get(
        self,
        keys: Sequence[Any],
        make: Callable[[list[Any]], Iterable[Any]],
        *,
        together: int = 1,
    ) -> list[Any]:
        """Return what belongs to `keys`, making what nobody has begun.

        Parameters
        ----------
        keys : sequence of hashable
        make : callable
            Takes the keys that are this caller's to make and gives a result for each, in
            order. If it fails, everybody who waits gets the error, and who asks later tries
            again.
        together : int
            Keys to make in one call. The rest stays free for others meanwhile.
        """
        futures: dict[Any, Future[Any]] = {}
        while True:
            with self._lock:
                mine = [k for k in dict.fromkeys(keys) if k not in futures and k not in self._made]
                mine = mine[:together]
                self._made.update((key, Future()) for key in mine)
                futures.update((k, self._made[k]) for k in keys if k in self._made)
            if not mine:
                break
            self._fulfil(mine, [futures[key] for key in mine], make)
        wanted = [futures[key] for key in keys]
        if all(future.done() for future in wanted):
            return [future.result() for future in wanted]
        with self._waiting():
            return [future.result() for future in wanted]

    def _fulfil(
        self,
        keys: list[Any],
        futures: list[Future[Any]],
        make: Callable[[list[Any]], Iterable[Any]],
    ) -> None:
        try:
            for future, result in zip(futures, make(keys), strict=True):
                future.set_result(result)
        except BaseException as error:
            with self._lock:
                for key, future in zip(keys, futures, strict=True):
                    if not future.done():
                        self._made.pop(key, None)
                        future.set_exception(error)
            raise

    def forget(self, wanted: Callable[[Any], bool]) -> None:
        """Drop every key for which `wanted` is true."""
        with self._lock:
            for key in [key for key in self._made if wanted(key)]:
                del self._made[key]

    def __len__(self) -> int:
        return len(self._made)
