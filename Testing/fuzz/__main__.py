"""Run every target for its share of the time, and say what was tried and what was found.

``python -m Testing.fuzz [--minutes 10] [--seed 0] [--only NAME]``. Each finding is kept in
``build/fuzz``, with the traceback beside it. Exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from Testing.fuzz.child import FINDING, SECONDS_AN_INPUT
from Testing.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "fuzz"
_SHORTEST_S = 1.0


@dataclass
class Tried:
    """What became of one target."""

    inputs: int = 0
    accepted: int | None = 0
    findings: int = 0


def main() -> int:
    """Fuzz, print a table, return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="name of a target (repeatable)")
    options = parser.parse_args()
    chosen = [one for one in TARGETS if not options.only or one.name in options.only]
    second = options.minutes * 60 / sum(one.share for one in chosen)
    guided = find_spec("atheris") is not None
    print(f"{len(chosen)} targets, {options.minutes:g} minutes, seed {options.seed}")
    print("Readers in Python are searched by coverage." if guided else "atheris is missing: blind.")
    total = Tried()
    for one in chosen:
        tried = _fuzz(one, second * one.share, options.seed, guided and one.in_python)
        accepted = "" if tried.accepted is None else f"{tried.accepted:9,} accepted"
        print(f"{one.name:15} {tried.inputs:9,} inputs {accepted:18} {tried.findings} findings",
              flush=True)  # fmt: skip
        total.inputs += tried.inputs
        total.findings += tried.findings
    print(f"{total.inputs:,} inputs, {total.findings} findings")
    return 1 if total.findings else 0


def _fuzz(chosen: Target, seconds: float, seed: int, guided: bool) -> Tried:
    tried = Tried(accepted=None if guided else 0)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > _SHORTEST_S:
        with tempfile.TemporaryDirectory(prefix="spinemar-fuzz-") as folder:
            _run(chosen, Path(folder), left, seed, guided, tried)
        seed += 1000
    return tried


def _run(
    chosen: Target, folder: Path, seconds: float, seed: int, guided: bool, tried: Tried
) -> None:
    command = [sys.executable, "-m", "Testing.fuzz.child", chosen.name, str(folder),
               "--seconds", f"{seconds:.1f}", "--seed", str(seed)]  # fmt: skip
    try:
        done = subprocess.run(
            command + (["--guided"] if guided else []), cwd=ROOT, capture_output=True, text=True,
            errors="replace", timeout=seconds + 2 * SECONDS_AN_INPUT, check=False,
        )  # fmt: skip
        code, said, errors = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, said = -1, ""
        errors = f"no answer: {bytes(late.stderr or b'').decode(errors='replace')[-2000:]}"
    last = said.strip().splitlines()[-1:] or ["{}"]
    counts = json.loads(last[0]) if last[0].startswith("{") else {}
    if guided:
        found = re.search(r"number_of_executed_units: *(\d+)", errors) or re.search(
            r"Done (\d+) runs", errors
        )
        counts = {"inputs": int(found[1]) if found else 0}
    tried.inputs += int(counts.get("inputs", 0))
    if tried.accepted is not None:
        tried.accepted += int(counts.get("accepted", 0))
    note = folder / FINDING
    if note.exists() or code != 0:
        tried.findings += 1
        _keep(chosen, folder, note.read_text() if note.exists() else f"exit {code}\n{errors}")


def _keep(chosen: Target, folder: Path, note: str) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    path = folder / chosen.file
    data = path.read_bytes() if path.exists() else b""
    name = f"{chosen.name}-{hashlib.sha256(data).hexdigest()[:10]}"
    if path.exists():
        shutil.copyfile(path, KEPT / f"{name}-{chosen.file}")
    (KEPT / f"{name}.txt").write_text(note)
    lines = note.strip().splitlines()
    print(f"  {chosen.name}: {lines[-1][:300] if lines else 'lost'} -> {KEPT / name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
