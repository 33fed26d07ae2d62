"""The judge's simulator and scans stay out of what ships and out of all training."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spinemar.dataset.judge import MARKER, mark_as_judge, refuse_judge
from spinemar.dataset.manifest import CtEntry
from spinemar.dataset.sampling.patients import prepare_patient
from spinemar.errors import InputError
from spinemar.io import write_volume
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[3]
TRAINS_OR_SHIPS = ("spinemar", "Training", "MetalArtifactReduction", "MetalArtifactReductionCLI",
                   "SpineImplantPlanner", "scripts", "cmake", "requirements")  # fmt: skip
# Model facts may tell what the judge said of a model.
MAY_CITE = re.compile(r"facts.*\.json$|\.md$")
SIMULATOR = re.compile(r"gecatsim|benchmarks[./]xcist|import\s+catsim", re.IGNORECASE)
READ_AS_TEXT = {".py", ".yaml", ".yml", ".json", ".toml", ".txt", ".sh", ".cmake", ""}


def sources() -> list[Path]:
    found = [path for top in TRAINS_OR_SHIPS for path in (ROOT / top).rglob("*")]
    return [p for p in found if p.is_file() and p.suffix in READ_AS_TEXT
            and "__pycache__" not in p.parts and not MAY_CITE.search(p.name)]  # fmt: skip


def test_nothing_that_ships_or_trains_names_the_simulator() -> None:
    assert len(sources()) > 300
    for path in sources():
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not SIMULATOR.search(text), path


def test_no_extra_installs_it_and_no_wheel_holds_it() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert not SIMULATOR.search(project)
    packages = re.search(r"wheel\]\npackages = \[(.*)\]", project)
    assert packages
    assert "Testing" not in packages[1]


def judge_scan(folder: Path) -> Path:
    cases = folder / "cases"
    (cases / "one").mkdir(parents=True)
    mark_as_judge(cases)
    hu = np.full((3, 16, 16), 40.0, np.float32)
    hu[:, 4:8, 4:8] = 900
    path = cases / "one" / "truth.nii.gz"
    write_volume(path, CTVolume(hu, np.diag([-1.0, -1.0, 2.0, 1.0])))
    return path


def test_the_data_set_refuses_a_judges_scan(tmp_path: Path) -> None:
    scan, output = judge_scan(tmp_path), tmp_path / "patients"
    output.mkdir()
    with pytest.raises(InputError, match="judge") as caught:
        prepare_patient(CtEntry(ct=scan, patient="a"), output)
    assert caught.value.exit_code == 2
    assert list(output.iterdir()) == []


def test_training_refuses_a_judges_scan(tmp_path: Path) -> None:
    training = pytest.importorskip("spinemar_training.simulate.patients")
    landmarks = ROOT / "Resources" / "Landmarks" / "crlm_1006.json"
    with pytest.raises(InputError, match="judge"):
        training.prepare_patient(judge_scan(tmp_path), landmarks, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_cases_that_fit_the_gate_are_not_made_of_a_judges_scan(tmp_path: Path) -> None:
    foreign = pytest.importorskip("spinemar_training.data.out_of_domain")
    landmarks = ROOT / "Resources" / "Landmarks" / "crlm_1006.json"
    with pytest.raises(InputError, match="judge"):
        foreign.make_cases(judge_scan(tmp_path), landmarks, tmp_path / "o", per_group=1, seed=1)


def test_links_and_copies_of_folders_do_not_get_around_it(tmp_path: Path) -> None:
    scan = judge_scan(tmp_path)
    link = tmp_path / "innocent.nii.gz"
    link.symlink_to(scan)
    with pytest.raises(InputError, match="judge"):
        refuse_judge(link)
    (tmp_path / "cases" / MARKER).unlink()
    refuse_judge(scan)
