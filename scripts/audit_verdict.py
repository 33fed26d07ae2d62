"""Say in one line what pip-audit found, and what it could not look at; 1 for vulnerabilities."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def verdict(report: Path, log: Path) -> tuple[str, int]:
    """Return the line and the exit code.

    A package that the advisory service does not know counts as not checked: a mirror without
    advisories answers so for every one, and pip-audit calls that a success.
    """
    try:
        packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    except (OSError, ValueError, KeyError):
        lines = log.read_text(encoding="utf-8").strip().splitlines() if log.exists() else []
        return f"the advisory service cannot be reached, nothing was checked ({lines[-1:]})", 0
    checked = [one for one in packages if "skip_reason" not in one]
    broken = [one for one in checked if one.get("vulns")]
    if broken:
        named = "; ".join(
            f"{one['name']} {one['version']}: {', '.join(v['id'] for v in one['vulns'])}"
            for one in broken
        )
        return f"known vulnerabilities: {named}", 1
    if not checked:
        return "the advisory service knows none of the packages from here, nothing was checked", 0
    return f"no known vulnerability in {len(checked)} of {len(packages)} packages", 0


if __name__ == "__main__":
    said, code = verdict(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"audit: {said}")
    sys.exit(code)
