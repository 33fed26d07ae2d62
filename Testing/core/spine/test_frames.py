"""Frames from labels: a phantom vertebra of known geometry, and the real sample CT's labels."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError, SpinemarError
from spinemar.spine.anatomy.frames import frames_along, frames_from_labels
from spinemar.spine.labels.levels import TOTALSEGMENTATOR_IDS, VERSE_IDS, shift_level
from spinemar.volume import LabelVolume
from Testing.core.spine import spine_phantom

_WIDTH, _HEIGHT = 8.0, 14.0
_CONVERGE = np.radians(8.0)


def _inside_vertebra(local):
    """Body, two oval pedicles that converge, arch and spinous process; local mm (..., 3)."""
    x, y, z = np.moveaxis(local, -1, 0)
    body = (np.hypot(x / 21, (y - 21) / 15) < 1) & (np.abs(z) < 12)
    side = np.sign(x)
    across = (np.abs(x) - 14.0) * np.cos(_CONVERGE) + (y - 4.0) * np.sin(_CONVERGE)
    along = (y - 4.0) * np.cos(_CONVERGE) - (np.abs(x) - 14.0) * np.sin(_CONVERGE)
    swell = 1 + (along / 9.0) ** 2
    pedicle = (np.hypot(across / (_WIDTH / 2), (z - 4) / (_HEIGHT / 2)) < swell) & (
        np.abs(along) < 9
    )
    ring = (np.hypot(x / 19, (y + 2) / 17) < 1) & (np.hypot(x / 11, (y + 1) / 9.5) > 1) & (y < -3)
    arch = ring & (np.abs(z) < 10)
    spinous = (np.abs(x) < 4) & (y < -12) & (y > -42) & (np.abs(z + 3) < 9)
    return body | (pedicle & (side != 0)) | arch | spinous


def _phantom(levels, ids, rotation, spacing=(0.9, 0.9, 1.5), shape=(80, 130, 110)):
    """A spine of identical vertebrae 34 mm apart, turned by `rotation` about the middle."""
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    k, j, i = np.meshgrid(*map(np.arange, shape), indexing="ij")
    centre_ijk = np.array(shape)[::-1] / 2
    affine[:3, 3] = -affine[:3, :3] @ centre_ijk + [0, -10, 0]
    ras = np.stack([i, j, k], -1) @ affine[:3, :3].T + affine[:3, 3]
    labels = np.zeros(shape, np.int16)
    for n, level in enumerate(levels):
        origin = np.array([0, 0, 34.0 * ((len(levels) - 1) / 2 - n)])
        labels[_inside_vertebra(ras @ rotation.T - origin)] = ids[level]
    return LabelVolume(labels, affine)


@pytest.mark.parametrize(
    ("rotation", "ids"),
    [
        (np.eye(3), VERSE_IDS),
        (spine_phantom.rotation(15, 0), TOTALSEGMENTATOR_IDS),
        (spine_phantom.rotation(-12, 2) @ spine_phantom.rotation(8, 1), VERSE_IDS),
    ],
    ids=["upright", "leaning forward", "turned and scoliotic"],
)
def test_phantom_frames(rotation, ids):
    model = frames_from_labels(_phantom(["L1", "L2", "L3"], ids, rotation))
    frame = model.vertebra("L2")
    np.testing.assert_allclose(frame.axes_ras @ frame.axes_ras.T, np.eye(3), atol=1e-9)
    for mine, truth in zip(frame.axes_ras, rotation, strict=True):
        assert np.degrees(np.arccos(np.clip(mine @ truth, -1, 1))) < 4
    truth_body = rotation.T @ np.array([0, 21.0, 0])
    assert np.linalg.norm(frame.body_centre_ras - truth_body) < 2
    for side, sign in (("right", 1), ("left", -1)):
        pedicle = frame.pedicles[side]
        truth = rotation.T @ np.array([sign * 14.0, 4.0, 4.0])
        # Within 3 mm of its waist the phantom's pedicle swells by less than one voxel.
        gap = pedicle.isthmus_ras - truth
        along = gap @ pedicle.axis_ras
        assert np.linalg.norm(gap - along * pedicle.axis_ras) < 1.0
        assert abs(along) < 3.0
        assert abs(pedicle.width_mm - _WIDTH) < 1.0
        assert abs(pedicle.height_mm - _HEIGHT) < 1.5
        assert pedicle.confidence > 0.5
        # The entry lies behind the isthmus on the axis.
        back = pedicle.isthmus_ras - pedicle.entry_ras
        assert back @ pedicle.axis_ras == pytest.approx(np.linalg.norm(back), abs=0.01)
        assert pedicle.axis_ras @ frame.anterior > 0.8
    assert frame.confidence > 0.8
    # The canal's contour lies around its centre, 9 to 13 mm away as the phantom has it.
    radius = np.linalg.norm(frame.canal_contour_ras - frame.canal_centre_ras, axis=1)
    assert 7 < np.median(radius) < 13
    tip = frame.to_local(frame.spinous_process_ras)
    assert tip[1] < -58


def test_cut_off_vertebra_says_so():
    whole = _phantom(["L1", "L2", "L3"], VERSE_IDS, np.eye(3))
    cut = LabelVolume(whole.labels[15:], whole.ijk_to_ras)
    labels = cut.labels.copy()
    affine = whole.ijk_to_ras.copy()
    affine[:3, 3] += affine[:3, 2] * 15
    model = frames_from_labels(LabelVolume(labels, affine))
    assert model.vertebra("L2").confidence > 0.8
    if "L3" in model.levels:
        assert model.vertebra("L3").confidence < 0.5
        assert any("cut off" in text for text in model.vertebra("L3").warnings)


def test_names_instead_of_numbers():
    labels = _phantom(["T12", "L1"], {"T12": 3, "L1": 7}, np.eye(3))
    naming = {3: "T12 vertebra", 7: "SCT^66794005^L1 vertebra", 9: "Aorta"}
    model = frames_from_labels(labels, naming=naming)
    assert model.levels == ("T12", "L1")
    assert set(np.unique(model.labels.labels)) == {0, VERSE_IDS["T12"], VERSE_IDS["L1"]}


def test_no_vertebra_is_refused():
    with pytest.raises(InputError):
        frames_from_labels(LabelVolume(np.full((4, 8, 8), 60, np.int16), np.eye(4)))


def _sample_labels():
    from spinemar.demo.sample_data import sample_labels
    from spinemar.io import read_labels

    try:
        return read_labels(sample_labels())
    except SpinemarError as error:
        pytest.skip(f"the sample CT cannot be had here: {error.problem}")


@pytest.mark.slow
def test_sample_labels_give_every_fully_visible_vertebra():
    model = frames_from_labels(_sample_labels())
    level = "T1"
    for _ in range(14):  # T1 to L2 are whole in this CT
        frame = model.vertebra(level)
        assert frame.confidence > 0.5
        assert set(frame.pedicles) == {"left", "right"}
        for pedicle in frame.pedicles.values():
            assert pedicle.confidence > 0.5
            assert 3 < pedicle.width_mm < 14
        level = shift_level(level, 1)


def test_endplates_are_fitted_to_the_smoother_bodies_and_pedicles_to_the_labels():
    """Peeled in slices of 4 mm, the lower plate loses a step at the front and leans."""
    whole = _phantom(["L1", "L2", "L3"], VERSE_IDS, np.eye(3), (0.9, 0.9, 4.0), (32, 130, 110))
    k, j, i = np.indices(whole.labels.shape)
    at = whole.geometry.to_ras(np.stack([i, j, k], -1))
    one = whole.labels == VERSE_IDS["L2"]
    lowest = one & ~np.roll(one, 1, axis=0)
    step = lowest & (at[..., 1] > at[one][:, 1].max() - 16.0)
    peeled = LabelVolume(np.where(step, 0, whole.labels), whole.ijk_to_ras)
    canal = np.stack([np.zeros(60), np.zeros(60), np.linspace(55, -55, 60)], axis=1)

    def lean(model):
        normal = model.vertebra("L2").endplates["inferior"].normal_ras
        return float(np.degrees(np.arctan2(*normal[1:])))

    alone, stiff = frames_along(peeled, canal), frames_along(peeled, canal, bodies=whole)
    assert abs(lean(alone)) > 4.0
    assert abs(lean(stiff)) < 1.0
    assert stiff.labels is peeled
    narrow = LabelVolume(np.where(np.abs(at[..., 0]) > 15.5, 0, peeled.labels), whole.ijk_to_ras)
    sides = frames_along(narrow, canal, bodies=whole).vertebra("L2").pedicles
    wide = stiff.vertebra("L2").pedicles
    for side, pedicle in sides.items():
        assert pedicle.width_mm < wide[side].width_mm - 0.5
