"""One target for some seconds, in a process that may be lost: ``python -m Testing.fuzz.child``.

The input under way always lies in the folder, so that one that takes the process with it is not
lost. Memory is bounded by the system, time by an alarm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

from Testing.fuzz.edits import apply, draw
from Testing.fuzz.guises import GUISES, disguised
from Testing.fuzz.seeds import foreign
from Testing.fuzz.targets import Target, target

CPU_SECONDS_AN_INPUT = 20
SECONDS_AN_INPUT = 180  # where other work crowds the machine, or an input waits for ever
MEMORY_BYTES = 6 << 30
FINDING = "finding.txt"


class TookTooLong(BaseException):
    """No answer within the time that an input has; no `except Exception` hides it."""


def main() -> int:
    """Run one target and print what was tried as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _alarm)
    if options.guided:
        _guided(options.name, options.folder, options.seconds, options.seed)
    return _random(target(options.name), options.folder, options.seconds, options.seed)


def _alarm(*_: object) -> None:
    raise TookTooLong


def _random(chosen: Target, folder: Path, seconds: float, seed: int) -> int:
    good = list(chosen.seeds())
    path = folder / chosen.file
    for data in good:
        path.write_bytes(data)
        try:
            chosen.check(path)
        except Exception as error:
            raise SystemExit(f"{chosen.name}: a good file fails: {error!r}") from error
    inputs = accepted = 0
    for guise in GUISES:
        with disguised(path, guise):
            inputs += 1
            if _checked(chosen, path) is None:
                return 1
    dice = random.Random(seed)
    strangers = [*good, *foreign()]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        path.write_bytes(apply(dice.choice(good), draw(dice), strangers))
        inputs += 1
        answer = _checked(chosen, path)
        if answer is None:
            break
        accepted += answer
    print(json.dumps({"inputs": inputs, "accepted": accepted}), flush=True)
    sys.stdout.flush()
    os._exit(0)


def _checked(chosen: Target, path: Path) -> bool | None:
    """Return whether the input was accepted; None and a note in the folder for a finding."""
    signal.alarm(SECONDS_AN_INPUT)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_AN_INPUT)
    try:
        return chosen.check(path)
    except (Exception, TookTooLong):
        path.with_name(FINDING).write_text(traceback.format_exc())
        return None
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _guided(name: str, folder: Path, seconds: float, seed: int) -> NoReturn:
    """Search with coverage: libFuzzer drives, and ends the process when the time is over."""
    import atheris

    with atheris.instrument_imports(include=["spinemar"], enable_loader_override=False):
        import spinemar.base.json_records
        import spinemar.base.json_text
        import spinemar.dataset.manifest
        import spinemar.dataset.sampling.patients
        import spinemar.implants.catalogue
        import spinemar.jobs.worker
        import spinemar.mar.inpainters.models.manifest
        import spinemar.planning.plans.plan_json
        import spinemar.spine.serial  # noqa: F401
    chosen = target(name)
    corpus = folder / "corpus"
    corpus.mkdir()
    path = folder / chosen.file
    for guise in GUISES:
        with disguised(path, guise):
            if _checked(chosen, path) is None:
                os._exit(1)
    for number, data in enumerate(chosen.seeds()):
        (corpus / f"{number}").write_bytes(data)
    inside = folder / "input"
    inside.mkdir()

    def one(data: bytes) -> None:
        path = inside / chosen.file
        path.write_bytes(data)
        if _checked(chosen, path) is None:
            (folder / chosen.file).write_bytes(data)
            (inside / FINDING).replace(folder / FINDING)
            os._exit(1)

    atheris.Setup(
        [name, str(corpus), f"-max_total_time={int(seconds)}", "-print_final_stats=1",
         f"-seed={seed + 1}", "-max_len=200000", "-rss_limit_mb=0", f"-timeout={SECONDS_AN_INPUT}"],
        one,
    )  # fmt: skip
    atheris.Fuzz()
    raise AssertionError("libFuzzer ends the process")


if __name__ == "__main__":
    sys.exit(main())
