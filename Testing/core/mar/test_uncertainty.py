"""How far values may be off: closed forms, the truth, and what the map must not touch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spinemar.errors import InputError
from spinemar.mar.correct import correct_volume
from spinemar.mar.correction.uncertainty import SCALES, UncertaintyTerms, lost_share
from spinemar.mar.inpainters.classical import NormalizedInterpolation
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.tomography.radon import RadonTransform
from spinemar.volume import CTVolume

FULL, NEVER = GateParameters.open(), GateParameters(offset=-100.0)


def _trace_of_a_disk(radon: RadonTransform, radius_mm: float) -> np.ndarray:
    bins = radon.geometry.n_bins
    offset_mm = (np.arange(bins) - (bins - 1) / 2) * radon.geometry.bin_mm
    return np.tile(np.abs(offset_mm) < radius_mm, (radon.geometry.n_views, 1))


@pytest.mark.parametrize("radius_mm", [6.0, 15.0, 30.0])
def test_the_lost_share_beside_a_disk_is_the_angle_under_which_it_is_seen(radius_mm) -> None:
    radon = RadonTransform((160, 160), (1.0, 1.0), threads=1)
    share = lost_share(radon, _trace_of_a_disk(radon, radius_mm))
    y, x = np.mgrid[:160, :160] - 79.5
    away = np.hypot(x, y)
    outside = (away > radius_mm + 4) & (away < 75)
    seen = 2 / np.pi * np.arcsin(radius_mm / away[outside])
    assert np.abs(share[outside] - seen).max() < 0.03
    assert share[away < radius_mm - 3].min() > 0.97


def test_no_ray_and_every_ray() -> None:
    radon = RadonTransform((64, 64), (1.0, 1.0), threads=1)
    trace = np.zeros(radon.geometry.shape, dtype=bool)
    assert lost_share(radon, trace).max() < 1e-4
    assert lost_share(radon, ~trace).min() > 0.9999


@given(
    beside=st.floats(0, 1e4), severity=st.floats(0, 300), share=st.floats(0, 1),
    more=st.floats(1, 3), method=st.sampled_from(sorted(SCALES)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_more_of_anything_never_makes_surer(beside, severity, share, more, method) -> None:
    def within(times_beside: float, times_severity: float, times_share: float) -> float:
        one = np.ones((1, 1), np.float32)
        terms = UncertaintyTerms(
            beside * times_beside * one, severity * times_severity, share * times_share * one
        )
        return float(terms.within_hu(SCALES[method])[0, 0])

    least = within(1, 1, 1)
    for axis in np.eye(3):
        assert within(*(1 + axis * (more - 1))) >= least * (1 - 1e-5)
    assert within(0, 0, 0) == 0.0


@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L", "CoCrMo"])
@pytest.mark.parametrize("method", ["nmar", "li"])
def test_most_errors_lie_within_and_larger_ones_where_it_says_so(scan, material, method) -> None:
    case = scan(material)
    result = correct_volume(case.volume, method=method, gate=FULL, uncertainty=True)
    said = result.uncertainty_hu
    metal = case.fraction > 0.02
    body = (case.truth.hu > -300) & ~metal & (said > 0)
    error = np.abs(result.volume.hu - case.truth.hu)[body]
    assert np.mean(error <= said[body]) > 0.9
    # Nor is it all of one size, so large that it says nothing.
    order = np.argsort(said[body])
    tenth = len(order) // 10
    assert error[order[-tenth:]].mean() > 2 * error[order[:tenth]].mean()
    assert stats.spearmanr(error, said[body]).statistic > 0.15


def test_asking_changes_no_bit_of_the_result(scan) -> None:
    case = scan("316L")
    plain = correct_volume(case.volume, method="nmar")
    asked = correct_volume(case.volume, method="nmar", uncertainty=True)
    assert plain.uncertainty_hu is None
    assert np.array_equal(plain.volume.hu, asked.volume.hu)
    assert not plain.uncertainty_in_every_slice.any()
    assert asked.uncertainty_in_every_slice is asked.uncertainty_hu
    assert asked.uncertainty_hu.dtype == np.int16


def test_nothing_is_said_of_metal_of_untouched_slices_and_of_padding(scan) -> None:
    case = scan("316L")
    hu = np.concatenate([case.volume.hu, np.full_like(case.volume.hu[:2], 40.0)])
    hu[:, :6] = -3000.0
    result = correct_volume(CTVolume(hu, case.volume.ijk_to_ras), method="nmar", uncertainty=True)
    said = result.uncertainty_hu
    assert result.corrected
    assert not said[6:].any()
    assert not said[:, :6].any()
    assert not said[result.metal_outline].any()
    assert not said[:, -6:].any()  # air behind the table
    assert said[result.corrected[0]].any()


def test_nothing_is_said_where_the_gate_left_the_slice_alone(scan) -> None:
    result = correct_volume(scan("316L").volume, method="nmar", gate=NEVER, uncertainty=True)
    assert not result.corrected
    assert not result.uncertainty_hu.any()


def test_without_metal_there_is_nothing_to_say(clean) -> None:
    result = correct_volume(clean, method="nmar", uncertainty=True)
    assert result.uncertainty_hu is None
    assert not result.uncertainty_in_every_slice.any()


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_the_map_lies_as_the_volume_is_stored(scan, order) -> None:
    case = scan("Ti-6Al-4V")
    hu, to_ras = case.volume.hu, case.volume.ijk_to_ras
    columns = [2 - order[2 - n] for n in range(3)]
    turned = np.column_stack([to_ras[:, columns], to_ras[:, 3]])
    stored = CTVolume(np.ascontiguousarray(hu.transpose(order)), turned)
    first = correct_volume(case.volume, method="nmar", uncertainty=True).uncertainty_hu
    other = correct_volume(stored, method="nmar", uncertainty=True).uncertainty_hu
    assert np.array_equal(other, first.transpose(order))


def test_threads_change_no_bit_of_it(scan) -> None:
    one, two = (
        correct_volume(scan("316L").volume, method="nmar", uncertainty=True, threads=threads)
        for threads in (1, 2)
    )
    assert np.array_equal(one.uncertainty_hu, two.uncertainty_hu)


def test_a_method_of_somebody_else_is_refused_in_words(scan) -> None:
    class Mine(NormalizedInterpolation):
        name = "mine"

    with pytest.raises(InputError, match="How far the method mine may be off was never measured"):
        correct_volume(scan("316L").volume, inpainter=Mine(), uncertainty=True)
