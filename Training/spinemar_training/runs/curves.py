"""Curves of a run from the CSV that it wrote, as one picture (SVG)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spinemar.errors import InputError
from spinemar.report.chart import line_chart

_STYLE = (
    "<style>.grid{stroke:#ccc}.line{fill:none;stroke-width:1.6}"
    "text{font:11px sans-serif}.end{text-anchor:end}.middle{text-anchor:middle}</style>"
)


def read_curves(run: Path, columns: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
    """Read (step, value) of the named columns of a run, over all its resumptions."""
    curves: dict[str, list[tuple[int, float]]] = {name: [] for name in columns}
    for path in sorted(run.glob("curves/version_*/metrics.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                for name in columns:
                    if row.get(name):
                        curves[name].append((int(row["step"]), float(row[name])))
    return curves


def running_mean(curve: Sequence[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """Mean over the last `window` values at every step."""
    values = np.array([value for _, value in curve], dtype=float)
    means = [float(values[max(0, n + 1 - window) : n + 1].mean()) for n in range(len(values))]
    return [(step, mean) for (step, _), mean in zip(curve, means, strict=True)]


def chart(series: Mapping[str, Sequence[tuple[int, float]]], ordinate: str) -> str | None:
    """Draw named curves over the optimiser's steps; None where there is nothing to draw."""
    picture = line_chart({k: list(v) for k, v in series.items()}, "optimiser step", ordinate)
    if not picture:
        return None
    picture = picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    head, tail = picture.split(">", 1)
    return f"{head}>{_STYLE}{tail}"


def draw_run(run: Path, columns: Sequence[str], window: int, ordinate: str, output: Path) -> None:
    """Write the running means of a run's columns as one picture.

    Raises
    ------
    InputError
        If the run logged none of the columns.
    """
    curves = read_curves(run, columns)
    picture = chart({k: running_mean(v, window) for k, v in curves.items() if v}, ordinate)
    if picture is None:
        raise InputError(
            f"{run} has no curves named {', '.join(columns)}.",
            "Name columns of its curves/version_0/metrics.csv.",
        )
    output.write_text(picture, encoding="utf-8")
