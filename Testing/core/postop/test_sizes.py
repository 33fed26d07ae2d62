"""Sizes of fitted shanks: one blur for a scan, the thread that is seen too thin, whole sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.postop.fit import fit_shank
from spinemar.postop.metal_share import MetalShare
from spinemar.postop.shanks import Shank
from spinemar.postop.sizes import outer_diameter_mm, with_one_blur
from spinemar.volume import GridGeometry

RADIUS_MM, LENGTH_MM = 2.0, 40.0
SPACING = (0.8, 0.8, 2.5)


def cylinder(seed: int) -> tuple[Shank, MetalShare]:
    """A shank forwards with a tapered point, more or less blurred, and its faint rim not seen."""
    rng = np.random.default_rng(seed)
    shape = (16, 90, 60)
    grid = GridGeometry(shape, np.diag([*SPACING, 1.0]))
    fine = np.linspace(-0.5, 0.5, 7)[1::2]
    share = np.zeros(shape)
    middle = np.array([24.0, 36.0, 19.0]) + rng.uniform(-0.4, 0.4, 3)
    k, j, i = np.indices(shape, dtype=float)
    for dk in fine:
        for dj in fine:
            for di in fine:
                at = grid.to_ras(np.stack([i + di, j + dj, k + dk], -1)) - middle
                depth = at[..., 1]
                taper = np.clip((LENGTH_MM / 2 - depth) / 5.0, 0.0, 1.0)
                inside = np.hypot(at[..., 0], at[..., 2]) <= RADIUS_MM * (0.25 + 0.75 * taper)
                share += inside & (np.abs(depth) <= LENGTH_MM / 2)
    share /= len(fine) ** 3
    # What is hardly metal is taken for glow: the more blurred, the thinner.
    blurred = ndimage.gaussian_filter(share, (0.0, *(rng.uniform(0.5, 1.0, 2))))
    seen = np.clip(1.25 * blurred - 0.25, 0.0, 1.0)
    shank = Shank("L1", "left", middle, np.array([0.0, 1.0, 0.0]))
    return shank, MetalShare(seen.astype(np.float32), grid)


@pytest.fixture(scope="module")
def fits():
    found = [fit_shank(*cylinder(seed)) for seed in range(8)]
    assert all(fit is not None for fit in found)
    return found


def test_radii_of_equal_shanks_are_more_alike_with_one_blur(fits):
    alone = np.array([fit.radius_mm for fit in fits])
    together = with_one_blur(fits)
    radii = np.array([fit.radius_mm for fit in together])
    assert len({fit.blur_mm for fit in together}) == 1
    assert radii.std() < alone.std()
    assert np.median(radii) < RADIUS_MM  # what was not seen does not come back


def test_where_they_lie_does_not_change(fits):
    for before, after in zip(fits, with_one_blur(fits), strict=True):
        assert np.array_equal(before.neck, after.neck)
        assert np.array_equal(before.tip, after.tip)


def test_one_alone_stays_and_none_stays_none(fits):
    (alone,) = with_one_blur(fits[:1])
    assert alone.radius_mm == fits[0].radius_mm
    assert with_one_blur([]) == []


def test_a_thread_is_thicker_than_its_metal(fits):
    for fit in fits:
        assert 1.2 < outer_diameter_mm(fit) / (2 * fit.radius_mm) < 1.4
