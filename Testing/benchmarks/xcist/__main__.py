"""``python -m Testing.benchmarks.xcist install | make | score | compare | arms ...``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from spinemar.base.atomic_files import atomic_path
from spinemar.base.json_text import parse_json, read_text
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
    compare = tasks.add_parser("compare", help="what a new model is worth: two files of scores")
    compare.add_argument("before", type=Path, help="scores.json of the older model")
    compare.add_argument("after", type=Path, help="scores.json of the newer one")
    compare.add_argument("--method", choices=METHODS, default="generator")
    compare.add_argument("--scale", choices=list(SCALES), default="12-bit")
    arms = tasks.add_parser("arms", help="what each part of the learned correction adds")
    arms.add_argument("--scale", choices=list(SCALES), default="12-bit")
    arms.add_argument("--own-cases", type=Path, help="folder of our own scanner's cases instead")
    arms.add_argument("--sheet", type=Path, help="draw the cases (JPEG) in place of scoring them")
    arms.add_argument("--only", default="", help="part of a case's name")
    findings = tasks.add_parser("findings", help="what each arm keeps of findings beside metal")
    findings.add_argument("--patient", type=Path, help="CT of the validation patient")
    findings.add_argument("--only", default="ti-", help="part of the name of the cases to scan")
    findings.add_argument("--own", type=Path, help="settings of our own scanner's scenes instead")
    findings.add_argument("--work", type=Path, default=HOME / "own-scenes", help="their folder")
    switches = tasks.add_parser("switches", help="why the rule on measured rays does not travel")
    switches.add_argument("--patient", type=Path, help="CT of the validation patient")
    switches.add_argument("--case", action="append", help="repeatable; three of titanium")
    for task in (arms, findings, switches):
        task.add_argument("--rows", type=Path, help="JSON lines: rows that are there are kept")
    for task in (arms, findings):
        task.add_argument(
            "--network", action="append", default=[], metavar="NAME=WEIGHTS", help="repeatable"
        )
        task.add_argument("--arm", action="append", help="repeatable; all")
    for task in (make, score, arms, findings, switches):
        task.add_argument("--cases", type=Path, default=CASES, help="folder of the cases")
    options = parser.parse_args()
    try:
        return _TASKS[options.task](options)
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


def _compare(options: argparse.Namespace) -> int:
    from Testing.benchmarks.xcist.comparing.models import compare

    before, after = (
        parse_json(read_text(path, f"scores {path.name}"), f"scores {path.name}")
        for path in (options.before, options.after)
    )
    print(*compare(before, after, options.method, options.scale), sep="\n")
    return 0


def _arms(options: argparse.Namespace) -> int:
    from Testing.benchmarks.xcist.comparing.arms import ArmScore, score_arms, table
    from Testing.benchmarks.xcist.comparing.own_scans import own_scans
    from Testing.benchmarks.xcist.comparing.rows import KeptRows
    from Testing.benchmarks.xcist.comparing.sheets import draw_sheet

    own = options.own_cases
    found = own_scans(own, options.scale) if own else read_cases(options.cases)
    cases, makers = (case for case in found if options.only in case.name), _makers(options)
    if options.sheet:
        draw_sheet(cases, options.scale, makers, options.sheet)
        return 0
    kept = KeptRows(options.rows)
    for row in score_arms(cases, options.scale, makers, lambda c, a: kept.has(case=c, arm=a)):
        print(row, flush=True)
        kept.add(vars(row))
    print("", *table([ArmScore(**row) for row in kept.rows]), sep="\n")
    return 0


def _findings(options: argparse.Namespace) -> int:
    from spinemar_study.study_settings import CollectionSettings
    from spinemar_training.run_settings import read_yaml

    from Testing.benchmarks.xcist.comparing import findings
    from Testing.benchmarks.xcist.comparing.finding_scans import make_findings
    from Testing.benchmarks.xcist.comparing.rows import KeptRows

    if options.own:
        cases = findings.of_our_scanner(read_yaml(CollectionSettings, options.own), options.work)
    else:
        patient = find_patient(options.patient)
        for name, now in make_findings(patient, options.cases, options.only):
            print(f"{name}: {'scanned' if now else 'was there'}", flush=True)
        cases = findings.of_the_judge(options.cases)
    kept = KeptRows(options.rows)
    for row in findings.score_findings(
        cases, _makers(options), lambda c, a: kept.has(scene=c, method=a)
    ):
        print(row["scene"], row["finding"], row["method"], f"{row['kept']:.2f}", flush=True)
        kept.add(row)
    print("", *findings.table(kept.rows), sep="\n")
    return 0


def _switches(options: argparse.Namespace) -> int:
    from Testing.benchmarks.xcist.comparing.rows import KeptRows
    from Testing.benchmarks.xcist.comparing.switches import Switched, measure_switches, table

    kept = KeptRows(options.rows)
    names = options.case or ["ti-l2-screws", "cocr-rods-ti-screws-l1", "ti-l1-screws-low-dose"]
    for row in measure_switches(
        find_patient(options.patient), options.cases, names, lambda c, s: kept.has(case=c, switch=s)
    ):
        print(row, flush=True)
        kept.add(vars(row))
    print("", *table([Switched(**row) for row in kept.rows]), sep="\n")
    return 0


def _makers(options: argparse.Namespace) -> dict[str, Any]:
    from Testing.benchmarks.xcist.comparing.arms import arms

    networks = dict(one.split("=", maxsplit=1) for one in options.network)
    makers = arms({name: Path(path) for name, path in networks.items()})
    return {name: make for name, make in makers.items() if name in (options.arm or makers)}


_TASKS = {
    "install": _install,
    "make": _make,
    "score": _score,
    "compare": _compare,
    "arms": _arms,
    "findings": _findings,
    "switches": _switches,
}


if __name__ == "__main__":
    sys.exit(main())
