"""What a gate does to slices that should be left alone: the evidence, the table, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from spinemar_training.scoring.gate_evidence import known_slices, table  # noqa: E402
from spinemar_training.scoring.negatives import KINDS, make_negatives  # noqa: E402

from spinemar.io import write_volume  # noqa: E402
from spinemar.mar.inpainters.methods import make_inpainter  # noqa: E402
from spinemar.mar.pipeline.gate import GateParameters  # noqa: E402
from spinemar.volume import CTVolume  # noqa: E402

pytestmark = pytest.mark.training
SIDE, PIXEL_MM = 192, 1.6


@pytest.fixture(scope="module")
def patient() -> CTVolume:
    """A trunk of muscle with a vertebra, gas and noise; three slices."""
    rng = np.random.default_rng(4)
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL_MM
    hu = np.where((x / 130) ** 2 + (y / 95) ** 2 < 1, 50.0, -1000.0)
    hu[np.hypot(x, y - 40) < 22] = 500.0
    hu[np.hypot(x, y - 40) < 18] = 180.0
    hu[np.hypot(x - 60, y + 30) < 20] = -950.0
    noise = rng.normal(0, 12, (3, SIDE, SIDE))
    affine = np.diag([-PIXEL_MM, -PIXEL_MM, 2.0, 1.0])
    return CTVolume((hu + noise).astype(np.float32), affine)


@pytest.fixture(scope="module")
def negatives(patient):
    return list(make_negatives(patient, seed=1, per_kind=1))


def test_negatives_of_most_kinds_come_from_a_clean_slice(negatives):
    assert len({one.kind for one in negatives}) >= 5
    for one in negatives:
        assert one.metal.any()
        assert one.kind in KINDS
        far = np.abs(one.scan.hu - one.truth.hu)[:, 0, 0]
        assert not far.any(), "what is no artifact reaches no corner"


def test_an_open_gate_shows_what_the_gate_saves(negatives):
    known = list(known_slices(make_inpainter("nmar", None, "cpu"), [], negatives))
    assert len(known) == len(negatives)

    def rows(gate: GateParameters) -> dict[str, list[str]]:
        lines = [line.strip("| ").split(" | ") for line in table(known, gate).splitlines()[2:]]
        return {cells[0]: cells[1:] for cells in lines}

    guarded, opened = rows(GateParameters()), rows(GateParameters.open())
    assert guarded.keys() == opened.keys() == {one.kind for one in negatives}
    assert all(cells[1] == "0%" for cells in opened.values())
    left_alone = [kind for kind, cells in guarded.items() if cells[1] == "100%"]
    assert {"bone mask", "muscle mask", "gas mask"} & set(guarded) <= set(left_alone)
    for kind in left_alone:
        assert guarded[kind][-1] == "+0.0"
        assert float(opened[kind][-1]) > 0, "in full it would have done harm"


def test_the_command_keeps_or_fits_a_gate(patient, tmp_path):
    from spinemar_training.cli import app

    clean = tmp_path / "clean.nii.gz"
    write_volume(clean, patient)
    (tmp_path / "cases").mkdir()
    asked = ["fit-gate", str(tmp_path / "cases"), "--clean", str(clean), "--method", "nmar"]
    kept = CliRunner().invoke(app, [*asked, "--per-kind", "1", "--keep"])
    assert kept.exit_code == 0, kept.output
    first, *rest = kept.output.splitlines()
    assert json.loads(first) == GateParameters().to_json()
    assert rest[0].startswith("| kind | slices | left alone")
