"""Slabs side by side in threads, results in order.

Transforms, filters and networks release the interpreter's lock, so slabs overlap: while one
waits for its network, another projects. Each slab does its work in one thread (or a few, on
machines with many), which keeps two cores busier than splitting every step in two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from spinemar.tomography.radon import available_threads

_MOST_WORKERS = 16

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ThreadPlan:
    """How many slabs run side by side, and on how many threads each.

    Parameters
    ----------
    workers : int
    threads_each : int
    """

    workers: int
    threads_each: int

    @classmethod
    def for_machine(cls, threads: int | None = None, most_workers: int | None = None) -> ThreadPlan:
        """Plan for the processors this process may use, or for so many threads.

        `most_workers` is for slabs that take much memory.
        """
        available = max(1, threads or available_threads())
        workers = min(available, most_workers or _MOST_WORKERS)
        return cls(workers, available // workers)


def in_order(
    job: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Iterator[_Result]:
    """Yield job(item) for every item, in order, several of them in work at a time.

    Parameters
    ----------
    job : callable
    items : iterable
        Taken only as work proceeds.
    workers : int
        Items in work at a time; with one, everything happens in the calling thread.

    Raises
    ------
    Exception
        The first one that a job raised, in the order of the items; what has not begun by then
        never begins, and what has is waited for.
    """
    if workers == 1:
        yield from map(job, items)
        return
    waiting: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="spinemar")
    try:
        for item in items:
            waiting.append(pool.submit(job, item))
            if len(waiting) > workers:  # one more than runs, so that no worker waits for us
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
