"""A line a minute where no bar can be drawn."""

from __future__ import annotations

import sys
import threading

import pytest

from spinemar.cli.console import progress_bars
from spinemar.cli.progress_lines import ProgressLines
from spinemar.progress import Progress


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("reports", "line"),
    [
        ([], "At work, 10 min so far."),
        ([(0, "Making pairs", 0, 500)], "Making pairs: 0 of 500, 10 min so far."),
        (
            [(0, "Making pairs", 0, 500), (300, "Making pairs", 100, 500)],
            "Making pairs: 100 of 500, 10 min so far, about 40 min left.",
        ),
        (  # what a run that goes on found is no work of its own
            [(0, "Making pairs", 400, 500), (300, "Making pairs", 410, 500)],
            "Making pairs: 410 of 500, 10 min so far, about 1 h 30 min left.",
        ),
        (  # a stage has a pace of its own
            [(0, "Preparing CTs", 5, 5), (300, "Making pairs", 0, 9), (500, "Making pairs", 3, 9)],
            "Making pairs: 3 of 9, 10 min so far, about 10 min left.",
        ),
        ([(0, "Scanning", 9, 9)], "Scanning: 9 of 9, 10 min so far."),
        ([(0, "Reading", 0, 0)], "Reading: at work, 10 min so far."),
    ],
)
def test_a_line_says_what_is_done_and_what_is_left(clock, reports, line) -> None:
    lines = ProgressLines(lambda _: None, clock=clock)
    for clock.now, stage, done, total in reports:
        lines.note(Progress(stage, done, total))
    clock.now = 600.0
    assert lines.line() == line


def test_lines_come_by_themselves_and_end_with_the_work() -> None:
    said: list[str] = []
    enough = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if sum(line.startswith("Scanning: 1 of 4") for line in said) >= 3:
            enough.set()

    with ProgressLines(say, every_s=0.001) as lines:
        lines.note(Progress("Scanning", 1, 4))
        assert enough.wait(60.0)
    count = len(said)
    assert not threading.Event().wait(0.05)
    assert len(said) == count


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_gets_lines_and_standard_output_none(capsys, monkeypatch, quiet) -> None:
    monkeypatch.setattr(ProgressLines.__init__, "__defaults__", (0.001, Clock()))
    assert not sys.stderr.isatty()
    seen = ""
    with progress_bars(quiet=quiet) as (progress, _):
        progress(Progress("Scanning", 1, 4))
        for _ in range(10_000):
            threading.Event().wait(0.002)
            seen += capsys.readouterr().err
            if "Scanning: 1 of 4" in seen:
                break
    assert "Scanning: 1 of 4" in seen
    assert capsys.readouterr().out == ""


def test_short_work_says_nothing(capsys) -> None:
    with progress_bars() as (progress, _):
        progress(Progress("Scanning", 1, 1))
    assert capsys.readouterr() == ("", "")
