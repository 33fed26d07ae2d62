"""What the commands print: people's text on stderr, one JSON object on stdout."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console

from spinemar.progress import CancelToken, Progress, ProgressCallback

if TYPE_CHECKING:
    from spinemar.evaluation import Scores


def stdout() -> Console:
    """Console for results; brackets and colons in a file's name are no markup."""
    return Console(markup=False, emoji=False)


def stderr() -> Console:
    """Console for everything else; soft wrap keeps each sentence on one line in logs."""
    return Console(stderr=True, soft_wrap=True, markup=False, emoji=False)


def printable(text: str) -> str:
    """Replace what a terminal would obey instead of show: names may come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_json(facts: Mapping[str, Any]) -> None:
    """Print one JSON object and nothing around it."""
    sys.stdout.write(json.dumps(facts, indent=2, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    """Turn paths and NumPy scalars and arrays into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[tuple[ProgressCallback, CancelToken]]:
    """Show one bar a stage and turn Ctrl+C into a cancel request.

    The first Ctrl+C asks the job to stop at its next slice; the second one stops it at once.

    Parameters
    ----------
    quiet : bool
        Show no bars (they go to stderr, and only to a terminal, in any case).

    Yields
    ------
    callback : ProgressCallback
    token : CancelToken
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = stderr()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def show(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total)
        bars.update(tasks[progress.stage], completed=progress.done, total=progress.total)

    token = CancelToken()
    with _interrupt_cancels(token), bars:
        yield show, token


@contextmanager
def _interrupt_cancels(token: CancelToken) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return

    def cancel(_number: int, _frame: object) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, cancel) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def score_lines(named: Mapping[str, Scores]) -> Any:
    """Make a table of scores: one row a metric, one column a result."""
    from rich.table import Table

    from spinemar.report.tables import METRICS, bias_metrics, format_score

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in named:
        table.add_column(name, justify="right")
    for metric in (*METRICS, *bias_metrics()):
        table.add_row(metric.name, *(format_score(scores, metric) for scores in named.values()))
    return table
