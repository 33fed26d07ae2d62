"""``python -m Testing.benchmarks.common_cases make | score | page``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spinemar.errors import InputError, SpinemarError
from Testing.benchmarks.common_cases.cases import CASES, HOME, make_own_cases, take_xcist_cases
from Testing.benchmarks.common_cases.page import write_page
from Testing.benchmarks.common_cases.score import METHODS, score_folder
from Testing.benchmarks.xcist.cases import CASES as XCIST_CASES


def main() -> int:
    """Do what was asked for; exit codes as of `spinemar`."""
    parser = argparse.ArgumentParser(
        prog="python -m Testing.benchmarks.common_cases", description=__doc__
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    make = tasks.add_parser("make", help="make the cases that are not there yet")
    make.add_argument("--patient", type=Path, help="CT of the validation patient (crlm_1006)")
    make.add_argument("--xcist", type=Path, default=XCIST_CASES, help="folder of XCIST's cases")
    score = tasks.add_parser("score", help="correct and score what is not scored yet")
    score.add_argument("--method", action="append", choices=METHODS, help="repeatable; all")
    score.add_argument(
        "--result", action="append", default=[], metavar="NAME=FOLDER",
        help="results of another method: FOLDER/CASE.nii.gz (repeatable)",
    )  # fmt: skip
    page = tasks.add_parser("page", help="write Docs/results/common-cases.json and its table")
    page.add_argument("--only-print", action="store_true")
    for task in (make, score):
        task.add_argument("--cases", type=Path, default=CASES, help="folder of the cases")
    for task in (score, page):
        task.add_argument("--rows", type=Path, default=HOME / "rows.json", help="scores")
    options = parser.parse_args()
    try:
        return {"make": _make, "score": _score, "page": _page}[options.task](options)
    except SpinemarError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _make(options: argparse.Namespace) -> int:
    for name in make_own_cases(options.patient, options.cases):
        print(name, flush=True)
    for name in take_xcist_cases(options.xcist, options.cases):
        print(name, flush=True)
    return 0


def _score(options: argparse.Namespace) -> int:
    results = {}
    for given in options.result:
        name, equals, folder = given.partition("=")
        if not (name and equals and Path(folder).is_dir()):
            raise InputError(f"{given!r} names no folder of results.", "Write NAME=FOLDER.")
        results[name] = Path(folder)
    methods = options.method or ([] if results else METHODS)
    score_folder(options.cases, options.rows, methods, results, told=print)
    return 0


def _page(options: argparse.Namespace) -> int:
    print(write_page(options.rows, only_print=options.only_print))
    return 0


if __name__ == "__main__":
    sys.exit(main())
