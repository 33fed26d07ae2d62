"""What the commands print: people's text on stderr, one JSON object on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from spinemar.progress import CancelToken, Progress, ProgressCallback

if TYPE_CHECKING:
    from spinemar.evaluation import Scores
    from spinemar.evaluation.aapm import AapmCard


def open_missing_streams() -> None:
    """Give a process that was started without stdin, stdout or stderr the null device for them.

    The next file that is opened would take their number otherwise, and whatever a library prints
    would go into it: a result, for one.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


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

    from spinemar.report.tables import (
        METRICS,
        bias_metrics,
        format_score,
        known_metrics,
        true_metal_metrics,
    )

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in named:
        table.add_column(name, justify="right")
    metal = known_metrics(true_metal_metrics(), list(named.values()))
    for metric in (*METRICS, *bias_metrics(), *metal):
        table.add_row(metric.name, *(format_score(scores, metric) for scores in named.values()))
    return table


def card_lines(card: AapmCard) -> Any:
    """Make a table of the eight scores of the AAPM benchmark, with what stands behind each."""
    from rich.table import Table

    scores, found, scan = card.scores, card.result, card.uncorrected

    def share(value: float) -> str:
        return f"{100 * value:.1f} %"

    rows = (
        ("CT numbers", scores.ct_number, f"RMSE {found.rmse_hu:.1f} HU, scan {scan.rmse_hu:.1f}"),
        ("Noise", scores.noise, f"{found.noise_hu:.1f} HU, truth {card.truth.noise_hu:.1f}"),
        ("Sharpness", scores.sharpness, "gradients at bone and fat, against blurred truths"),
        ("Streaks", scores.streaks, f"{found.streak_hu:.0f} HU, scan {scan.streak_hu:.0f}"),
        ("Integrity", scores.integrity, f"SSIM {found.ssim:.4f}, scan {scan.ssim:.4f}"),
        ("Bone", scores.bone, f"Dice {found.bone_dice:.3f}, volume off {share(found.bone_change)}"),
        (
            "Metal",
            scores.metal,
            f"Dice {found.metal_dice:.3f}, volume off {share(found.metal_change)}",
        ),
        (
            "Proton range",
            scores.proton_range,
            f"off {found.range_shift_mm:.2f} mm, {share(found.range_shift)}",
        ),
        ("Sum of the eight", scores.total, "0 as the truth, 32 as the scan"),
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("AAPM CT-MAR")
    table.add_column("score", justify="right")
    table.add_column("")
    for name, score, facts in rows:
        table.add_row(name, "–" if score != score else f"{score:.2f}", facts)  # noqa: PLR0124
    return table
