"""Correcting volumes: against the truth, and what must never change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spinemar.errors import CancelledError, FaultError, GeometryError, InputError, ModelError
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.classical import NormalizedInterpolation
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.progress import CancelToken
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu
from spinemar.volume import CTVolume


def _middle(case) -> CTVolume:
    """Return the two slices with screws."""
    return CTVolume(case.volume.hu[2:4], case.volume.ijk_to_ras)


FULL = GateParameters.open()
NEVER = GateParameters(offset=-100.0)


@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L", "CoCrMo"])
@pytest.mark.parametrize("scale", ["12-bit", "extended"])
def test_nearer_to_the_truth_in_every_slice(scan, material, scale) -> None:
    case = scan(material, scale)
    result = correct_volume(case.volume, method="nmar")
    for report in result.slices:
        one = slice(report.index, report.index + 1)
        assert case.rmse(result.volume.hu, one) < 1.01 * case.rmse(case.volume.hu, one)
    assert case.rmse(result.volume.hu) < 0.75 * case.rmse(case.volume.hu)


@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L"])
def test_nmar_beats_linear_interpolation(scan, material) -> None:
    case = scan(material)
    nmar = correct_volume(case.volume, method="nmar", gate=FULL)
    li = correct_volume(case.volume, method="li", gate=FULL)
    assert case.rmse(nmar.volume.hu) < case.rmse(li.volume.hu)


def test_the_gate_spares_what_full_correction_would_harm(scan) -> None:
    """Two titanium rods alone: both methods invent more than they remove."""
    case = scan("Ti-6Al-4V")
    rods = slice(0, 1)
    before = case.rmse(case.volume.hu, rods)
    for method in ("li", "nmar"):
        full = correct_volume(case.volume, method=method, gate=FULL)
        assert case.rmse(full.volume.hu, rods) > 1.2 * before
        gated = correct_volume(case.volume, method=method)
        assert case.rmse(gated.volume.hu, rods) < 1.01 * before


def test_only_lost_rays_and_no_metal_voxel_change(scan) -> None:
    case = scan("Ti-6Al-4V")
    result = correct_volume(case.volume, method="nmar", gate=FULL)
    mask = result.metal_mask
    np.testing.assert_array_equal(result.volume.hu[mask], case.volume.hu[mask])
    # Reproject the change; outside metal's shadow it must be noise-free nothing. Voxels of
    # metal are put back, so their share of the change is put back in before projecting.
    hu = case.volume.hu[2:3]
    transform = RadonTransform(hu.shape[1:], (1.4, 1.4))
    shadow = transform.forward(mask[2:3].astype(np.float32)) > 0
    wide = np.zeros_like(shadow)
    for shift in range(-4, 5):
        wide |= np.roll(shadow, shift, axis=-1)
    change = np.where(mask[2:3], 0.0, result.volume.hu[2:3] - hu)
    moved = np.abs(transform.forward(hu_to_mu(change - 1000.0)))
    assert np.percentile(moved[~wide], 99) < 0.1 * np.percentile(moved[shadow], 90)


def test_slices_without_metal_and_the_input_are_not_touched(scan) -> None:
    case = scan("316L")
    hu = np.concatenate((case.truth.hu[:3], case.volume.hu[:3], case.truth.hu[3:]))
    original = hu.copy()
    result = correct_volume(CTVolume(hu, case.volume.ijk_to_ras), method="nmar")
    assert [report.index for report in result.slices] == [3, 4, 5]
    np.testing.assert_array_equal(result.volume.hu[[0, 1, 2, 6, 7, 8]], hu[[0, 1, 2, 6, 7, 8]])
    np.testing.assert_array_equal(hu, original)
    assert np.shares_memory(result.volume.hu, hu) is False


def test_no_metal_returns_the_input_and_says_so(clean) -> None:
    result = correct_volume(clean)
    assert result.volume is clean
    assert result.slices == ()
    assert result.provenance.method == "none"
    assert "No metal" in result.message
    assert "2000 HU" in result.message  # how thin wires would be found
    drawn = correct_volume(clean, method="li", metal_mask=np.zeros(clean.hu.shape, bool))
    assert "mask is empty" in drawn.message
    assert "above 2000 HU" in correct_volume(clean, method="li", metal_threshold_hu=2000.0).message


def test_the_gate_leaves_alone_and_reports(scan) -> None:
    case = scan("Ti-6Al-4V")
    result = correct_volume(case.volume, method="nmar", gate=NEVER)
    np.testing.assert_array_equal(result.volume.hu, case.volume.hu)
    assert result.corrected == ()
    assert len(result.left_alone) == len(result.slices) == 6
    reasons = ("too little artifact", "would not grow quieter")
    assert all(any(r in report.reason for r in reasons) for report in result.slices)


def _stored_otherwise(volume: CTVolume, order, flips) -> CTVolume:
    """The same patient, the array's axes in another order and direction."""
    hu, matrix = volume.hu, volume.ijk_to_ras.copy()
    for axis, flip in enumerate(flips):
        if flip:
            column = 2 - axis
            matrix[:3, 3] += matrix[:3, column] * (hu.shape[axis] - 1)
            matrix[:3, column] *= -1
            hu = np.flip(hu, axis)
    turned = matrix.copy()
    turned[:, :3] = matrix[:, [2 - axis for axis in order][::-1]]
    return CTVolume(hu.transpose(order), turned)


