"""Play tasks in both panels, or click everything on a large CT: ``tasks`` or ``clicks``.

    python -m Testing.benchmarks.panels tasks     # three tasks: clicks, keys, seconds
    python -m Testing.benchmarks.panels clicks    # 512 x 512 x 560: what a click holds

Seconds are by the clock and the panel's own processor seconds. Where other programs use the
machine, the second is the one to look at.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from Testing.benchmarks.panels.hands import Hands

#: No click shall hold the panel longer, s.
MOST_S = 0.2


def tasks_table(done: Mapping[str, Hands]) -> str:
    """Return the tasks as a table in Markdown."""
    rows = [
        "| task | clicks | drags | keys | scrolls | held, s | panel's own, s | waited, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, hands in done.items():
        counts = " | ".join(str(hands.count(kind)) for kind in ("click", "drag", "key", "scroll"))
        seconds = f"{hands.held_s():.1f} | {hands.panel_s():.1f} | {hands.waited_s():.0f}"
        rows.append(f"| {name} | {counts} | {seconds} |")
    return "\n".join(rows)


def slowest_table(hands: Hands, most: int) -> str:
    """Return what held the panel longest as a table in Markdown."""
    rows = ["| touch | panel, s | drawing, s | clock, s |", "|---|---|---|---|"]
    for touch in sorted(hands.touches, key=lambda touch: -touch.panel_s)[:most]:
        what = f"end of {touch.what}" if touch.kind == "wait" else touch.what
        clock = "" if touch.kind == "wait" else f"{touch.seconds:.2f}"
        rows.append(f"| {what} | {touch.panel_s:.2f} | {touch.drawing_s:.2f} | {clock} |")
    return "\n".join(rows)


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.panels")
    parser.add_argument("what", choices=("tasks", "clicks"))
    parser.add_argument("--most", type=int, default=15, help="so many of the slowest are listed")
    options = parser.parse_args()
    if options.what == "tasks":
        from Testing.benchmarks.panels.tasks import play

        with tempfile.TemporaryDirectory() as folder:
            done = play(Path(folder))
        print(tasks_table(done))
        return
    from Testing.benchmarks.panels.large import click_everything

    hands = click_everything()
    over = sum(t.panel_s > MOST_S for t in hands.touches if t.kind != "wait")
    print(slowest_table(hands, options.most))
    print(f"{hands.count('click')} clicks; {over} touches held the panel over {MOST_S} s.")


if __name__ == "__main__":
    main()
