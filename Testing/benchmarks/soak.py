"""The same small case 200 times in one process: memory must stay flat -> build/soak.json.

``python Testing/benchmarks/soak.py [--runs 200] [--method nmar] [--report]``. Each run reads a
volume, corrects it and writes it with its facts (and its report), as `spinemar correct` does. Exit
code 1 if the memory grew by 1 % or more over the last half of the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
LIMIT_PERCENT = 1.0


def growth_percent(resident_bytes: Sequence[float], last: int) -> float:
    """Return how much a straight line through the last values rises, in % of where it starts."""
    values = np.asarray(resident_bytes[-last:], dtype=float)
    slope, start = np.polyfit(np.arange(len(values)), values, 1)
    return float(100 * slope * (len(values) - 1) / start)


def main() -> int:
    """Run, print a line every 20 runs, write the facts, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--method", default="nmar", choices=["li", "nmar", "generator"])
    parser.add_argument("--report", action="store_true", help="draw the report each time, too")
    options = parser.parse_args()
    import psutil

    from spinemar.cli.main import main as spinemar
    from spinemar.io import write_volume
    from Testing.core.reliability.conftest import drawn_ct

    process = psutil.Process()
    resident: list[float] = []
    started, used = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="spinemar-soak-") as name:
        folder = Path(name)
        write_volume(folder / "ct.nrrd", drawn_ct((5, 96, 96)))
        arguments = ["correct", str(folder / "ct.nrrd"), "-o", str(folder / "out.nrrd"),
                     "--method", options.method, "--overwrite"]  # fmt: skip
        if options.report:
            arguments += ["--report", str(folder / "report")]
        for run in range(options.runs):
            if spinemar(arguments) != 0:
                raise SystemExit(f"run {run} failed")
            resident.append(float(process.memory_info().rss))
            if run % 20 == 19:
                print(f"{run + 1:4} runs: {resident[-1] / 1e6:.1f} MB", file=sys.stderr, flush=True)
        left = sorted(p.name for p in folder.iterdir())
    last = options.runs // 2
    facts = {
        "runs": options.runs,
        "method": options.method,
        "first_mb": round(resident[0] / 1e6, 1),
        "last_mb": round(resident[-1] / 1e6, 1),
        "growth_percent_last_half": round(growth_percent(resident, last), 3),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "left_in_folder": left,
        "resident_mb": [round(value / 1e6, 2) for value in resident],
    }
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "soak.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({k: v for k, v in facts.items() if k != "resident_mb"}, indent=1))
    return int(facts["growth_percent_last_half"] >= LIMIT_PERCENT)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
