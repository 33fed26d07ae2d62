"""Run a batch: one volume after the other, in several processes, or on many machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spinemar.base.extras import optional, require
from spinemar.base.file_locks import output_lock
from spinemar.errors import CancelledError, FaultError, InputError
from spinemar.jobs.batches.items import BatchItem, check_table, header_of, write_summary
from spinemar.jobs.engine.ending import end_with_parent
from spinemar.progress import CancelToken, Progress, ProgressCallback

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_DASK = "A batch on a Dask cluster"
_STAGE = "Volumes"

Row = TypeVar("Row")


def check_scheduler(scheduler: str | None) -> None:
    """Refuse a cluster where what talks to it is not installed.

    Raises
    ------
    InputError
    """
    if scheduler is not None:
        require(_DASK, "distributed")


def run_batch(
    items: Sequence[BatchItem],
    summary: Path,
    row_type: type[Row],
    one: Callable[..., Row],
    lost: Callable[[BatchItem, str], Row],
    done_before: Callable[[BatchItem], Row | None],
    *,
    workers: int,
    scheduler: str | None,
    progress: ProgressCallback,
    cancel: CancelToken,
    tell: Callable[[Sequence[Row]], None] = lambda rows: None,
) -> tuple[Row, ...]:
    """Do all volumes, with a summary that grows with them.

    Parameters
    ----------
    items : sequence of BatchItem
    summary : Path
        CSV with a row for each volume that is done.
    row_type : type
        The dataclass of the rows.
    one : callable
        Does one volume: takes the item and, by name, `cancel` (None in other processes), and
        returns its row. Every problem but a cancel becomes a row.
    lost : callable
        The row of a volume whose worker died, and the sentence in it.
    done_before : callable
        The row of a volume whose result of an earlier run still holds; None of any other. A cancel
        leaves these in the tables.
    workers : int
        Local processes, each with a volume in memory.
    scheduler : str or None
        Address of a Dask scheduler whose workers see the same paths; overrides `workers`.
    progress, cancel
        Volumes that are not finished when cancelled have no row, unless they were done before.
    tell : callable
        Called with all rows so far after each, and when it was cancelled, to write more tables.

    Returns
    -------
    tuple
        Rows in the order of the items.

    Raises
    ------
    InputError
        If another file has the summary's name, or no scheduler answers.
    CancelledError
        After the summary was written.
    """
    rows: dict[BatchItem, Row] = {}
    check_table(summary, header_of(row_type))
    with output_lock(summary):
        progress(Progress(_STAGE, 0, len(items)))
        for item, row in _each(items, one, lost, workers, scheduler, cancel):
            rows[item] = row
            _write_tables(items, rows, summary, row_type, tell)
            progress(Progress(_STAGE, len(rows), len(items)))
        if len(rows) < len(items):
            kept = {item: _row_of_before(item, done_before) for item in items if item not in rows}
            known = rows | {item: row for item, row in kept.items() if row is not None}
            _write_tables(items, known, summary, row_type, tell)
    cancel.raise_if_cancelled()
    return tuple(rows[item] for item in items)


def _write_tables(
    items: Sequence[BatchItem],
    rows: Mapping[BatchItem, Row],
    summary: Path,
    row_type: type[Row],
    tell: Callable[[Sequence[Row]], None],
) -> None:
    known = [rows[item] for item in items if item in rows]
    write_summary(summary, row_type, known)
    tell(known)


def _row_of_before(item: BatchItem, done_before: Callable[[BatchItem], Row | None]) -> Row | None:
    try:
        return done_before(item)
    except Exception:  # a source that is gone, facts of another make: nothing that still holds
        return None


def _each(
    items: Sequence[BatchItem],
    one: Callable[..., Row],
    lost: Callable[[BatchItem, str], Row],
    workers: int,
    scheduler: str | None,
    cancel: CancelToken,
) -> Iterator[tuple[BatchItem, Row]]:
    if scheduler is not None:
        return _on_dask(items, one, lost, scheduler, cancel)
    if workers > 1:
        return _in_processes(items, one, lost, workers, cancel)
    return _one_by_one(items, one, cancel)


def _one_by_one(
    items: Sequence[BatchItem], one: Callable[..., Row], cancel: CancelToken
) -> Iterator[tuple[BatchItem, Row]]:
    for item in items:
        try:
            row = one(item, cancel=cancel)
        except CancelledError:
            return
        yield item, row


def _in_processes(
    items: Sequence[BatchItem],
    one: Callable[..., Row],
    lost: Callable[[BatchItem, str], Row],
    workers: int,
    cancel: CancelToken,
) -> Iterator[tuple[BatchItem, Row]]:
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
    from multiprocessing import get_context

    # Spawned, not forked: transforms and runtimes keep threads that a fork would lose.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent)
    try:
        pending = {pool.submit(one, item): item for item in items}
        while pending and not cancel.cancelled:
            finished, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                item = pending.pop(future)
                yield item, _result_or_row(future, item, lost)
    finally:
        _end_pool(pool)


def _end_pool(pool: ProcessPoolExecutor) -> None:
    """End a pool at once, whatever its processes do."""
    # Its own list of them is gone with the shutdown.
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
    for process in processes:
        process.join(timeout=1.0)


def _on_dask(
    items: Sequence[BatchItem],
    one: Callable[..., Row],
    lost: Callable[[BatchItem, str], Row],
    scheduler: str,
    cancel: CancelToken,
) -> Iterator[tuple[BatchItem, Row]]:
    with optional(_DASK):
        from distributed import Client, wait
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no Dask scheduler at {scheduler}.", "Start one, or check its address."
        ) from error
    with client:
        pending = {client.submit(one, item, pure=False): item for item in items}
        while pending and not cancel.cancelled:
            try:
                finished = wait(list(pending), timeout=0.5, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue
            for future in finished:
                item = pending.pop(future)
                yield item, _result_or_row(future, item, lost)
        client.cancel(list(pending))


def _result_or_row(future: Any, item: BatchItem, lost: Callable[[BatchItem, str], Row]) -> Row:
    """Take a future's row; a worker that died becomes a row of its own."""
    try:
        row: Row = future.result()
    except Exception as error:  # the pool's and Dask's own: broken pool, lost worker
        fault = FaultError(f"The worker was lost ({type(error).__name__}).", "Run the batch again.")
        return lost(item, str(fault))
    return row
