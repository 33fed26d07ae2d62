"""The planner's jobs: what they hand back, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.placement import Rod, Screw
from spinemar.implants.voxelize import voxelize_plan
from spinemar.jobs.engine.request import request_of
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


# What each kind of job cannot do without.
WHOLE = {
    "correct": {"input": "ct.nrrd", "output": "out.nrrd"},
    "find-implants": {"input": "ct.nrrd", "plan_output": "p.json"},
    "batch": {"sources": ["ct.nrrd"], "folder": "out"},
    "find-metal": {"input": "ct.nrrd", "metal_output": "m.npy"},
    "sample-files": {},
    "sample-scan": {"folder": "out"},
    "segment-spine": {"labels_output": "l.npy", "frames_output": "f.json"},
    "spine-surfaces": {"labels": "l.nrrd", "output": "s.npz"},
    "outline-pelvis": {"input": "c.nrrd", "labels": "l.nrrd", "frames": "f.json",
                       "fields_folder": "f"},
    "plan": {"labels": "l.nrrd", "frames": "f.json", "levels": ["L1"], "plan_output": "p.json"},
    "voxelize": {"plan": "{}", "shape": [9, 64, 48], "ijk_to_ras": MATRIX.tolist(),
                 "folder": "out"},
    "scan": {"input": "ct.nrrd", "plan": "{}", "output": "out.npy"},
    "plan-report": {"input": "ct.nrrd", "labels": "l.nrrd", "frames": "f.json", "plan": "{}",
                    "folder": "out"},
    "write-series": {"input": {"npy": "x.npy", "ijk_to_ras": MATRIX.tolist()},
                     "sources": ["a.dcm"], "folder": "out"},
    "write-implants": {"plan": "{}", "shape": [9, 64, 48], "ijk_to_ras": MATRIX.tolist(),
                       "folder": "out"},
    "pairs": {"store": "store.zarr", "inputs": [{"ct": "ct.nrrd", "patient": "p"}]},
}  # fmt: skip


def test_every_kind_is_listed_here():
    assert set(WHOLE) == set(KINDS)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("change", ["an unknown entry", "an entry less", "a wrong kind"])
def test_jobs_are_read_strictly(kind, change, tmp_path, monkeypatch):
    """Before anything is read or written, whatever the kind."""
    monkeypatch.chdir(tmp_path)
    for name in WHOLE[kind] if change != "an unknown entry" else ("outptu", "seeds "):
        job = {"schema": "spinemar-job/1", "kind": kind, **WHOLE[kind]}
        if change == "an entry less":
            del job[name]
        else:
            job[name] = {"no": "such"} if change == "an unknown entry" else 7
        if change == "a wrong kind" and name in ("input", "labels"):
            continue  # a path or an array: whoever loads it says what is wrong
        with pytest.raises(InputError, match=name.strip()):
            function_of(kind)(job, ignore_progress, CancelToken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", WHOLE)
def test_an_unknown_entry_is_named_beside_the_nearest_known_one(kind, tmp_path, monkeypatch):
    """At the top of every kind of job, each known entry misspelt in turn."""
    monkeypatch.chdir(tmp_path)
    for name in WHOLE[kind]:
        misspelt = name[:-1] + "_" + name[-1]
        job = {"schema": "spinemar-job/1", "kind": kind, **WHOLE[kind], misspelt: None}
        with pytest.raises(InputError) as refused:
            function_of(kind)(job, ignore_progress, CancelToken())
        assert f"unknown entry '{misspelt}'" in refused.value.problem
        assert f"Did you mean '{name}'?" in refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_named_beside_the_nearest_known_one():
    with pytest.raises(InputError, match="Did you mean 'find-metal'"):
        function_of("find-metals")


@pytest.mark.parametrize(
    ("module", "job", "words"),
    [
        (scan, {"slices": [7, 12]}, "not in the volume"),
        (scan, {"settings": {"kilovolts": 120}}, "kilovolts"),
        (spine, {"labels": {"npy": "x"}}, "cannot be read"),
        (spine, {"naming": {"three": "L3"}}, "naming is no table"),
        (spine, {"seeds": {"L1": [1.0, 2.0]}}, "L1"),
        (planning, {"labels": None}, "names no labels"),
        (planning, {"settings": {"diametr": 5}}, "diametr"),
        (pairs, {"inputs": [{"patient": "p"}]}, "'ct'"),
        (pairs, {"settings": {"matrx": 64}}, "matrx"),
    ],
)
def test_refusals(module, job, words, body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = dict(WHOLE[{scan: "scan", spine: "segment-spine", planning: "plan",
                        pairs: "pairs"}[module]])  # fmt: skip
    if "input" in whole or module is spine:
        whole["input"] = body
    if "plan" in whole:
        whole["plan"] = plan_to_json(PLAN)
    if "naming" in job:
        whole["labels"] = body
    with pytest.raises(InputError, match=words):
        run(module, whole | job)


def test_settings_of_a_plan_come_with_their_rods():
    job = WHOLE["plan"] | {"settings": {"rod": {"diameter_mm": 6.0}}}
    assert request_of(planning.PlanRequest, job).settings.rod.diameter_mm == 6.0
