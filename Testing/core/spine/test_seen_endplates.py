"""Endplates fitted to their edge in the CT, on a body between two known planes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.planning.alignment.curves import alignment_of
from spinemar.spine.anatomy.agreement.seen_endplates import with_seen_endplates
from spinemar.spine.model import Endplate, SpineModel, VertebraFrame
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import CTVolume, LabelVolume

HALF_MM = 12.0


def leaning(degrees, to_right=0.0):
    """A unit normal that leans forwards, and a little to the right."""
    normal = np.array([np.tan(np.radians(to_right)), np.tan(np.radians(degrees)), 1.0])
    return normal / np.linalg.norm(normal)


def lean(plate):
    return np.degrees(np.arctan2(plate.normal_ras[1], plate.normal_ras[2]))


def body(upper, lower, slice_mm=1.0, bone=260.0, disc=80.0, noise=20.0):
    """The CT of a body between planes that lean by so many degrees, discs and bone beyond."""
    shape = (round(70 / slice_mm), 70, 70)
    affine = np.diag([-1.0, 1.0, slice_mm, 1.0])
    affine[:3, 3] = [35.0, -35.0, -35.0]
    k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    # Slices are means over their thickness, as a scanner's.
    hu = np.zeros(shape)
    for off in (-0.4, -0.2, 0.0, 0.2, 0.4):
        ras = np.stack([i, j, k + off], -1) @ affine[:3, :3].T + affine[:3, 3]
        above = ras @ leaning(upper) - HALF_MM
        below = -(ras @ leaning(lower)) - HALF_MM
        inside = (above < 0) & (below < 0)
        beyond = (above > 6) | (below > 6)
        hu += np.where(inside | beyond, bone, disc) / 5
    outside = np.hypot(ras[..., 0] / 22, ras[..., 1] / 18) > 1
    hu[outside] = 0.0
    hu += np.random.default_rng(3).normal(0, noise, shape)
    return CTVolume(hu.astype(np.float32), affine)


def frame(upper, lower, shift_mm=0.0):
    up = np.array([0.0, 0.0, 1.0])
    return VertebraFrame(
        level="L3",
        body_centre_ras=np.zeros(3),
        axes_ras=np.eye(3),
        endplates={
            "superior": Endplate((HALF_MM + shift_mm) * up, leaning(upper, 3.0)),
            "inferior": Endplate(-(HALF_MM - shift_mm) * up, leaning(lower, -3.0)),
        },
        canal_centre_ras=np.array([0.0, -25.0, 0.0]),
        spinous_process_ras=None,
        pedicles={},
        confidence=1.0,
    )


@pytest.mark.parametrize("slice_mm", [1.0, 2.5, 4.0])
@pytest.mark.parametrize(("upper", "lower"), [(0.0, 0.0), (10.0, -6.0), (25.0, 18.0)])
@pytest.mark.parametrize("wrong", [-5.0, 4.0])
def test_a_plate_that_is_off_is_turned_onto_its_edge(slice_mm, upper, lower, wrong):
    ct = body(upper, lower, slice_mm)
    found = with_seen_endplates(frame(upper + wrong, lower - wrong, 1.0), ct)
    # Slices of 4 mm may blur an edge away, or leave a plate as it leans.
    assert slice_mm > 3.0 or set(found.seen_endplates) == {"superior", "inferior"}
    for name, plate in found.seen_endplates.items():
        true = upper if name == "superior" else lower
        assert abs(lean(plate) - true) < (4.5 if slice_mm > 3.0 else 2.3)
        gap = abs(plate.point_ras @ leaning(true)) - HALF_MM
        assert abs(gap) < 1.25
    # What the labels have stays beside it: screws and cages go on with that.
    assert lean(found.endplates["superior"]) == pytest.approx(upper + wrong)


@pytest.mark.parametrize(("bone", "disc"), [(80.0, 80.0), (80.0, 110.0)])
def test_porous_bone_shows_no_edge(bone, disc):
    given = frame(6.0, 2.0)
    found = with_seen_endplates(given, body(4.0, 4.0, 2.5, bone, disc))
    assert dict(found.seen_endplates) == {}
    assert found.endplate("superior") is given.endplates["superior"]
    assert found.endplate("other") is None


def test_angles_are_measured_between_what_is_seen_and_survive_json():
    seen = with_seen_endplates(frame(4.0, 4.0), body(9.0, -2.0))
    assert set(seen.seen_endplates) == {"superior", "inferior"}
    other = replace(seen, level="L4", seen_endplates={})
    disc = alignment_of((seen, other)).discs["L3/L4"]
    assert disc == pytest.approx(
        lean(other.endplates["superior"]) - lean(seen.endplate("inferior"))
    )
    labels = LabelVolume(np.zeros((2, 2, 2), np.int16), np.eye(4))
    model = SpineModel(labels, (seen,), np.zeros((0, 3)))
    (again,) = spine_from_json(spine_to_json(model), labels).vertebrae
    for name, plate in seen.seen_endplates.items():
        assert np.array_equal(again.seen_endplates[name].point_ras, plate.point_ras)
        assert np.array_equal(again.seen_endplates[name].normal_ras, plate.normal_ras)
