"""Lengths of the materials along the rays."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.physics.scans.line_integrals import (
    implant_box,
    layer_paths,
    projectors,
    refined,
    slice_paths,
)
from spinemar.tomography.geometry import SinogramGeometry

MATERIALS = ("water", "cortical_bone", "316L", "PEEK")
RAYS = SinogramGeometry(n_views=90, n_bins=368, bin_mm=1.3)


@pytest.fixture(scope="module")
def project():
    return projectors((128, 128), (2.6, 2.6), RAYS)


def test_refining_keeps_the_mean_and_the_place_and_overshoots_nothing() -> None:
    image = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    fine = refined(image)
    assert fine.shape == (12, 18)
    assert fine.min() >= image.min()
    assert fine.max() <= image.max()
    np.testing.assert_allclose(fine[2:-2, 2:-2].mean(), image[1:-1, 1:-1].mean(), atol=0.03)
    ramp = np.tile(np.arange(9, dtype=np.float32), (6, 1))
    np.testing.assert_allclose(refined(ramp)[3, 1:-1], np.arange(0.25, 8, 0.5))
    np.testing.assert_allclose(refined(ramp.T)[1:-1, 3], np.arange(0.25, 8, 0.5))


def test_a_steel_disc_is_as_long_as_its_chords(disc, project) -> None:
    steel = disc(30, -20, 12)
    hu = np.full((128, 128), -1000, dtype=np.float32)
    paths = slice_paths(hu, {"316L": steel}, MATERIALS, project, with_truth=False)
    angle = RAYS.angles_rad[:, None]
    r = RAYS.bins_mm - 30 * np.cos(angle) + 20 * np.sin(angle)
    chords = 2 * np.sqrt(np.maximum(12**2 - r**2, 0))
    assert np.sqrt(((paths.scan[2] - chords) ** 2).mean()) < 0.35
    assert paths.scan[2].sum() == pytest.approx(chords.sum(), rel=2e-3)
    assert not paths.scan[3].any()


def test_no_negative_metal_beside_metal(disc, project) -> None:
    hu = np.full((128, 128), 40, dtype=np.float32)
    block = np.zeros((128, 128), dtype=np.float32)
    block[60:66, 40:90] = 1  # as sharp as a mask can be
    paths = slice_paths(hu, {"316L": block}, MATERIALS, project, with_truth=False)
    bins = paths.scan[2].reshape(90, 184, 2).mean(axis=-1)
    assert bins.max() > 120
    assert bins.min() > -0.2


def test_implants_displace_tissue(disc, project) -> None:
    hu = (-1000 + 1900 * disc(0, 0, 80)).astype(np.float32)  # 900 HU: water and bone
    steel = 0.5 * disc(0, 0, 80)
    bare = slice_paths(hu, {}, MATERIALS, project, with_truth=True)
    assert bare.truth is None
    half = slice_paths(hu, {"316L": steel}, MATERIALS, project, with_truth=True)
    middle = slice(150, 218)
    for row in (0, 1):
        np.testing.assert_allclose(half.truth[row], bare.scan[row], atol=1e-4)
        ratio = half.scan[row][:, middle] / bare.scan[row][:, middle]
        np.testing.assert_allclose(ratio, 0.5, atol=0.02)


def test_the_truth_keeps_implants_that_are_no_metal(disc, project) -> None:
    hu = np.full((128, 128), 40, dtype=np.float32)
    implants = {"316L": disc(-40, 0, 8), "PEEK": disc(40, 0, 12)}
    both = slice_paths(hu, implants, MATERIALS, project, with_truth=True)
    peek = slice_paths(hu, {"PEEK": implants["PEEK"]}, MATERIALS, project, with_truth=True)
    assert peek.truth is None
    np.testing.assert_allclose(both.truth, peek.scan, atol=1e-4)
    assert not both.truth[2].any()
    assert both.truth[3].max() > 20


@pytest.mark.parametrize("shape", [(128, 128), (127, 96)])
@pytest.mark.parametrize("at", [(-40, 30), (3, -2), (25, 44)])
def test_implants_projected_in_their_box_are_those_of_the_whole_slice(shape, at) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    place = shape[0] / 2 + at[0], shape[1] / 2 + at[1]
    steel = (np.hypot(y - place[0], x - place[1]) < 4).astype(np.float32)
    rod = (np.hypot(y - place[0] - 9, x - place[1]) < 3).astype(np.float32) / 2
    implants, hu = {"316L": steel, "PEEK": rod}, np.full(shape, 300.0)
    box = implant_box(implants.values())
    assert box is not None
    assert (box[0].stop - box[0].start) * (box[1].stop - box[1].start) < 0.2 * hu.size
    found = [
        slice_paths(
            hu, implants, MATERIALS, projectors(shape, (2.6, 2.4), RAYS, b), with_truth=True
        )
        for b in (None, box)
    ]
    for name in ("scan", "truth"):
        whole, part = (getattr(paths, name) for paths in found)
        np.testing.assert_allclose(part, whole, atol=2e-4 * whole.max())


def test_layers_share_transforms_and_stay_themselves(disc, project) -> None:
    hu = [np.full((128, 128), value, dtype=np.float32) for value in (40.0, 700.0, 40.0)]
    implants = [{"316L": disc(30, -20, 12)}, {}, {"PEEK": disc(0, 10, 9), "316L": disc(-30, 0, 6)}]
    together = layer_paths(hu, implants, MATERIALS, project, with_truth=True)
    for one, some, paths in zip(hu, implants, together, strict=True):
        alone = slice_paths(one, some, MATERIALS, project, with_truth=True)
        np.testing.assert_allclose(paths.scan, alone.scan, atol=0.03)
        assert (paths.truth is None) == (alone.truth is None) == ("316L" not in some)
        if alone.truth is not None:
            np.testing.assert_allclose(paths.truth, alone.truth, atol=0.03)


def test_no_implants_have_no_box() -> None:
    assert implant_box([]) is None
    assert implant_box([np.zeros((2, 8, 8), np.float32)]) is None
