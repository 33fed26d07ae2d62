"""Training and export leave the machine and the home alone as well: every process traced."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from Testing.core.reliability.system_calls import Calls, run_in_empty_home, why_no_trace

pytestmark = [
    pytest.mark.training,
    pytest.mark.slow,
    pytest.mark.skipif(why_no_trace() is not None, reason=str(why_no_trace())),
]

SETTINGS = """
patients: [{patient}]
validation: [{patient}]
slabs: {{size: 64, n_slices: 3, z_samples: 1, scan_views: 96}}
stream: {{capacity: 4, batch_size: 2, first_fill: 2}}
budget: {{max_steps: 2, warmup_steps: 1}}
prior: {{widths: [8, 16], blocks: [1, 1]}}
generator: {{widths: [8, 16], blocks: [1, 1]}}
crop_px: 64
validation_slabs: 1
options: {{log_every: 1}}
"""
STEPS = """
import subprocess, sys
def train(*arguments):
    code = "from spinemar_training.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
train("prior", "run.yaml", "-o", "run")
train("export", "run.yaml", "-o", "model", "--weights", "run/weights.pt", "--facts", "facts.json")
"""


def test_a_run_and_its_export(patient_file: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "run.yaml").write_text(SETTINGS.format(patient=patient_file))
    (work / "facts.json").write_text(json.dumps({"version": "0", "licence": "test"}))
    done, calls = run_in_empty_home([sys.executable, "-c", STEPS], tmp_path)
    assert done.returncode == 0, done.stderr
    assert calls == Calls(), calls
