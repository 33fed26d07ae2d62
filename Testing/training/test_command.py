"""`spinemar-train` without the extra `training`: it says what is missing, and how to get it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
LANDMARKS = ROOT / "Resources" / "Landmarks" / "crlm_1006.json"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT / "Training"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
    )


def test_a_plain_install_gets_one_sentence() -> None:
    config = ROOT / "Training" / "configs" / "prior.yaml"
    done = _run(
        "import sys; sys.modules['torch'] = None; import spinemar_training.cli as cli\n"
        f"sys.argv = ['spinemar-train', 'prior', {str(config)!r}, '-o', 'nowhere']\n"
        "cli.main()"
    )
    assert done.returncode == 2
    assert "needs the package torch" in done.stderr
    assert "spinemar[training]" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_input_is_a_sentence_too(tmp_path: Path) -> None:
    done = _run(
        "import sys; import spinemar_training.cli as cli\n"
        f"sys.argv = ['spinemar-train', 'prefill', {str(tmp_path)!r}, '-o', 'nowhere', "
        f"'--model', {str(tmp_path)!r}]\n"
        "cli.main()"
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: The model's manifest")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ["patient", "{0}/none.nii.gz", str(ROOT / "Resources/Landmarks/crlm_1006.json")],
            "The CT",
        ),
        (["patient", "{0}/none.nii.gz", "{0}/none.json"], "none.json cannot be read"),
        (["prior", "{0}/none.yaml"], "The settings"),
        (["prior", "{0}/wrong.yaml"], "holds an unknown entry 'typo'"),
        (["prior", "{0}/list.yaml"], "The settings"),
    ],
)
def test_what_is_missing_or_malformed_is_named(
    command: list[str], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text("typo: 1", encoding="utf-8")
    (tmp_path / "list.yaml").write_text("- 1\n- 2", encoding="utf-8")
    words = [word.format(tmp_path) for word in command]
    argv = ["spinemar-train", *words, "-o", str(tmp_path / "out")]
    done = _run(f"import sys; import spinemar_training.cli as cli; sys.argv = {argv!r}; cli.main()")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
