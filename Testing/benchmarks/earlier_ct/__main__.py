"""``python -m Testing.benchmarks.earlier_ct make | score | refuse | page | sheet | lessons``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError, SpinemarError
from Testing.benchmarks.earlier_ct.making.pairs import PAIRS, make_pairs
from Testing.benchmarks.earlier_ct.making.patients import HOME
from Testing.benchmarks.earlier_ct.making.specs import all_specs


def main() -> int:
    """Do what was asked for; exit codes as of `spinemar`."""
    parser = argparse.ArgumentParser(
        prog="python -m Testing.benchmarks.earlier_ct", description=__doc__
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    make = tasks.add_parser("make", help="make the pairs that are not there yet")
    score = tasks.add_parser("score", help="correct without and with the earlier CT, and measure")
    score.add_argument("--again", choices=["with", "all"], default="", help="rows that are there")
    refuse = tasks.add_parser("refuse", help="give scans the CT of somebody else")
    page = tasks.add_parser("page", help="print the tables, write the JSON, fill the page")
    page.add_argument("--only-print", action="store_true")
    sheet = tasks.add_parser("sheet", help="draw pairs that were scored")
    sheet.add_argument("names", nargs="+")
    sheet.add_argument("--output", type=Path, required=True)
    lessons = tasks.add_parser("lessons", help="slices of the training patients to learn from")
    lessons.add_argument("--count", type=int, default=24, help="constructs a patient")
    for task in (make, score, refuse, page, sheet, lessons):
        task.add_argument("--home", type=Path, default=HOME, help="folder of all that is made")
    for task in (make, score, page):
        task.add_argument("--only", default="", help="part of a pair's name")
    options = parser.parse_args()
    try:
        return _TASKS[options.task](options)
    except SpinemarError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _make(options: argparse.Namespace) -> int:
    chosen = [spec for spec in all_specs() if options.only in spec.name]
    if not chosen:
        raise InputError(f"No pair is named *{options.only}*.", "Try own-validation or xcist-test.")
    started = time.monotonic()
    for name, now in make_pairs(chosen, options.home / PAIRS, options.home):
        took = f"{time.monotonic() - started:.0f} s" if now else "was there"
        print(f"{name}: {took}", flush=True)
        started = time.monotonic()
    return 0


def _score(options: argparse.Namespace) -> int:
    from Testing.benchmarks.earlier_ct.scoring.score import ROWS, score_pairs

    pairs, rows = options.home / PAIRS, options.home / ROWS
    for line in score_pairs(pairs, rows, options.only, options.again):
        print(line, flush=True)
    return 0


def _refuse(options: argparse.Namespace) -> int:
    from Testing.benchmarks.earlier_ct.scoring.refusals import TRIED, try_wrong
    from Testing.benchmarks.earlier_ct.scoring.score import ROWS

    tries = []
    for one in try_wrong(options.home / PAIRS, options.home / ROWS):
        tries.append(one)
        said = "refused" if one["refused"] else "TAKEN"
        print(f"{one['scan']}: {one['given']}: {said} ({one['why']})", flush=True)
    with atomic_path(options.home / TRIED) as path:
        path.write_text(json.dumps(tries, indent=1) + "\n", encoding="utf-8")
    return 0


def _page(options: argparse.Namespace) -> int:
    from Testing.benchmarks.earlier_ct.scoring.page import fill_page, tables, write_result
    from Testing.benchmarks.earlier_ct.scoring.refusals import TRIED
    from Testing.benchmarks.earlier_ct.scoring.score import ROWS
    from Testing.benchmarks.earlier_ct.scoring.summary import read_rows, summarise

    rows = [row for row in read_rows(options.home / ROWS) if options.only in row["name"]]
    tried = options.home / TRIED
    document = {
        "summary": summarise(rows),
        "refusals": json.loads(tried.read_text("utf-8")) if tried.is_file() else [],
        "rows": rows,
    }
    print(*tables(document), sep="\n")
    if not options.only_print:
        write_result(document)
        fill_page(document)
    return 0


def _sheet(options: argparse.Namespace) -> int:
    from Testing.benchmarks.earlier_ct.scoring.score import ROWS
    from Testing.benchmarks.earlier_ct.scoring.sheet import draw_sheet

    draw_sheet(options.home / PAIRS, options.home / ROWS, options.names, options.output)
    return 0


def _lessons(options: argparse.Namespace) -> int:
    from Testing.benchmarks.earlier_ct.making.lessons import LESSONS, PATIENTS, make_lessons

    for number in range(options.count):
        for patient in PATIENTS:
            for name in make_lessons(patient, [number], options.home / LESSONS, options.home):
                print(name, flush=True)
    return 0


_TASKS = {
    "make": _make,
    "score": _score,
    "refuse": _refuse,
    "page": _page,
    "sheet": _sheet,
    "lessons": _lessons,
}


if __name__ == "__main__":
    sys.exit(main())