def _back(array, order, flips):
    """Undo `_stored_otherwise` on an array."""
    stored = array.transpose(np.argsort(order))
    for axis, flip in enumerate(flips):
        stored = np.flip(stored, axis) if flip else stored
    return stored


_ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)]
_FLIPS = list(itertools.product([False, True], repeat=3))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["li", "nmar", "generator"])
def test_the_result_does_not_depend_on_how_a_file_stores_the_patient(scan, method) -> None:
    """All eight orientations within a slice and both orders of slices: the same, bit by bit."""
    volume = _middle(scan("Ti-6Al-4V"))
    expected = correct_volume(volume, method=method)
    assert expected.corrected
    few = _FLIPS if method != "generator" else _FLIPS[::3]
    for order, flips in itertools.product(_ORDERS, few):
        result = correct_volume(_stored_otherwise(volume, order, flips), method=method)
        np.testing.assert_array_equal(_back(result.volume.hu, order, flips), expected.volume.hu)
        outline = _back(result.metal_outline, order, flips)
        np.testing.assert_array_equal(outline, expected.metal_outline)
        told = {r.index: r.metal_area_mm2 for r in result.slices}
        axis = order.index(0)
        area = result.metal_outline.sum(axis=tuple({0, 1, 2} - {axis})) * 1.4**2
        assert told == pytest.approx({k: a for k, a in enumerate(area) if k in told})


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_slices_work(scan, count) -> None:
    case = scan("316L")
    volume = CTVolume(case.volume.hu[2 : 2 + count], case.volume.ijk_to_ras)
    result = correct_volume(volume, method="nmar")
    assert len(result.slices) == count
    assert case.rmse(np.repeat(result.volume.hu[:1], 6, 0), slice(2, 3)) < 0.9 * case.rmse(
        case.volume.hu, slice(2, 3)
    )


def test_other_matrices_and_pixels(scan) -> None:
    """Crop to a non-square matrix, and stretch the pixels in a copy of the geometry."""
    case = scan("Ti-6Al-4V")
    hu = case.volume.hu[:, 20:116, 5:120]
    result = correct_volume(CTVolume(hu, case.volume.ijk_to_ras), method="nmar")
    assert set(result.corrected) >= {2, 3}  # the slices with screws
    assert result.volume.hu.shape == hu.shape
    coarse = CTVolume(case.volume.hu[:, ::2].copy(), case.volume.ijk_to_ras @ np.diag([1, 2, 1, 1]))
    result = correct_volume(coarse, method="nmar")
    assert result.provenance.geometry["row_mm"] == pytest.approx(2.8)
    assert result.corrected


@pytest.mark.parametrize("value", [-3024.0, np.nan])
def test_padding_is_kept_and_does_no_harm(scan, value) -> None:
    case = scan("Ti-6Al-4V")
    y, x = np.mgrid[:128, :128] - 63.5
    outside = np.hypot(x, y) > 64
    hu = case.volume.hu.copy()
    hu[:, outside] = value
    result = correct_volume(CTVolume(hu, case.volume.ijk_to_ras), method="nmar")
    np.testing.assert_array_equal(result.volume.hu[:, outside], hu[:, outside])
    plain = correct_volume(case.volume, method="nmar")
    trunk = case.truth.hu > -300
    change = (result.volume.hu - plain.volume.hu)[trunk & ~outside]
    assert np.sqrt(np.mean(change**2)) < 8.0  # streaks in the corners are gone, nothing else


def test_a_truncated_field_of_view_survives(scan) -> None:
    case = scan("Ti-6Al-4V")
    window = slice(None), slice(34, 118), slice(22, 106)
    volume = CTVolume(case.volume.hu[window], case.volume.ijk_to_ras)
    result = correct_volume(volume, method="nmar")
    metal = case.fraction[window] > 0.02
    error = (result.volume.hu - case.truth.hu[window])[~metal]
    before = (volume.hu - case.truth.hu[window])[~metal]
    assert np.sqrt(np.mean(error**2)) < 0.9 * np.sqrt(np.mean(before**2))


def test_a_given_mask_is_used_or_refused(scan) -> None:
    case = scan("Ti-6Al-4V")
    mask = case.fraction > 0.5
    result = correct_volume(case.volume, method="nmar", metal_mask=mask)
    assert result.provenance.metal_source == "mask"
    assert result.provenance.metal_threshold_hu is None
    np.testing.assert_array_equal(result.metal_mask, mask)
    with pytest.raises(GeometryError, match="metal mask has shape"):
        correct_volume(case.volume, metal_mask=mask[:, :-1])
    with pytest.raises(InputError, match="no implant"):
        correct_volume(case.volume, metal_mask=np.ones_like(mask))


