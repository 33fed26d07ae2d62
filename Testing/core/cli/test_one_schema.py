"""What a correction says of itself, and what it may be asked: the same wherever it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from spinemar.errors import InputError
from spinemar.jobs.engine.process import run_job
from spinemar.mar.correct import correct_volume
from spinemar.mar.settings import DEVICES, METHODS, CorrectionSettings, Device, Method

ROOT = Path(__file__).resolve().parents[3]


def test_sidecars_of_one_and_of_many_and_a_jobs_result_hold_the_same(spinemar, scan, tmp_path):
    one = tmp_path / "one.nrrd"
    assert spinemar("correct", scan.scan, "-o", one, "--method", "li").code == 0
    assert spinemar("correct-batch", scan.scan, "-o", tmp_path / "many", "--method", "li").code == 0
    job = {"kind": "correct", "input": str(scan.scan), "output": str(tmp_path / "job.nrrd"),
           "settings": {"method": "li"}}  # fmt: skip
    said = {
        "correct": json.loads((tmp_path / "one.json").read_text()),
        "batch": json.loads((tmp_path / "many" / "scan_corrected.json").read_text()),
        "job": dict(run_job(job)),
    }
    facts = {name: {**one, "seconds": None} for name, one in said.items()}
    for name, extra in (("correct", {"sha256"}), ("batch", {"sha256", "batch", "series"})):
        beside = facts[name]
        assert set(beside) - set(facts["job"]) == {"status", "input", "output"} | extra
        for key, value in facts["job"].items():
            assert beside[key] == value, key


@pytest.mark.parametrize("key", ["methd", "threshold", "metalThresholdHu", "gpu"])
def test_what_is_no_setting_is_refused_everywhere(scan, tmp_path, key):
    for job in (
        {"kind": "correct", "input": str(scan.scan), "output": str(tmp_path / "o.nrrd"),
         "settings": {key: 1}},
        {"kind": "correct", "input": str(scan.scan), "output": str(tmp_path / "o.nrrd"), key: 1},
        {"kind": "batch", "sources": [str(scan.scan)], "folder": str(tmp_path / "out"),
         "settings": {key: 1}},
        {"kind": "batch", "sources": [str(scan.scan)], "folder": str(tmp_path / "out"), key: 1},
    ):  # fmt: skip
        from spinemar.jobs.registry import function_of
        from spinemar.progress import CancelToken

        with pytest.raises(InputError, match=f"unknown entry '{key}'"):
            function_of(str(job["kind"]))(job, lambda _progress: None, CancelToken())
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=key):
        CorrectionSettings.from_json({key: 1})
    with pytest.raises(TypeError, match=key):
        correct_volume(None, **{key: 1})  # type: ignore[arg-type]


def test_settings_travel_exactly():
    settings = CorrectionSettings("generator", 2600.0, Path("here") / "manifest.json", "cpu")
    assert CorrectionSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_choices_are_those_of_the_modules_and_the_command_line(spinemar):
    assert (get_args(Method), get_args(Device)) == (METHODS, DEVICES)
    module = (ROOT / "MetalArtifactReductionCLI" / "MetalArtifactReductionCLI.xml").read_text()
    for method in METHODS:
        assert f"<element>{method}</element>" in module
    helped = spinemar("correct", "--help").out
    assert all(name in helped for name in (*METHODS, *DEVICES))
