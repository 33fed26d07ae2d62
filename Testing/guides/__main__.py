"""Follow the ten-minute guides in the host, on an environment that has Slicer's packages alone.

``scripts/follow_guides.sh`` makes such an environment and calls this:
``python -m Testing.guides [--pictures build/guides]``. A table of the steps is printed: seconds,
and what was seen. What a guide promises and does not keep ends it with an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from Testing.guides import clinicians, planners
from Testing.guides.walk import ROOT, Walk


def main() -> None:
    """Take both walks, each in a session of its own."""
    from Testing.host.host import Host

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=ROOT / "build" / "guides")
    parser.add_argument("--only", choices=("clinicians", "planners"))
    options = parser.parse_args()
    for name, guide in (("clinicians", clinicians), ("planners", planners)):
        if options.only not in (None, name):
            continue
        print(f"| {name} | seconds | seen |\n|---|---|---|", flush=True)
        with Host(size=(1440, 1000)) as host:
            host.showWindow()
            Walk(host, options.pictures).follow(name, guide.steps())


if __name__ == "__main__":
    main()
