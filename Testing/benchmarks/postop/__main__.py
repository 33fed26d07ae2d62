"""``python -m Testing.benchmarks.postop make | score | page | calibrate | keep | take``."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from spinemar.errors import SpinemarError
from Testing.benchmarks.postop.calibrate import TRAINING, calibration
from Testing.benchmarks.postop.kept import keep_rows, take_rows
from Testing.benchmarks.postop.page import read_rows, write_page
from Testing.benchmarks.postop.pairs import read_operated_pair
from Testing.benchmarks.postop.scans import HOME, PATIENTS, all_specs, in_turn, make_scan, read_scan
from Testing.benchmarks.postop.score import CASES, score_scans


def main() -> int:
    """Do what was asked for; exit codes as of `spinemar`."""
    parser = argparse.ArgumentParser(
        prog="python -m Testing.benchmarks.postop", description=__doc__
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    make = tasks.add_parser("make", help="make the scans that are not there yet")
    make.add_argument("--training", action="store_true", help="of the patients to calibrate on")
    make.add_argument("--draws", type=int, default=2, help="how many of each")
    make.add_argument("--uncorrected", action="store_true", help="leave corrections for later")
    score = tasks.add_parser("score", help="find the implants of every scan, and measure")
    score.add_argument("--pairs", type=Path, help="also pairs of Testing.benchmarks.earlier_ct")
    score.add_argument("--case", choices=CASES, action="append", help="all by default; repeatable")
    page = tasks.add_parser("page", help="fill the tables of Docs/postop.md")
    page.add_argument("--only-print", action="store_true")
    calibrate = tasks.add_parser("calibrate", help="how far the grades of a home folder are off")
    keep = tasks.add_parser("keep", help="put a home folder's rows into the repository")
    keep.add_argument("--code", default="", help="the commit that scored them")
    take = tasks.add_parser("take", help="go on from the repository's rows of one code")
    take.add_argument("--code", default="", help="the commit that scored them")
    for task in (make, score, page, calibrate, keep, take):
        task.add_argument("--home", type=Path, default=HOME, help="folder of all that is made")
    for task in (make, score):
        task.add_argument("--only", default="", help="part of a scan's name")
    options = parser.parse_args()
    try:
        return _TASKS[options.task](options)
    except SpinemarError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _make(options: argparse.Namespace) -> int:
    for spec in all_specs(options.draws, TRAINING if options.training else PATIENTS):
        if options.only in spec.name:
            started = time.monotonic()
            make_scan(spec, options.home, corrected=not options.uncorrected)
            print(f"{spec.name}: {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _score(options: argparse.Namespace) -> int:
    rows = options.home / "rows"
    own = in_turn(path.parent for path in (options.home / "scans").glob("*/metal.nii.gz"))
    sources = [(own, read_scan)]
    if options.pairs is not None:
        sources.append((sorted(p.parent for p in options.pairs.glob("*/facts.json")),
                        partial(read_operated_pair, home=options.home)))  # fmt: skip
    for scans, reader in sources:
        chosen = [scan for scan in scans if options.only in scan.name]
        for line in score_scans(chosen, reader, rows, options.case or CASES):
            print(line, flush=True)
    return 0


def _page(options: argparse.Namespace) -> int:
    print(write_page(options.home, only_print=options.only_print))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    print(calibration(read_rows(options.home)))
    return 0


def _keep(options: argparse.Namespace) -> int:
    print(f"{keep_rows(options.home, options.code)} scans and cases are kept.")
    return 0


def _take(options: argparse.Namespace) -> int:
    print(f"{take_rows(options.home, options.code)} scans and cases were taken.")
    return 0


_TASKS = {
    "make": _make,
    "score": _score,
    "page": _page,
    "calibrate": _calibrate,
    "keep": _keep,
    "take": _take,
}


if __name__ == "__main__":
    sys.exit(main())
