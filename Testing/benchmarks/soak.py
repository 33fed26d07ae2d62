"""The same small case 200 times in one process: memory must stay flat -> build/soak.json.

``python Testing/benchmarks/soak.py [--runs 200] [--case nmar] ...``: all of `soak_cases`, or those
named, each in a process of its own. Python is not asked to collect garbage in between, but the
allocator to give back what nobody holds, and pages of files (libraries, weights) do not count: the
system takes and brings these as it likes. Exit code 1 if the memory of any case grew by 1 % or more
over the last half of its runs.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

LIMIT_PERCENT = 1.0
_TEN = 10


def growth_percent(resident_bytes: Sequence[float], last: int) -> float:
    """Return how much a straight line through the last values rises, in % of where it starts.

    The line of Theil and Sen through the least of every ten: what an allocator holds for a moment
    comes on top, in blocks of 20 MB and more, and must not make a slope, nor hide one. What leaks
    is never given back, so the least rises with it.
    """
    from scipy.stats import theilslopes

    values = np.asarray(resident_bytes[-last:], dtype=float)
    tens = [values[n : n + _TEN].min() for n in range(0, len(values) - _TEN + 1, _TEN)]
    slope, start, *_ = theilslopes(tens if len(tens) > 1 else values)
    steps = len(tens) - 1 if len(tens) > 1 else len(values) - 1
    return float(100 * slope * steps / start)


def main() -> int:
    """Run every case, print a table, write the facts, and judge."""
    from Testing.benchmarks.soak_cases import CASES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="repeatable")
    parser.add_argument("--here", choices=sorted(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(soaked(options.here, options.runs)))
        return 0
    path = ROOT / "build" / "soak.json"
    path.parent.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    print("| case | first MB | last MB | growth in the last half | CPU s |\n|---|---|---|---|---|")
    for name in options.case or CASES:
        command = [sys.executable, str(Path(__file__)), "--runs", str(options.runs)]
        done = subprocess.run(
            [*command, "--here", name], stdout=subprocess.PIPE, text=True, check=True
        )
        one = found[name] = json.loads(done.stdout.splitlines()[-1])
        cells = (name, one["first_mb"], one["last_mb"], f"{one['growth_percent_last_half']:.2f} %",
                 one["cpu_seconds"])  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(one["growth_percent_last_half"] >= LIMIT_PERCENT for one in found.values()))


def soaked(name: str, runs: int) -> dict[str, Any]:
    """Run one case in this process.

    Raises
    ------
    RuntimeError
        If a run fails.
    """
    from Testing.benchmarks.soak_cases import CASES

    resident: list[float] = []
    with tempfile.TemporaryDirectory(prefix="spinemar-soak-") as made:
        folder = Path(made)
        run = CASES[name](folder)
        used = time.process_time()
        for number in range(runs):
            run()
            resident.append(held_bytes())
            if number % 20 == 19:
                print(f"{name}: {number + 1:4} runs: {resident[-1] / 1e6:.1f} MB", file=sys.stderr,
                      flush=True)  # fmt: skip
        left = sorted(path.name for path in folder.iterdir())
    return {
        "runs": runs,
        "first_mb": round(resident[0] / 1e6, 1),
        "last_mb": round(resident[-1] / 1e6, 1),
        "growth_percent_last_half": round(growth_percent(resident, runs // 2), 3),
        "cpu_seconds": round(time.process_time() - used, 1),
        "left_in_folder": left,
        "resident_mb": [round(value / 1e6, 2) for value in resident],
    }


def held_bytes() -> float:
    """Return the memory that this process holds, without pages of files; Linux with glibc only."""
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    held = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return 1024.0 * (int(held["RssAnon"]) + int(held["VmSwap"]))


if __name__ == "__main__":
    sys.exit(main())
