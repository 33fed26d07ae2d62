"""The job "correct" takes the implants of a plan as the metal."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.jobs.engine.arrays import save_array
from spinemar.jobs.registry import function_of
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.progress import CancelToken, ignore_progress
from Testing.core.jobs.test_worker import AFFINE, screwed_body

MODEL = load_catalogue().screw("generic-polyaxial")


def _job(folder, plan, **more):
    volume = screwed_body()
    save_array(folder / "in.npy", volume.hu.astype(np.int16))
    return {
        "input": {"npy": str(folder / "in.npy"), "ijk_to_ras": AFFINE.tolist()},
        "output": str(folder / "out.npy"),
        "metal_output": str(folder / "metal.npy"),
        "metal_plan": plan if isinstance(plan, str) else plan_to_json(plan),
        "stored_as": "int16",
        "settings": {"method": "li"},
        **more,
    }


def _plan(z_mm=5.0):
    """A screw forwards through the right one of the two drawn pins (i = 78, j = 74)."""
    entry = np.array([-1.6 * 78, -1.6 * 74 - 18.0, z_mm])
    size = (6.0, 36.0)
    screw = MODEL.placed("a", "L1", "left", entry, (0.0, 1.0, 0.0), size, "Ti-6Al-4V")
    return Plan(levels=("L1",), screws=(screw,))


def _run(job):
    return function_of("correct")(job, ignore_progress, CancelToken())


def test_metal_is_what_the_plan_draws(tmp_path):
    facts = _run(_job(tmp_path, _plan()))
    json.dumps(facts)
    metal = np.load(tmp_path / "metal.npy")
    assert {1, 2, 3, 4} <= set(np.flatnonzero((metal > 0).any(axis=(1, 2))))
    assert abs(np.argwhere(metal > 0)[:, 2].mean() - 78) < 3
    # The other pin is in no plan: it is left as it was.
    assert not metal[:, :, :64].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda job, _: job | {"metal_plan": plan_to_json(_plan(500.0))}, "lies in this CT"),
        (lambda job, _: job | {"metal_plan": "{}"}, "plan"),
        (lambda job, mask: job | {"metal_mask": mask}, "a mask and a plan"),
    ],
)
def test_a_plan_that_cannot_be_the_metal_is_refused(tmp_path, change, words):
    mask = np.ones((6, 128, 128), np.uint8)
    save_array(tmp_path / "mask.npy", mask)
    named = {"npy": str(tmp_path / "mask.npy"), "ijk_to_ras": AFFINE.tolist()}
    with pytest.raises(InputError, match=words):
        _run(change(_job(tmp_path, _plan()), named))
    assert not (tmp_path / "out.npy").exists()
