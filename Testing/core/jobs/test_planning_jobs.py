"""The planner's jobs: what they hand back, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Rod, Screw
from spinemar.implants.voxelize import voxelize_plan
from spinemar.jobs.registry import KINDS, function_of
from spinemar.jobs.requests import pairs, scan
from spinemar.jobs.requests import plan as planning
from spinemar.jobs.requests import segment_spine as spine
from spinemar.jobs.requests import voxelize as implants
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.progress import CancelToken, ignore_progress
from spinemar.volume import GridGeometry

MATRIX = np.diag([1.5, 1.5, 3.0, 1.0])
PLAN = Plan(
    screws=(Screw("a", "", "left", (30.0, 20.0, 12.0), (30.0, 60.0, 12.0), 6.0, 40.0),),
    rods=(Rod("rod", "", ((30.0, 12.0, 2.0), (30.0, 12.0, 22.0))),),
)


def run(module, job):
    return module.run(job, ignore_progress, CancelToken())


@pytest.fixture
def body(tmp_path):
    """Hand a drawn body over as the panel does."""
    y, x = np.mgrid[:64, :48]
    inside = ((x - 24) / 22) ** 2 + ((y - 32) / 29) ** 2 < 1
    fat = inside & ~(((x - 24) / 19) ** 2 + ((y - 32) / 26) ** 2 < 1)
    slice_ = np.where(inside, 40.0, -1000.0)
    slice_[fat] = -100.0
    hu = np.broadcast_to(slice_, (9, 64, 48)) + np.random.default_rng(1).normal(0, 8, (9, 64, 48))
    np.save(tmp_path / "ct.npy", np.rint(hu).astype(np.int16))
    return {"npy": str(tmp_path / "ct.npy"), "ijk_to_ras": MATRIX.tolist(), "name": "ct"}


def test_every_kind_has_its_function():
    for kind in KINDS:
        assert callable(function_of(kind))


def test_fractions_come_back_cropped(tmp_path):
    geometry = GridGeometry((9, 64, 48), MATRIX)
    job = {"plan": plan_to_json(PLAN), "shape": [9, 64, 48], "ijk_to_ras": MATRIX.tolist(),
           "folder": str(tmp_path)}  # fmt: skip
    found = run(implants, job)["materials"]
    whole = voxelize_plan(PLAN, geometry, load_catalogue())
    assert set(found) == set(whole)
    for name, one in found.items():
        part = np.load(one["npy"])
        cut = tuple(slice(f, f + n) for f, n in zip(one["first"], part.shape, strict=True))
        np.testing.assert_array_equal(part, whole[name][cut])
        assert part.sum() == pytest.approx(float(whole[name].sum()), rel=1e-6)


def test_some_slices_are_scanned_as_in_the_whole(body, tmp_path):
    job = {"input": body, "plan": plan_to_json(PLAN), "output": str(tmp_path / "scan.npy"),
           "truth_output": str(tmp_path / "truth.npy"), "metal_output": str(tmp_path / "metal.npy"),
           "stored_as": "int16", "settings": {"photons_per_ray": 5e5}}  # fmt: skip
    facts = run(scan, job)
    whole, truth, metal = (np.load(tmp_path / f"{n}.npy") for n in ("scan", "truth", "metal"))
    assert whole.dtype == np.int16
    assert whole[metal > 0].mean() > 2000
    assert abs(float(truth[metal > 0].mean())) < 200
    assert facts["metal_voxels"] == metal.sum()
    run(scan, job | {"slices": [4, 5], "truth_output": None})
    np.testing.assert_allclose(np.load(tmp_path / "scan.npy")[0], whole[4], atol=2)


@pytest.mark.parametrize(
    ("module", "job", "words"),
    [
        (scan, {"slices": [7, 12]}, "not in the volume"),
        (spine, {"labels": {"npy": "x"}, "naming": 3}, "cannot be read"),
        (pairs, {}, "names no store"),
        (pairs, {"store": "s", "inputs": [{}]}, "names no CT"),
        (planning, {}, "names no labels"),
    ],
)
def test_refusals(module, job, words, body):
    job = {"input": body, "plan": plan_to_json(PLAN), "output": "out.npy"} | job
    with pytest.raises(InputError, match=words):
        run(module, job)


def test_unknown_settings_are_refused():
    with pytest.raises(InputError, match="diametr"):
        planning.settings_of({"diametr": 5})
    assert planning.settings_of({"rod": {"diameter_mm": 6.0}}).rod.diameter_mm == 6.0
