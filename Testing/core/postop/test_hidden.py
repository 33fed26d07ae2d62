"""What metal hides of a vertebra is taken from its other side, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.postop.hidden.filling import GLOW_SHARE, hidden_by
from spinemar.postop.hidden.labels import labels_behind_metal
from spinemar.postop.hidden.surface import surface_behind_metal
from spinemar.postop.metal_share import MetalShare
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import GridGeometry, LabelVolume
from Testing.core.postop import patient

GEOMETRY = patient.grid((0.8, 0.8, 1.5))
LEVEL, NUMBER = "L1", VERSE_IDS["L1"]


@pytest.fixture(scope="module")
def spine():
    return patient.spine()


@pytest.fixture(scope="module")
def screws():
    """Both screws of L1, the left one in the canal."""
    plan = patient.operated(shift_mm=5.0, rods=False)
    return {screw.side: screw for screw in plan.screws if screw.level == LEVEL}


def metal_of(*screws):
    plan = patient.operated(rods=False)
    return patient.metal_of(replace(plan, screws=tuple(screws)), GEOMETRY)


def spoilt(hidden, how):
    """The true labels, and those that hug a screw or shy away from it."""
    true = patient.labels_on(GEOMETRY)
    near = how == "hugs it"
    labels = np.where(hidden & (true.labels != NUMBER) & near, NUMBER, true.labels)
    labels = np.where(hidden & (not near), 0, labels)
    return true, LabelVolume(labels.astype(np.int16), GEOMETRY.ijk_to_ras)


@pytest.mark.parametrize("how", ["hugs it", "shies away"])
def test_a_breach_is_graded_in_the_bone_that_the_other_side_shows(spine, screws, how):
    metal = metal_of(screws["left"])
    hidden = hidden_by(metal)
    true, wrong = spoilt(hidden, how)
    frame = spine.vertebra(LEVEL)
    truth = assess_screw(screws["left"], bone_field(true, frame)).grade
    fooled = assess_screw(screws["left"], bone_field(wrong, frame)).grade
    lent = surface_behind_metal(bone_field(wrong, frame), hidden, GEOMETRY, ())
    found = assess_screw(screws["left"], lent).grade
    assert abs(found.margin_mm - truth.margin_mm) < 0.5
    assert abs(fooled.margin_mm - truth.margin_mm) > 1.0
    assert found.letter == truth.letter


def test_where_both_sides_are_hidden_and_nobody_tells_the_bone_stays(spine, screws):
    metal = metal_of(*screws.values())
    frame, hidden = spine.vertebra(LEVEL), hidden_by(metal)
    field = bone_field(spoilt(hidden, "hugs it")[1], frame)
    lent = surface_behind_metal(field, hidden, GEOMETRY, ())
    mirrored = hidden & ndimage.map_coordinates(
        hidden.astype(np.float32), _mirrored_places(frame), order=0
    ).astype(bool)
    deep = ndimage.binary_erosion(mirrored, iterations=1)
    points = GEOMETRY.to_ras(np.argwhere(deep)[:, ::-1].astype(float))
    assert len(points) > 100
    same = np.sign(lent.distance_mm(points)) == np.sign(field.distance_mm(points))
    assert same.mean() > 0.97


def test_a_side_out_of_the_field_lends_nothing(spine, screws):
    """A targeted field that shows the left half alone: right of it there is no bone to be seen."""
    hidden = hidden_by(metal_of(screws["left"]))
    columns = (patient.places(GEOMETRY)[0, 0, :, 0] < 0.0).nonzero()[0]
    first = int(columns[0])
    assert columns[-1] == GEOMETRY.shape[2] - 1
    matrix = GEOMETRY.ijk_to_ras.copy()
    matrix[:3, 3] = GEOMETRY.to_ras(np.array([first, 0.0, 0.0]))
    cut = np.ascontiguousarray(spoilt(hidden, "hugs it")[1].labels[:, :, first:])
    geometry = GridGeometry(cut.shape, matrix)
    field = bone_field(LabelVolume(cut, matrix), spine.vertebra(LEVEL))
    assert surface_behind_metal(field, hidden[:, :, first:], geometry, ()) is field


def _mirrored_places(frame):
    local = frame.to_local(patient.places(GEOMETRY)) * np.array([-1.0, 1.0, 1.0])
    return np.moveaxis(GEOMETRY.to_ijk(frame.to_ras(local))[..., ::-1], -1, 0)


def test_without_metal_nothing_changes(spine):
    field = bone_field(spine.labels, spine.vertebra(LEVEL))
    nothing = np.zeros(GEOMETRY.shape, bool)
    assert surface_behind_metal(field, nothing, GEOMETRY, ()) is field
    labels = patient.labels_on(GEOMETRY)
    kept = labels_behind_metal(labels, {LEVEL: field}, nothing)
    assert np.array_equal(kept.labels, labels.labels)


def test_labels_show_what_is_graded_and_leave_neighbours_alone(spine, screws):
    hidden = hidden_by(metal_of(screws["left"]))
    _, wrong = spoilt(hidden, "hugs it")
    other = VERSE_IDS["L2"]
    crowded = wrong.labels.copy()
    crowded[hidden & (np.arange(hidden.shape[0]) % 2 == 0)[:, None, None]] = other
    frame = spine.vertebra(LEVEL)
    lent = surface_behind_metal(bone_field(wrong, frame), hidden, GEOMETRY, ())
    drawn = labels_behind_metal(replace(wrong, labels=crowded), {LEVEL: lent}, hidden).labels
    assert np.array_equal(drawn[~hidden], crowded[~hidden])
    assert np.array_equal(drawn == other, crowded == other)
    free = hidden & (crowded != other)
    inside = lent.distance_mm(GEOMETRY.to_ras(np.argwhere(free)[:, ::-1].astype(float))) < 0
    assert np.array_equal(drawn[free] == NUMBER, inside)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 2.0), (0.5, 0.7, 5.0)])
def test_metal_hides_itself_and_a_rim_in_its_slice(spacing):
    geometry = patient.grid(spacing)
    share = np.zeros(geometry.shape, np.float32)
    k, j, i = (n // 2 for n in geometry.shape)
    share[k, j, i] = 1.0
    share[k, j + 40, i] = GLOW_SHARE / 2
    hidden = hidden_by(MetalShare(share, geometry))
    rows, columns = geometry.spacing_mm[1], geometry.spacing_mm[0]
    _, jj, ii = np.indices(geometry.shape)
    within = np.hypot((jj - j) * rows, (ii - i) * columns) <= 1.2
    within[np.arange(geometry.shape[0]) != k] = False
    assert np.array_equal(hidden, within)
