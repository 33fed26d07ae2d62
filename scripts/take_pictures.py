"""Take every picture of README and documentation again: ``make pictures``.

Each series is taken by its own script, one after the other; behind it stands in
Docs/pictures/taken-with.json which model and which version of the software it shows. A test
compares that with the shipped model, so that no page shows a model that is not shipped.

    python scripts/take_pictures.py             # all of them, an hour on two cores
    python scripts/take_pictures.py figures     # some
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path
from spinemar.demo.sample_data import sample_ct
from spinemar.mar.inpainters.methods import shipped_model

ROOT = Path(__file__).resolve().parents[1]
STAMP = ROOT / "Docs" / "pictures" / "taken-with.json"
SAMPLE = "the sample CT"
SERIES: dict[str, tuple[str, ...]] = {
    # series: arguments of Python
    "figures": ("scripts/make_figures.py",),
    "plan figures": ("scripts/make_plan_figures.py",),
    "gallery": ("scripts/make_gallery.py",),
    "correction panel": ("scripts/make_screenshots.py",),
    "planner panel": (
        "-m", "Testing.host", "SpineImplantPlanner", "--size", "1500x1250", "--volume", SAMPLE,
        "--script", "SpineImplantPlanner/Testing/screenshots.py",
    ),
}  # fmt: skip


def model_version() -> str:
    """Return name and version of the shipped model."""
    path = shipped_model()
    if path is None:
        raise SystemExit("No model is shipped, so there is nothing to take pictures of.")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return f"{manifest['name']} {manifest['version']}"


def main(wanted: list[str]) -> None:
    """Take the series named, or all."""
    unknown = sorted(set(wanted) - set(SERIES))
    if unknown:
        raise SystemExit(f"There is no series {', '.join(unknown)}; there are {', '.join(SERIES)}.")
    for name in wanted or list(SERIES):
        arguments = [str(sample_ct()) if word == SAMPLE else word for word in SERIES[name]]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
        subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)
        stamped = json.loads(STAMP.read_text(encoding="utf-8")) if STAMP.is_file() else {}
        stamped[name] = {"model": model_version(), "software": __version__}
        with atomic_path(STAMP) as temporary:
            temporary.write_text(json.dumps(stamped, indent=2) + "\n", encoding="utf-8")
        print(f"{name}: taken with {stamped[name]['model']}")


if __name__ == "__main__":
    main(sys.argv[1:])
