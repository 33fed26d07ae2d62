"""Which tests run a line, and what they say of a fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from Testing.mutation.contexts import DURATIONS
from Testing.mutation.mutants import Mutant
from Testing.mutation.packages import Package

_COVERING_S, _FILES_S = 40.0, 120.0
_PATIENCE = 5.0
_START_S = 60.0


@dataclass(frozen=True)
class Witnesses:
    """The tests of a package, by what they run.

    Parameters
    ----------
    seconds : mapping of str to float
        By test.
    by_line : mapping of (path, line) to set of str
    by_file : mapping of path to set of str
    """

    seconds: dict[str, float]
    by_line: dict[tuple[str, int], set[str]]
    by_file: dict[str, set[str]]

    def of(self, mutant: Mutant) -> tuple[list[str], list[str]]:
        """Return the tests that run a line, and the files of tests that see more of the file.

        What runs once, at the import, is asked of every test of the file's code.
        """
        of_file = self.by_file.get(mutant.path, set())
        covering = self.by_line.get((mutant.path, mutant.line), set()) or of_file
        first = self._cheapest(covering, _COVERING_S)
        files: dict[str, float] = defaultdict(float)
        wanted = {one.partition("::")[0] for one in covering}
        for test, seconds in self.seconds.items():
            if test.partition("::")[0] in wanted:
                files[test.partition("::")[0]] += seconds
        then, left = [], _FILES_S
        for name, seconds in sorted(files.items(), key=lambda one: one[1]):
            if seconds <= left:
                then.append(name)
                left -= seconds
        return first, then

    def _cheapest(self, tests: set[str], seconds: float) -> list[str]:
        chosen = []
        for one in sorted(tests, key=lambda test: (self.seconds.get(test, 0.0), test)):
            seconds -= self.seconds.get(one, 0.0)
            if chosen and seconds < 0:
                break
            chosen.append(one)
        return chosen


def watch(tree: Path, package: Package, home: Path) -> Witnesses:
    """Run a package's tests once on the sound code, and note what each runs.

    Raises
    ------
    RuntimeError
        If they do not pass.
    """
    import coverage

    data, seconds = home / f"{package.name}.coverage", home / f"{package.name}.seconds.json"
    if not (data.is_file() and seconds.is_file()):
        command = [sys.executable, "-m", "coverage", "run", f"--data-file={data}",
                   "--source=spinemar", "-m", "pytest", "-q", "-p", "Testing.mutation.contexts",
                   "-p", "no:cacheprovider", *package.tests]  # fmt: skip
        done = subprocess.run(
            command, cwd=tree, env=_environment(tree) | {DURATIONS: str(seconds)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            data.unlink(missing_ok=True)
            raise RuntimeError(
                f"tests of {package.name} fail without a fault:\n{done.stdout[-3000:]}"
            )
    read = coverage.CoverageData(str(data))
    read.read()
    by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
    by_file: dict[str, set[str]] = defaultdict(set)
    for measured in read.measured_files():
        path = Path(measured).resolve().relative_to(tree.resolve()).as_posix()
        for line, contexts in read.contexts_by_lineno(measured).items():
            tests = {one for one in contexts if one}
            by_line[path, line] |= tests
            by_file[path] |= tests
    return Witnesses(json.loads(seconds.read_text("utf-8")), dict(by_line), dict(by_file))


def verdict(tree: Path, mutant: Mutant, witnesses: Witnesses) -> str:
    """Put a fault in, ask, and take it out: "killed", "endless", "survived" or "unseen"."""
    from cosmic_ray.mutating import use_mutation

    first, files = witnesses.of(mutant)
    if not first:
        return "unseen"
    with use_mutation(tree / mutant.path, mutant.change(), mutant.occurrence) as (_, changed):
        if changed is None:
            raise RuntimeError(f"{mutant.name} cannot be put in")
        answer = "survived"
        needed = sum(witnesses.seconds.get(one, 0.0) for one in first)
        for tests, seconds in ((first, needed), (files, _FILES_S)):
            if tests and (answer := _asked(tree, tests, seconds)) != "survived":
                break
        return answer


def _asked(tree: Path, tests: Sequence[str], seconds: float) -> str:
    names = tree / ".asked"
    names.write_text("\n".join(tests), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "@.asked"],
        cwd=tree, env=_environment(tree), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        return "survived" if process.wait(_START_S + _PATIENCE * seconds) == 0 else "killed"
    except subprocess.TimeoutExpired:
        return "endless"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment(tree: Path) -> dict[str, str]:
    """Compiled files would be those of the sound code: none are kept."""
    return os.environ | {
        "PYTHONPATH": f"{tree / 'Training'}{os.pathsep}{tree}", "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "QT_QPA_PLATFORM": "offscreen",
    }  # fmt: skip
