"""What the commands print: people's text on stderr, one JSON object on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from spinemar.cli.progress_lines import ProgressLines
from spinemar.errors import FaultError, SpinemarError
from spinemar.jobs.engine.ending import ended_cancel, signals_cancel
from spinemar.progress import CancelToken, Progress, ProgressCallback

if TYPE_CHECKING:
    from spinemar.evaluation import Scores
    from spinemar.evaluation.aapm import AapmCard


class ShowingConsole(Console):
    """Shows text instead of letting the terminal obey it; names may come from anywhere."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a text that is given whole keeps to its line."""
        super().print(*(printable(o) if isinstance(o, str) else o for o in objects), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render; what is no text of ours (cells of tables) is filtered, Rich's own codes stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                lines = "\n".join(map(printable, segment.text.split("\n")))
                yield Segment(lines, segment.style)


def stdout() -> Console:
    """Console for results; brackets and colons in a file's name are no markup."""
    return ShowingConsole(markup=False, emoji=False)


def stderr() -> Console:
    """Console for everything else; soft wrap keeps each sentence on one line in logs."""
    return ShowingConsole(stderr=True, soft_wrap=True, markup=False, emoji=False)


def printable(text: str) -> str:
    """Replace what a terminal would obey instead of show: names may come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_json(facts: Mapping[str, Any]) -> None:
    """Print one JSON object and nothing around it, in ASCII."""
    sys.stdout.write(json.dumps(facts, indent=2, default=_plain) + "\n")
    sys.stdout.flush()


def tell_error(error: SpinemarError, *, json: bool) -> int:
    """Say on stderr what happened and what to do, and as JSON where that is asked for.

    Returns
    -------
    int
        The exit code for it.
    """
    from rich.text import Text

    problem = Text.assemble(("Error:", "bold red"), f" {printable(error.problem)}")
    stderr().print(problem, highlight=False)
    if error.remedy:
        stderr().print(error.remedy, highlight=False)
    if json:
        print_json(
            {
                "status": "error",
                "error": type(error).__name__,
                "problem": error.problem,
                "remedy": error.remedy,
                "exit_code": error.exit_code,
            }
        )
    return error.exit_code


def end_batch(
    rows: Sequence[Any], show: Callable[[], None], problem: str, summary: Path, *, json: bool
) -> None:
    """Tell the rows of a batch, by `show` or as JSON, and end with an error where some failed.

    As JSON the rows are the one object; it says what failed, and nothing may follow it on stdout.

    Parameters
    ----------
    problem : str
        What is said of those that failed: takes `failed` and `all`, their numbers.
    """
    import typer

    failed = sum(row.status == "failed" for row in rows)
    if json:
        status = "failed" if failed else "done"
        print_json({"status": status, "rows": [asdict(row) for row in rows]})
    else:
        show()
    if not failed:
        return
    remedy = f"See {summary}; what is done is kept."
    error = FaultError(problem.format(failed=failed, all=len(rows)), remedy)
    if json:
        raise typer.Exit(tell_error(error, json=False))
    raise error


def _plain(value: Any) -> Any:
    """Turn paths and NumPy scalars and arrays into what JSON knows."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[tuple[ProgressCallback, CancelToken]]:
    """Show one bar a stage and turn Ctrl+C, SIGTERM and SIGHUP into a cancel request.

    Where stderr is no terminal (a log, a cluster's job) it gets a line a minute in place of bars.

    The first one asks the job to stop at its next slice; what does not stop within seconds, and
    at a second one, is ended (`spinemar.jobs.engine.ending`).

    Parameters
    ----------
    quiet : bool
        Show no bars: one JSON object is printed on stdout instead, also about a cancel.

    Yields
    ------
    callback : ProgressCallback
    token : CancelToken
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    console = stderr()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, Any] = {}
    lines = ProgressLines(partial(console.print, highlight=False))

    def show(progress: Progress) -> None:
        lines.note(progress)
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total)
        bars.update(tasks[progress.stage], completed=progress.done, total=progress.total)

    token = CancelToken()
    with (
        signals_cancel(token.cancel, partial(tell_error, ended_cancel(), json=quiet)),
        nullcontext() if console.is_terminal else lines,
        bars,
    ):
        yield show, token


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


def score_table(rows: Mapping[str, Mapping[str, float]]) -> Any:
    """Make a table of the eight scores of many cases; 0 as the truth, 4 as the scan."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    names = list(next(iter(rows.values()), {}))
    table.add_column("case")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for case, scores in rows.items():
        table.add_row(case, *(f"{scores[n]:.2f}" if isfinite(scores[n]) else "-" for n in names))
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
