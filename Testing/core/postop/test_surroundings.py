"""What a screw comes near to: the front of the body, the endplates, the joint above."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.surroundings import surroundings_of
from spinemar.planning.report.wording import surroundings_line
from spinemar.postop.bone import bone_from_labels
from spinemar.postop.find import find_implants
from spinemar.postop.table import implants_csv
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import LabelVolume
from Testing.core.postop import patient

MODEL = load_catalogue().screw("generic-polyaxial")


@pytest.fixture(scope="module")
def spine():
    return patient.spine()


@pytest.fixture(scope="module")
def field(spine):
    return bone_field(spine.labels, spine.vertebra("L1"))


def _straight(length_mm=40.0, up_mm=5.0, diameter_mm=6.0):
    """A screw straight forwards through the left pedicle of L1, whose body ends at y = 18."""
    return MODEL.placed("L1-left", "L1", "left", np.array([-12.0, -33.0, up_mm]),
                        (0.0, 1.0, 0.0), (diameter_mm, length_mm), "Ti-6Al-4V")  # fmt: skip


@pytest.mark.parametrize("length", [30.0, 40.0, 50.0, 58.0])
def test_bone_before_the_tip_is_what_is_left_of_it(spine, field, length):
    front = 3.0 + 15.0 * np.sqrt(1 - (12 / 20) ** 2)
    near = surroundings_of(_straight(length), MODEL, field, spine.labels)
    left = front - (-33.0 + length)
    assert near.bone_before_tip_mm == pytest.approx(left, abs=1.3)
    assert (near.anterior_breach_mm > 0) == (left < -1.0)
    line = surroundings_line(near)
    assert ("beyond the bone" in line) == (near.bone_before_tip_mm < 0)
    assert ("to the front" in line) == (near.anterior_breach_mm > 0.25)


@pytest.mark.parametrize("up", [-6.0, 0.0, 5.0, 9.0, 12.0])
def test_the_nearer_endplate_is_told(spine, field, up):
    """Its body reaches from -13 to 13 mm."""
    near = surroundings_of(_straight(45.0, up), MODEL, field, spine.labels)
    assert near.endplate == ("inferior" if up < 0 else "superior") or up == 0.0
    assert near.endplate_mm == pytest.approx(13.0 - abs(up) - 3.0, abs=1.5)
    through = "through" in surroundings_line(near)
    assert through == (near.endplate_mm < 0)


def test_a_screw_that_does_not_reach_the_body_has_no_endplate(spine, field):
    near = surroundings_of(_straight(12.0), MODEL, field, spine.labels)
    assert near.endplate_mm is None
    assert near.endplate == ""
    assert "endplate" not in surroundings_line(near)


def test_the_joint_above_is_told_apart_from_none_and_from_unknown(spine, field):
    screw = _straight()
    assert surroundings_of(screw, MODEL, field, spine.labels).facet_mm == 0.0
    labels, geometry = spine.labels.labels, spine.labels.geometry
    points = patient.places(geometry)
    joint = (np.abs(points - [-12.0, -38.0, 9.0]) < [5.0, 4.0, 5.0]).all(axis=-1)
    lower = LabelVolume(np.where(joint, VERSE_IDS["T12"], labels), geometry.ijk_to_ras)
    near = surroundings_of(screw, MODEL, field, lower)
    assert near.facet_mm > 1.0
    assert "vertebra above" in surroundings_line(near)
    alone = LabelVolume(
        np.where(labels == VERSE_IDS["T12"], 0, labels).astype(np.int16), geometry.ijk_to_ras
    )
    assert surroundings_of(screw, MODEL, field, alone).facet_mm is None


def test_the_table_has_columns_for_them_and_none_where_nothing_is_graded(spine):
    metal = patient.metal_of(patient.operated(), patient.grid((0.8, 0.8, 2.0)))
    found = find_implants(metal, bone_from_labels(spine), load_catalogue())
    first = found.screws[0]
    rows = list(csv.DictReader(io.StringIO(implants_csv(found))))
    for row, one in zip(rows, found.screws, strict=True):
        assert float(row["bone_before_tip_mm"]) == pytest.approx(
            one.near.bone_before_tip_mm, abs=0.01
        )
        assert row["nearest_endplate"] in ("superior", "inferior")
        assert float(row["endplate_mm"]) > 0
    assert rows[0]["facet_mm"] == ""  # nothing is labelled above T12
    assert float(rows[2]["facet_mm"]) >= 0.0
    blind = replace(found, screws=(replace(first, near=None),))
    row = next(csv.DictReader(io.StringIO(implants_csv(blind))))
    assert {row["bone_before_tip_mm"], row["endplate_mm"], row["facet_mm"]} == {""}