def test_bad_input_is_refused_in_words(clean) -> None:
    constant = CTVolume(np.zeros((3, 20, 20), np.float32), clean.ijk_to_ras)
    with pytest.raises(InputError, match="no contrast"):
        correct_volume(constant)
    with pytest.raises(InputError, match="no contrast"):
        correct_volume(constant.with_hu(np.full((3, 20, 20), np.nan, np.float32)))
    with pytest.raises(InputError, match="no method"):
        correct_volume(_with_metal(clean), method="magic")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="cannot be read"):
        correct_volume(_with_metal(clean), method="generator", model=_nowhere())


def _nowhere():
    from pathlib import Path

    return Path("no") / "such" / "manifest.json"


def _with_metal(clean: CTVolume) -> CTVolume:
    hu = clean.hu.copy()
    hu[2:4, 60:66, 60:66] = 3071.0
    return clean.with_hu(hu)


def test_cancel_stops_and_progress_runs_to_its_end(scan) -> None:
    case = scan("Ti-6Al-4V")
    seen = []
    result = correct_volume(case.volume, method="nmar", progress=seen.append)
    assert seen[-1].stage == "Correcting"
    assert seen[-1].done == seen[-1].total == len(result.slices)
    fractions = [p.fraction for p in seen if p.stage == "Correcting"]
    assert fractions == sorted(fractions)
    token = CancelToken()
    before = case.volume.hu.copy()

    def stop(progress) -> None:
        if progress.stage == "Correcting":
            token.cancel()

    with pytest.raises(CancelledError):
        correct_volume(case.volume, method="nmar", progress=stop, cancel=token)
    np.testing.assert_array_equal(case.volume.hu, before)


class _Meddler(NormalizedInterpolation):
    """Changes every ray, or returns nonsense."""

    gate = FULL

    def __init__(self, offset: float) -> None:
        self._offset = np.float32(offset)

    def inpaint(self, slab):
        return super().inpaint(slab) + self._offset


def test_an_inpainter_cannot_change_other_rays_nor_return_nonsense(scan) -> None:
    case = scan("Ti-6Al-4V")
    seen = {}

    class Spy(_Meddler):
        def inpaint(self, slab):
            filled = super().inpaint(slab)
            inside = slab.core_only.metal_trace
            sinogram = slab.core_only.sinogram
            added = np.where(inside, filled, sinogram) - sinogram
            seen.update(zip(slab.core_only.indices, slab.radon.fbp(added), strict=True))
            return filled

    result = correct_volume(case.volume, inpainter=Spy(0.5))
    change = np.stack([seen[k] for k in range(6)]) * (1000 / 0.0193)
    expected = np.where(result.metal_outline, case.volume.hu, case.volume.hu + change)
    assert np.abs(result.volume.hu - expected).max() < 1.0
    with pytest.raises(FaultError, match="cannot be used"):
        correct_volume(case.volume, inpainter=_Meddler(np.nan))


def test_the_result_states_its_provenance_as_json(scan) -> None:
    import json

    case = scan("316L")
    result = correct_volume(case.volume, method="nmar")
    facts = json.loads(json.dumps(result.facts()))
    assert facts["provenance"]["method"] == "nmar"
    assert facts["provenance"]["metal_threshold_hu"] == 2500.0
    assert facts["provenance"]["geometry"]["bins"] == 736
    assert facts["slices"][0]["metal_area_mm2"] > 20.0
    assert 0.0 < facts["slices"][0]["trace_share"] < 0.5
    assert facts["seconds"]["total"] > 0.0
    assert facts["provenance"]["software_version"]


def test_neighbours_are_served_and_shared(scan) -> None:
    """An inpainter gets its neighbours, edges repeated, and slices without metal as they are."""
    case = scan("Ti-6Al-4V")
    hu = np.concatenate((case.truth.hu[:1], case.volume.hu[:3]))
    windows = []

    class Wide(NormalizedInterpolation):
        neighbours = 2

        def inpaint(self, slab):
            windows.append(slab.indices)
            assert slab.hu.shape[0] == len(slab.indices)
            bare = slab.indices.index(0)
            np.testing.assert_array_equal(slab.nmar_hu[bare], hu[0])
            assert slab.lost_ray_trace[slab.core][slab.metal_trace[slab.core]].all()
            assert not slab.metal_trace[bare].any()
            return super().inpaint(slab)

    correct_volume(CTVolume(hu, case.volume.ijk_to_ras), inpainter=Wide())
    # Slices that share a transform (an even one and the next) are inpainted together.
    assert sorted(windows) == [(0, 0, 1, 2, 3), (0, 1, 2, 3, 3, 3)]
