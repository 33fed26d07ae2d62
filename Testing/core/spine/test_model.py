"""Frames survive JSON bit for bit, and damaged JSON is refused with a remedy."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinemar.errors import InputError
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.model import Endplate, PedicleFrame, SpineModel, VertebraFrame
from spinemar.spine.serial import spine_from_json, spine_to_json
from spinemar.volume import LabelVolume

_POINT = arrays(np.float64, 3, elements=st.floats(-500, 500))
_LABELS = LabelVolume(np.zeros((2, 2, 2), np.int16), np.eye(4))


def _pedicle(side, point):
    return PedicleFrame(side, point, point + 1, np.array([0.0, 1.0, 0.0]), 7.1, 12.3, 0.8)


def _vertebra(point, spinous):
    return VertebraFrame(
        level="L1",
        body_centre_ras=point,
        axes_ras=np.linalg.qr(np.outer(point, [1, 2, 3]) + np.eye(3))[0],
        endplates={"superior": Endplate(point + 3, np.array([0.0, 0.0, 1.0]))},
        canal_centre_ras=point / 3,
        spinous_process_ras=spinous,
        pedicles={side: _pedicle(side, point) for side in ("left", "right")},
        confidence=0.7,
        warnings=("Cut off by the volume's edge.",),
        canal_contour_ras=np.stack([point, point * 2]),
    )


@settings(max_examples=30, deadline=None)
@given(_POINT, st.booleans())
def test_round_trip_is_exact(point, has_spinous):
    model = SpineModel(_LABELS, (_vertebra(point, point if has_spinous else None),), [point])
    again = spine_from_json(spine_to_json(model), _LABELS)
    assert spine_to_json(again) == spine_to_json(model)
    one, two = model.vertebrae[0], again.vertebrae[0]
    np.testing.assert_array_equal(one.axes_ras, two.axes_ras)
    np.testing.assert_array_equal(
        one.pedicles["left"].isthmus_ras, two.pedicles["left"].isthmus_ras
    )
    assert (two.spinous_process_ras is None) == (not has_spinous)


def test_local_coordinates_invert():
    vertebra = _vertebra(np.array([3.0, -40.0, 7.0]), None)
    points = np.random.default_rng(0).normal(size=(5, 3)) * 30
    np.testing.assert_allclose(vertebra.to_ras(vertebra.to_local(points)), points, atol=1e-9)


@pytest.mark.parametrize("damage", ["version", "schema", "nan", "missing", "text"])
def test_damaged_json_is_refused(damage):
    model = SpineModel(_LABELS, (_vertebra(np.ones(3), None),), np.zeros((0, 3)))
    document = json.loads(spine_to_json(model))
    if damage == "version":
        document["version"] = 99
    elif damage == "schema":
        document["schema"] = "other"
    elif damage == "nan":
        document["vertebrae"][0]["body_centre_ras"][0] = float("nan")
    elif damage == "missing":
        del document["vertebrae"][0]["axes_ras"]
    text = "no json" if damage == "text" else json.dumps(document)
    with pytest.raises(InputError) as caught:
        spine_from_json(text, _LABELS)
    assert caught.value.remedy


@pytest.mark.parametrize("said", [{"schema": "other"}, {"version": 99}, {"version": [1]}, {}])
@pytest.mark.parametrize("left_out", ["schema", "version", "vertebrae", "canal_ras", "units"])
def test_frames_that_say_less_are_refused_or_read(said, left_out):
    """Whatever is missing beside whatever is wrong: a sentence; units are for people."""
    model = SpineModel(_LABELS, (_vertebra(np.ones(3), None),), np.zeros((0, 3)))
    document = {**json.loads(spine_to_json(model)), **said}
    del document[left_out]
    if left_out == "units" and not said:
        assert spine_from_json(json.dumps(document), _LABELS).levels == model.levels
        return
    with pytest.raises(InputError) as caught:
        spine_from_json(json.dumps(document), _LABELS)
    assert caught.value.remedy


def test_unknown_level_names_the_found_ones():
    model = SpineModel(_LABELS, (_vertebra(np.ones(3), None),), np.zeros((0, 3)))
    with pytest.raises(InputError, match="L1"):
        model.vertebra("T5")


@pytest.mark.parametrize(
    ("level", "said"),
    [("L2", "not seen well enough."), ("S1", "no L5 above it."), ("C2", "is not measured.")],
)
def test_a_level_that_is_labelled_alone_says_why(level, said):
    labels = _LABELS.labels.copy()
    labels[0, 0, 0] = VERSE_IDS[level]
    model = SpineModel(replace(_LABELS, labels=labels), (), np.zeros((0, 3)))
    with pytest.raises(InputError) as caught:
        model.vertebra(level)
    assert caught.value.problem.endswith(said)
