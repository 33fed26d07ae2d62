"""Raw data that are something else: refused with what they seem to be, before any work."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.mar.raw import correct_sinogram
from spinemar.physics.raw_scan import simulate_raw
from spinemar.tomography.raw_data.sinogram import Sinogram
from Testing.core.mar.test_raw import PIXEL_MM, SIZE, _patient, _settings


@pytest.fixture(scope="module", params=["parallel", "fan-arc", "helical"])
def raw(request) -> Sinogram:
    volume, implants = _patient(slices=3 if request.param == "helical" else 1)
    settings = _settings(geometry=request.param, detector_rows=2)
    return simulate_raw(volume, implants, settings, slices=slice(0, 1))


@pytest.fixture(scope="module")
def parallel() -> Sinogram:
    return simulate_raw(*_patient(), _settings(geometry="parallel"))


def _correct(raw: Sinogram):
    return correct_sinogram(raw, matrix=SIZE, fov_mm=SIZE * PIXEL_MM, method="li")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: 1e5 * np.exp(-p), "larger beside the body"),
        (lambda p: np.exp(-p), "larger beside the body"),
        (lambda p: np.log(1e6 * np.exp(-np.minimum(p, 12))), "larger beside the body"),
        (lambda p: -p, "without its minus sign"),
        (lambda p: 30 * p, "more than any body"),
        (lambda p: p / np.log(10), "no Hounsfield units"),
        (lambda p: p / 10, "no Hounsfield units"),
    ],
    ids=["counts", "transmission", "log-of-counts", "sign", "scaled", "log10", "per-cm"],
)
def test_values_that_are_no_line_integrals(raw: Sinogram, change, problem) -> None:
    changed = dataclasses.replace(raw, projections=change(raw.projections).astype(np.float32))
    with pytest.raises(InputError, match=problem) as refused:
        _correct(changed)
    assert "logarithm" in refused.value.remedy


def _views(raw: Sinogram, projections: np.ndarray, **changes) -> Sinogram:
    geometry = dataclasses.replace(raw.geometry, n_views=projections.shape[1], **changes)
    return dataclasses.replace(raw, projections=projections, geometry=geometry)


def test_a_whole_turn_of_parallel_views(parallel: Sinogram) -> None:
    p = parallel.projections
    with pytest.raises(InputError, match="whole turn") as refused:
        _correct(_views(parallel, np.concatenate([p, p[:, :, ::-1]], axis=1)))
    assert "first half" in refused.value.remedy


def test_a_part_of_a_turn_or_an_axis_beside_the_middle(parallel: Sinogram) -> None:
    p = parallel.projections
    for projections in (p[:, : p.shape[1] // 2], np.roll(p, 25, axis=2)):
        with pytest.raises(InputError, match="do not span half a turn"):
            _correct(_views(parallel, np.ascontiguousarray(projections)))


@pytest.mark.parametrize("factor", [0.1, 10.0], ids=["cm", "tenths"])
def test_bins_in_another_unit(parallel: Sinogram, factor: float) -> None:
    changed = _views(parallel, parallel.projections, bin_mm=parallel.geometry.bin_mm * factor)
    with pytest.raises(InputError, match="no Hounsfield units") as refused:
        _correct(changed)
    assert "bin_mm is in millimetres" in refused.value.remedy


def test_what_is_right_is_corrected_in_every_geometry(raw: Sinogram) -> None:
    assert np.isfinite(_correct(raw).result.volume.hu).all()


@pytest.mark.parametrize("views", [90, 720])
@pytest.mark.parametrize("photons", [5e4, 1e6])
def test_coarse_and_noisy_views_close(views: int, photons: float) -> None:
    raw = simulate_raw(
        *_patient(), _settings(geometry="parallel", n_views=views, photons_per_ray=photons)
    )
    assert np.isfinite(_correct(raw).before.hu).all()


@pytest.mark.parametrize("views", [1, 2, 3])
def test_of_fewer_than_four_views_nothing_can_be_said(views: int) -> None:
    from spinemar.tomography.raw_data.plausible import check_half_turn

    check_half_turn(np.random.default_rng(views).random((1, views, 16)).astype(np.float32))


def test_four_views_are_enough_to_see_a_whole_turn_and_three_are_not() -> None:
    from spinemar.tomography.raw_data.plausible import check_half_turn

    first = np.arange(16, dtype=np.float32)
    second = first + 0.1
    check_half_turn(np.stack([first, first[::-1], first[::-1]])[None])
    with pytest.raises(InputError, match="whole turn"):
        check_half_turn(np.stack([first, second, first[::-1], second[::-1]])[None])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_body_to_one_side_of_the_middle_is_seen(mirrored: bool) -> None:
    from spinemar.tomography.raw_data.plausible import check_line_integrals

    projections = np.full((1, 8, 96), 0.6, dtype=np.float32)
    projections[..., 32:48] = 4.0
    projections[..., 48:64] = 0.0
    check_line_integrals(projections[..., ::-1] if mirrored else projections)
