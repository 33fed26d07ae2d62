"""What an operation changes: the arch goes, the rest stays; findings lie where they should."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.volume import CTVolume, GridGeometry, LabelVolume
from Testing.benchmarks.earlier_ct.making import operation
from Testing.benchmarks.earlier_ct.making.specs import all_specs

AFFINE = np.array([[-1.0, 0, 0, 50], [0, -1, 0, 50], [0, 0, 2, -20], [0, 0, 0, 1.0]])
SITE = PedicleSite(
    "L1", "left", np.array([-15.0, -35, 0]), np.array([-12.0, -20, 0]), np.array([0.0, 1, 0]),
    8.0, 40.0, np.array([0.0, 0, 0]), np.array([1.0, 0, 0]), np.array([0.0, 0, 1]),
)  # fmt: skip
CANAL = np.array([0.0, -20.0, 0.0])


@pytest.fixture(scope="module")
def labels() -> LabelVolume:
    made = np.zeros((20, 100, 100), np.int16)
    made[5:15, 30:90, 20:80] = 20
    return LabelVolume(made, AFFINE)


def test_only_bone_behind_the_canal_and_between_the_facets_goes(labels) -> None:
    gone = operation.removed_arch(labels, "L1", SITE, CANAL)
    k, j, i = np.nonzero(gone)
    points = labels.geometry.to_ras(np.stack([i, j, k], -1).astype(float))
    assert points[:, 1].max() <= -20 - 5 + 1
    assert np.abs(points[:, 0]).max() <= 11 + 1
    assert points[:, 1].min() == pytest.approx(-40, abs=1.5)
    assert not gone[:5].any()
    assert not gone[15:].any()


def test_the_bed_is_soft_and_the_rest_unchanged(labels) -> None:
    volume = CTVolume(np.where(labels.labels > 0, 500, 40).astype(np.float32), AFFINE)
    gone = operation.removed_arch(labels, "L1", SITE, CANAL)
    made = operation.bed(volume, gone, np.random.default_rng(0))
    assert made.hu[gone].mean() < 120
    far = np.ones(gone.shape, bool)
    far[:, 60:95, 30:72] = False
    np.testing.assert_array_equal(made.hu[far], volume.hu[far])


@pytest.mark.parametrize(("planes", "step"), [(1, 2.0), (2, 4.0), (3, 5.0)])
def test_resampling_keeps_what_is_linear_along_the_stack(planes, step) -> None:
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None] * 10, (20, 4, 4))
    volume = CTVolume(ramp, AFFINE)
    affine = AFFINE.copy()
    affine[2, 2], affine[2, 3] = step, -10.0
    grid = GridGeometry((4, 4, 4), affine)
    made = operation.resampled(volume, grid, planes)
    expected = (-10.0 + step * np.arange(4) + 20.0) / 2.0 * 10.0
    np.testing.assert_allclose(made[:, 1, 2], expected, atol=1e-3)


def test_forty_pairs_with_every_metal_on_each_scanner_and_thin_and_thick_slices() -> None:
    specs = all_specs()
    assert len(specs) == len({spec.seed for spec in specs}) >= 40
    for scanner in ("own", "xcist"):
        assert len({s.metal for s in specs if s.scanner == scanner}) == 3
    assert min(s.slice_mm for s in specs) < 1.5
    assert max(s.slice_mm for s in specs) == 5.0
    assert not any(s.may_tune for s in specs if s.scanner == "xcist" or s.patient != "crlm_1006")
