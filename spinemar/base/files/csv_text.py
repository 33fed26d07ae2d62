"""Tables as CSV text that a spreadsheet shows and never computes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA_STARTS = frozenset("=+-@＝＋－＠")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table.

    Texts that a spreadsheet would take for a formula (names may come from anywhere) get an
    apostrophe in front, wherever the sign stands behind blanks; numbers stay numbers. Half
    characters of names that are no text become question marks.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence
        Cells: text, numbers, or None for an empty one.

    Returns
    -------
    str
        Lines that end with a line feed.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    # A carriage return alone would end the row, since Python quotes cells with line feeds only.
    text = value.encode(errors="replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    # What cannot be seen is skipped by spreadsheets: blanks, tabs, zero-width marks.
    seen = "".join(c for c in text if c.isprintable() and not c.isspace())
    return f"'{text}" if seen[:1] in _FORMULA_STARTS else text
