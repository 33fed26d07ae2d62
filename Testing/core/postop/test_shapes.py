"""Where both sides of a vertebra are hidden, those of other people tell what is behind metal."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.planning.grades.bone import bone_field
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.postop.hidden.filling import hidden_by
from spinemar.postop.hidden.shapes import VertebraShape, read_shapes, shapes_near, write_shapes
from spinemar.postop.hidden.surface import surface_behind_metal
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from spinemar.volume import LabelVolume
from Testing.core.postop import patient

GEOMETRY = patient.grid((0.8, 0.8, 1.5))
LEVEL, NUMBER = "L1", VERSE_IDS["L1"]
JUDGES = {"crlm_1006", "lidc_idri_0001"}


@pytest.fixture(scope="module")
def spine():
    return patient.spine()


@pytest.fixture(scope="module")
def hidden():
    return hidden_by(patient.metal_of(patient.operated(shift_mm=5.0, rods=False), GEOMETRY))


def shape_of(spine, level, stretched=1.0, shifted_mm=(0.0, 0.0, 0.0)):
    """The drawn vertebra as somebody else's: of another size, its frame set elsewhere."""
    field = bone_field(patient.labels_on(GEOMETRY), spine.vertebra(level))
    thinned = field.values[::3, ::3, ::3] * np.float32(stretched)
    first = field.first_local * stretched + np.array(shifted_mm)
    return VertebraShape("other", level, thinned, first, 3 * field.step_mm * stretched)


def spoilt(hidden):
    """Labels that see no bone behind metal: two screws fill their pedicles."""
    labels = np.where(hidden, 0, patient.labels_on(GEOMETRY).labels)
    return LabelVolume(labels.astype(np.int16), GEOMETRY.ijk_to_ras)


@pytest.mark.parametrize(
    ("stretched", "shifted_mm"),
    [(1.0, (0.0, 0.0, 0.0)), (1.08, (0.0, 2.0, -1.5)), (0.93, (1, 0, 2))],
)
def test_screws_of_both_sides_are_graded_in_others_shapes(spine, hidden, stretched, shifted_mm):
    frame = spine.vertebra(LEVEL)
    shapes = [shape_of(spine, LEVEL, stretched, shifted_mm)] * 3
    wrong = bone_field(spoilt(hidden), frame)
    told = surface_behind_metal(wrong, hidden, GEOMETRY, shapes)
    alone = surface_behind_metal(wrong, hidden, GEOMETRY, ())
    true = bone_field(patient.labels_on(GEOMETRY), frame)
    screws = [s for s in patient.operated(shift_mm=5.0, rods=False).screws if s.level == LEVEL]
    assert len(screws) == 2
    off, off_alone = [], []
    for screw in screws:
        margin = assess_screw(screw, true).grade.margin_mm
        off.append(abs(assess_screw(screw, told).grade.margin_mm - margin))
        off_alone.append(abs(assess_screw(screw, alone).grade.margin_mm - margin))
    assert max(off) < 0.75
    assert min(off_alone) > 1.0


def test_what_is_seen_stays_as_it_was_segmented(spine, hidden):
    frame = spine.vertebra(LEVEL)
    field = bone_field(spoilt(hidden), frame)
    told = surface_behind_metal(field, hidden, GEOMETRY, [shape_of(spine, LEVEL, 1.3)] * 3)
    places = field.first_local + np.argwhere(np.ones(field.values.shape)) * field.step_mm
    behind = patient.metal_of(patient.operated(shift_mm=5.0, rods=False), GEOMETRY)
    far = behind.at(frame.to_ras(places)).reshape(field.values.shape) == 0.0
    index = np.moveaxis(GEOMETRY.to_ijk(frame.to_ras(places))[..., ::-1], -1, 0)
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~hidden, sampling=GEOMETRY.spacing_mm[::-1])
    far &= ndimage.map_coordinates(away, index, order=1).reshape(far.shape) > 3.0
    assert far.any()
    assert np.array_equal(told.values[far] < 0, field.values[far] < 0)


def test_shapes_of_other_levels_tell_nothing(spine, hidden):
    frame = spine.vertebra(LEVEL)
    field = bone_field(spoilt(hidden), frame)
    foreign = VertebraShape("other", "T3", field.values, field.first_local, field.step_mm)
    told = surface_behind_metal(field, hidden, GEOMETRY, [foreign] * 5)
    alone = surface_behind_metal(field, hidden, GEOMETRY, ())
    assert np.array_equal(told.values, alone.values)


def test_shapes_are_kept_to_a_tenth_of_a_millimetre(spine, tmp_path):
    shape = shape_of(spine, LEVEL)
    write_shapes(tmp_path / "shapes.npz", [shape, shape])
    back = read_shapes(tmp_path / "shapes.npz")
    assert [one.level for one in back] == [LEVEL, LEVEL]
    near = np.abs(shape.distance_mm) < 7.0
    assert np.abs(back[0].distance_mm - shape.distance_mm)[near].max() < 0.05
    assert np.array_equal(back[0].first_local, shape.first_local)


def test_shipped_shapes_are_of_training_patients_and_of_bone():
    """The letters of the validation and the test patient are measured with them."""
    shapes = read_shapes()
    assert not {one.patient for one in shapes} & JUDGES
    for one in shapes:
        assert one.at(np.zeros((1, 3)))[0] < -5.0, one.level  # the middle of its body
        assert one.at(np.array([[0.0, -15.0, 0.0], [0.0, -22.0, 0.0]])).max() > 2.0  # its canal
    for level in (f"T{n}" for n in range(7, 13)):
        assert len(shapes_near(level, shapes, 2)) >= 3
    assert not [one for one in shapes if one.level == SACRUM]
