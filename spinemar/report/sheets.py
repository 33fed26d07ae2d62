"""A report as sheets, each of which fits a page of A4 (landscape) when it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinemar.report.chart import line_chart
from spinemar.report.content import ReportContent
from spinemar.report.pictures import Group, Row, reformats, sinogram_row, slice_groups
from spinemar.report.tables import (
    METRICS,
    ScoreTable,
    SliceRow,
    bias_metrics,
    known_metrics,
    named_scores,
    provenance_rows,
    score_table,
    slice_table,
    true_metal_metrics,
)
from spinemar.report.warnings import rising_slices

_ROWS_A_SHEET = 20
_MOST_SIDE_BY_SIDE = 2
"""Volumes whose rows of pictures fit a page's width in pairs."""


@dataclass(frozen=True)
class Sheet:
    """One page: a heading and what stands under it.

    Parameters
    ----------
    heading : str
    rows : tuple of Row
        Pictures.
    paired : bool
        Whether two rows of pictures fit side by side.
    chart : str
        SVG.
    tables : tuple of ScoreTable
    slice_headings, slice_rows
        Part of the table of slices.
    facts : tuple of (name, value)
    continues : bool
        Whether the heading was on the sheet before.
    """

    heading: str
    rows: tuple[Row, ...] = ()
    paired: bool = False
    chart: str = ""
    tables: tuple[ScoreTable, ...] = ()
    slice_headings: tuple[str, ...] = ()
    slice_rows: tuple[SliceRow, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    continues: bool = False


def sheets_of(content: ReportContent) -> list[Sheet]:
    """Arrange a report: pictures before tables, tables before how it was made.

    Returns
    -------
    list of Sheet
        The first one has room for the title, the warnings and one row of pictures.
    """
    return [*_pictures(content), *_errors(content), *_slices(content), _made(content)]


def _pictures(content: ReportContent) -> list[Sheet]:
    volumes = 1 + len(content.corrected) + (content.truth is not None)
    paired = volumes <= _MOST_SIDE_BY_SIDE
    first, *others = slice_groups(content)
    # On the first page, under the title and the warnings, there is room for one line.
    if paired:
        sheets = [Sheet(first.heading, first.rows, paired=True)]
    else:
        sheets = [
            Sheet(first.heading, first.rows[:1]),
            Sheet(first.heading, first.rows[1:], continues=True),
        ]
    sheets += [_sheet_of(group, paired) for group in (*others, reformats(content))]
    return sheets


def _sheet_of(group: Group, paired: bool) -> Sheet:
    return Sheet(group.heading, group.rows, paired=paired)


def _errors(content: ReportContent) -> list[Sheet]:
    sinogram = sinogram_row(content)
    named = named_scores(content)
    sheets = []
    if sinogram is not None:
        sheets.append(Sheet("In the sinogram", (sinogram,)))
    if not named:
        return sheets
    chart = line_chart(
        {name: [(s.index + 1, s.rmse_hu) for s in scores.slices] for name, scores in named},
        "Slice",
        "RMSE, HU",
        {c.name: [k + 1 for k in rising_slices(content, c)] for c in content.corrected},
    )
    sheets.append(Sheet("The error slice by slice; a triangle where it rises", chart=chart))
    metal = known_metrics(true_metal_metrics(), [scores for _, scores in named])
    groups = (METRICS, bias_metrics(), metal)
    tables = tuple(score_table(named, metrics) for metrics in groups if metrics)
    return [*sheets, Sheet("How close to the truth", tables=tables)]


def _slices(content: ReportContent) -> list[Sheet]:
    headings, rows = slice_table(content)
    heading = f"Slice by slice: {content.corrected[-1].name}"
    return [
        Sheet(heading, slice_headings=headings, slice_rows=tuple(part), continues=n > 0)
        for n, part in enumerate(_parts(rows))
    ]


def _parts(rows: Sequence[SliceRow]) -> list[Sequence[SliceRow]]:
    return [rows[n : n + _ROWS_A_SHEET] for n in range(0, len(rows), _ROWS_A_SHEET)]


def _made(content: ReportContent) -> Sheet:
    return Sheet("How it was made", facts=tuple(provenance_rows(content)))
