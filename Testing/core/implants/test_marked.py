"""Implants as segments of a CT: named, coded, each with its own voxels."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.marked import marked_implants, write_implants_segmentation
from spinemar.implants.voxelize import voxelize_plan
from spinemar.planning.plans.plan import Plan
from spinemar.volume import GridGeometry
from Testing.core.postop import patient


def test_together_they_are_what_the_plan_fills() -> None:
    plan, geometry = patient.operated(), patient.grid((0.8, 0.8, 2.5))
    marked = list(marked_implants(plan, geometry, load_catalogue()))
    labels = [one.label for one in marked]
    assert labels[:2] == ["screw T12 left", "screw T12 right"]
    assert labels[-2:] == ["rod left", "rod right"]
    assert {one.code[1] for one in marked if one.label.startswith("screw")} == {"Bone Screw"}
    together = np.zeros(geometry.shape, bool)
    for one in marked:
        k, j, i = one.first
        depth, height, width = one.inside.shape
        together[k : k + depth, j : j + height, i : i + width] |= one.inside
    whole = np.sum(list(voxelize_plan(plan, geometry, load_catalogue()).values()), axis=0) >= 0.5
    # Where two implants meet, neither of them need fill half of a voxel.
    assert not (together & ~whole).any()
    assert (whole & ~together).sum() < 0.02 * whole.sum()


def test_a_plan_of_another_ct_is_refused(tmp_path) -> None:
    affine = np.eye(4)
    affine[:3, 3] = 5000.0
    far = GridGeometry((4, 4, 4), affine)
    for plan in (patient.operated(), Plan(levels=())):
        with pytest.raises(InputError, match=r"None of the plan's implants"):
            write_implants_segmentation(
                tmp_path / "seg.dcm", plan, far, load_catalogue(), description="Implants"
            )
    assert not list(tmp_path.iterdir())
