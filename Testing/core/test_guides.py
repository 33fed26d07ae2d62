"""The guides "add an inpainter" and "change the trace", executed on a copy by their own text."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "Docs" / "developer" / "index.md"

MEDIAN = """
import json, sys
from pathlib import Path
import numpy as np
import spinemar
from spinemar.cli.main import main

y, x = np.mgrid[-60:60:120j, -60:60:120j]
hu = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0).astype(np.float32)
hu[(np.abs(x - 14) < 2.2) & (np.abs(y) < 9)] = 3071.0
scan = spinemar.CTVolume(np.repeat(hu[None], 3, axis=0), np.diag([-1.0, -1.0, 2.0, 1.0]))
spinemar.write_volume("scan.nrrd", scan)
sys.argv = ["spinemar", "correct", "scan.nrrd", "-o", "out.nrrd", "--method", "median"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
assert json.loads(Path("out.json").read_text())["provenance"]["method"] == "median"
"""

TRACE = """
import numpy as np
from spinemar.errors import ModelError
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.inpainters.models.manifest import load_manifest
from spinemar.mar.segmentation.trace import trace_of

lengths = np.zeros((1, 9), np.float32)
lengths[0, 4] = 3.0
assert trace_of(lengths, (1.0, 1.0))[0].tolist() == [False] * 2 + [True] * 5 + [False] * 2
try:
    load_manifest(shipped_model())
    raise SystemExit("a model of the old pipeline was taken")
except ModelError as error:
    assert "was made for pipeline" in str(error), error
try:
    import torch
except ModuleNotFoundError:
    raise SystemExit
from spinemar_training.simulate.classical import trace_of as in_training

class Rays:
    def forward(self, images):
        return torch.from_numpy(lengths)[None]

assert in_training(torch.zeros(1, 9, 9), Rays())[0].numpy().sum() == 5
"""


def steps(section: str) -> dict[str, str]:
    """Return the diffs of a section of the guide, by the file that each changes."""
    text = GUIDE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r'```\{ \.diff title="([^"]+)" \}\n(.*?)```', text, re.DOTALL))


def follow(diff: str, text: str) -> str:
    """Apply a diff without context: each group of removed lines must stand there exactly once."""
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        before, after = re.sub(r"^-", "", old, flags=re.M), re.sub(r"^\+", "", new, flags=re.M)
        assert text.count(before) == 1, f"the guide's line is not there once: {before}"
        text = text.replace(before, after)
    return text


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "spinemar", tmp_path / "spinemar", ignore=ignore)
    package = ROOT / "Training" / "spinemar_training"
    shutil.copytree(package, tmp_path / "spinemar_training", ignore=ignore)
    (tmp_path / "Resources").symlink_to(ROOT / "Resources")
    return tmp_path


def run(script: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "files", "script"),
    [("Add an inpainter", 2, MEDIAN), ("Change the trace", 2, TRACE)],
)
def test_a_guide_does_what_it_says_with_the_files_it_names(
    copy: Path, section: str, files: int, script: str
) -> None:
    changes = steps(section)
    assert len(changes) == files
    for name, diff in changes.items():
        path = copy / name
        path.write_text(follow(diff, path.read_text(encoding="utf-8")), encoding="utf-8")
    example = ROOT / "Docs" / "examples" / "own_inpainter.py"
    shutil.copy(example, copy / "spinemar" / "mar" / "inpainters" / "median.py")
    run(script, copy)


def test_the_picture_of_the_rooms_is_that_of_the_contracts() -> None:
    script = (
        "import sys; sys.path.insert(0, 'scripts'); import draw_rooms as d; "
        "assert d.PICTURE.read_text('utf-8') == d.picture(), 'python scripts/draw_rooms.py'"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_glossary_has_ten_words() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    table = text.partition("| word | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
    assert len(table.splitlines()) == 10


def test_the_ten_minute_guides_are_followed_step_by_step() -> None:
    """`make follow-guides` takes each numbered heading of the guides, and no other."""
    from Testing.guides import clinicians, planners
    from Testing.guides.walk import numbered_headings

    for name, guide in (("clinicians", clinicians), ("planners", planners)):
        assert list(guide.steps()) == numbered_headings(name) != []
