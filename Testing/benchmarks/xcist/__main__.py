"""``python -m Testing.benchmarks.xcist install | make | score | arms``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import SpinemarError
from spinemar.mar.settings import METHODS
from Testing.benchmarks.xcist.cases import CASES, SCALES, find_patient, make_cases, read_cases
from Testing.benchmarks.xcist.install import HOME, install
from Testing.benchmarks.xcist.score import HEADING, line, score_cases, summary


def main() -> int:
    """Do what was asked for; exit codes as of `spinemar`."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.xcist", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("install", help="build XCIST in build/xcist")
    make = tasks.add_parser("make", help="scan the cases that are not there yet")
    make.add_argument("--patient", type=Path, help="CT of the validation patient")
    make.add_argument("--only", default="", help="part of a case's name")
    score = tasks.add_parser("score", help="correct and score the cases that are there")
    score.add_argument("--method", action="append", choices=METHODS, help="repeatable; auto")
    score.add_argument("--scale", action="append", choices=list(SCALES), help="repeatable; 12-bit")
    score.add_argument("--output", type=Path, default=HOME / "scores.json")
    arms = tasks.add_parser("arms", help="what each part of the learned correction adds")
    arms.add_argument("--scale", choices=list(SCALES), default="12-bit")
    for task in (make, score, arms):
        task.add_argument("--cases", type=Path, default=CASES, help="folder of the cases")
    options = parser.parse_args()
    try:
        return {"install": _install, "make": _make, "score": _score, "arms": _arms}[options.task](
            options
        )
    except SpinemarError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _install(options: argparse.Namespace) -> int:
    print(f"XCIST lies in {install()}")
    return 0


def _make(options: argparse.Namespace) -> int:
    started = time.monotonic()
    for name, now in make_cases(find_patient(options.patient), options.cases, options.only):
        took = f"{time.monotonic() - started:.0f} s" if now else "was there"
        print(f"{name}: {took}", flush=True)
        started = time.monotonic()
    return 0


def _score(options: argparse.Namespace) -> int:
    print(HEADING)
    rows = score_cases(
        read_cases(options.cases),
        options.method or ["auto"],
        options.scale or ["12-bit"],
        told=lambda row: print(line(row), flush=True),
    )
    print("", *summary(rows), sep="\n")
    with atomic_path(options.output) as path:
        path.write_text(json.dumps([row.to_json() for row in rows], indent=1) + "\n", "utf-8")
    return 0


def _arms(options: argparse.Namespace) -> int:
    from Testing.benchmarks.xcist.arms import score_arms, table

    rows = score_arms(
        read_cases(options.cases), options.scale, told=lambda row: print(row, flush=True)
    )
    print("", *table(rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
