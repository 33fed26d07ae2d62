"""Put faults into a copy of the core, one at a time, and count those that the tests see.

``python -m Testing.mutation [--mutants 40] [--seed 0] [--only mar] [--home build/mutation]``.
Answers are kept as they come, by the file's content: a run that was stopped goes on where it
stopped. Faults that change no result (`harmless`) are shown and not counted. Exit code 1 where
fewer than 90 % are seen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from spinemar.base.files.hashes import file_sha256
from Testing.mutation.asking import verdict, watch
from Testing.mutation.harmless import why_harmless
from Testing.mutation.mutants import Mutant, all_mutants, changed_line, sample
from Testing.mutation.packages import PACKAGES, Package

ROOT = Path(__file__).resolve().parents[2]
LEAST_PERCENT = 90.0
_SEEN = ("killed", "endless")


def main() -> int:
    """Mutate, print a table and what survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=40, help="of each package")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="name of a package (repeatable)")
    parser.add_argument("--home", type=Path, default=ROOT / "build" / "mutation")
    options = parser.parse_args()
    home = options.home.resolve()
    tree = _copied(home / "tree")
    lowest = 100.0
    rows, left = [], []
    for package in PACKAGES:
        if options.only and package.name not in options.only:
            continue
        answers = _answers(tree, package, home, options.mutants, options.seed)
        counts = Counter(answers.values())
        seen = sum(counts[one] for one in _SEEN)
        unseen = [_told(tree, one) for one, answer in answers.items() if answer not in _SEEN]
        harmless = sum(reason is not None for _, reason in unseen)
        share = 100 * seen / max(len(answers) - harmless, 1)
        lowest = min(lowest, share)
        rows.append(f"| {package.name} | {len(answers)} | {seen} | {harmless} | {share:.0f} % |")
        left += unseen
    head = (
        "| package | faults | seen | harmless | share seen of the others |\n|---|---|---|---|---|"
    )
    print(head, *rows, sep="\n")
    for text, reason in left:
        print(f"{'not seen' if reason is None else 'harmless'}: {text}", reason or "", sep="\n  ")
    return int(lowest < LEAST_PERCENT)


def _told(tree: Path, mutant: Mutant) -> tuple[str, str | None]:
    """Say what a fault changes, and why that is no matter, where it is none."""
    before, after = changed_line(tree, mutant)
    text = f"{mutant.path}:{mutant.line}\n  - {before}\n  + {after}"
    return text, why_harmless(mutant.path, before, after)


def _copied(tree: Path) -> Path:
    """Copy what git knows, and nothing else: faults never touch the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    known = {name for name in listed if name and (ROOT / name).is_file()}
    for old in [path for path in tree.rglob("*") if path.is_file()]:
        if old.relative_to(tree).as_posix() not in known:
            old.unlink()
    for name in known:
        source, target = ROOT / name, tree / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    return tree


def _answers(tree: Path, package: Package, home: Path, count: int, seed: int) -> dict[Mutant, str]:
    files = [path.relative_to(tree).as_posix() for path in package.files(tree)]
    kept = home / f"{package.name}.answers.json"
    answers = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    witnesses = watch(tree, package, home)
    chosen: list[Mutant] = sample(all_mutants(tree, files), count, seed)
    names = {one: f"{file_sha256(tree / one.path)[:8]} {one.name}" for one in chosen}
    for number, mutant in enumerate(chosen, 1):
        if names[mutant] not in answers:
            answers[names[mutant]] = verdict(tree, mutant, witnesses)
            kept.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
            print(f"{package.name} {number} of {len(chosen)}: {mutant.name}: "
                  f"{answers[names[mutant]]}", flush=True)  # fmt: skip
    return {one: answers[names[one]] for one in chosen}


if __name__ == "__main__":
    sys.exit(main())
