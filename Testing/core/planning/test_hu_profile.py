"""HU along a screw's track, in CTs whose HU are known everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.planning.grades.hu_profile import hu_profile, sample_hu
from spinemar.volume import CTVolume


def rising(column, per_mm: float = 10.0) -> CTVolume:
    """A CT that rises forwards: linear between voxels, so that nothing is lost."""
    shape = column.labels.labels.shape
    k, j, i = np.indices(shape, dtype=float)
    ras = column.labels.geometry.to_ras(np.stack([i, j, k], axis=-1))
    return CTVolume((per_mm * ras[..., 1]).astype(np.float32), column.labels.ijk_to_ras)


def test_the_track_is_measured_from_entry_to_tip(column, screw_in):
    frame = column.vertebrae[1]
    screw = screw_in(frame, length=40.0)
    found = hu_profile(screw, rising(column), frame)
    first, isthmus = (10.0 * y for y in (screw.entry[1], frame.pedicles["right"].isthmus_ras[1]))
    assert found.depth_mm[[0, -1]].tolist() == [0.0, 40.0]
    np.testing.assert_allclose(found.hu, first + 10.0 * found.depth_mm, atol=0.05)
    assert found.mean_hu == pytest.approx(first + 200.0, abs=0.1)
    assert found.minimum_hu == pytest.approx(first, abs=0.1)
    # 6 mm before and behind the isthmus; the body from there to the tip.
    assert found.pedicle_hu == pytest.approx(isthmus, abs=0.1)
    middle = first + 10.0 * (found.depth_mm[found.hu > isthmus + 60.1]).mean()
    assert found.body_hu == pytest.approx(middle, abs=0.1)


def test_without_a_frame_there_is_no_pedicle(column, screw_in):
    screw = screw_in(column.vertebrae[1])
    assert np.isnan(hu_profile(screw, rising(column)).pedicle_hu)
    bare = replace(column.vertebrae[1], pedicles={})
    found = hu_profile(screw, rising(column), bare)
    assert np.isnan([found.pedicle_hu, found.body_hu]).all()
    assert np.isfinite(found.mean_hu)


def test_the_whole_section_is_averaged(column, screw_in):
    # A sheet one voxel thick beside the axis: the more of the section it takes, the higher.
    frame = column.vertebrae[1]
    shape = column.labels.labels.shape
    hu = np.zeros(shape, np.float32)
    thin = screw_in(frame, length=40.0, diameter=2.0)
    ijk = column.labels.geometry.to_ijk(np.array([np.add(thin.entry, (4.0, 20.0, 0.0))]))[0]
    hu[:, :, round(float(ijk[0]))] = 1000.0
    volume = CTVolume(hu, column.labels.ijk_to_ras)
    means = [hu_profile(replace(thin, diameter_mm=mm), volume).mean_hu for mm in (2.0, 4.0, 8.0)]
    assert means[0] == means[1] == 0.0
    assert 10.0 < means[2] < 250.0


def test_outside_the_ct_nothing_is_known(column, screw_in):
    volume = rising(column)
    inside = screw_in(column.vertebrae[1], length=40.0)
    away = np.array([0.0, 500.0, 0.0])
    gone = replace(
        inside, entry=tuple(inside.entry + away), tip=tuple(inside.tip + away)
    )  # fmt: skip
    found = hu_profile(gone, volume)
    assert np.isnan([found.mean_hu, found.minimum_hu, *found.hu]).all()
    front = volume.geometry.to_ras(np.array([[0.0, volume.hu.shape[1] - 1.0, 0.0]]))[0, 1]
    ahead = np.array([0.0, front - inside.entry[1] - 20.25, 0.0])
    half = replace(inside, entry=tuple(inside.entry + ahead), tip=tuple(inside.tip + ahead))
    found = hu_profile(half, volume)
    seen = np.isfinite(found.hu)
    assert seen.tolist() == (found.depth_mm <= 20.25).tolist()
    assert found.mean_hu == pytest.approx(10.0 * (half.entry[1] + 10.0), abs=0.1)
    assert np.isnan(sample_hu(volume, gone.entry + np.zeros((1, 3)))).all()
