"""The patient's earlier CT as the prior: it helps, and nothing that only it holds comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import InputError
from spinemar.mar.correct import correct_volume
from spinemar.mar.earlier import EarlierCt
from spinemar.mar.earlier.fusion import agreement, likeness
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.registration import Registration, VertebraMotion, registration_from_json
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import CTVolume, LabelVolume

pytestmark = pytest.mark.skipif(shipped_model() is None, reason="no model ships")
PIXEL = (1.4, 1.4)


@pytest.fixture(scope="module")
def case(scan):
    return scan("Ti-6Al-4V")


def _earlier(volume: CTVolume) -> EarlierCt:
    """A CT that lies where the scan lies, with one vertebra."""
    labels = np.where(volume.hu > 250, VERSE_IDS["L1"], 0).astype(np.int16)
    same = Registration(np.eye(4), (VertebraMotion("L1", np.eye(4)),))
    return EarlierCt(
        volume,
        LabelVolume(labels, volume.ijk_to_ras, {VERSE_IDS["L1"]: "L1"}),
        same,
        {"sha256": "ab"},
    )


def _corrected(case, earlier=None, **changes):
    return correct_volume(
        case.volume,
        method="generator",
        device="cpu",
        gate=GateParameters.open(),
        earlier=earlier,
        **changes,
    )


@pytest.fixture(scope="module")
def without(case):
    return _corrected(case)


@pytest.fixture(scope="module")
def helped(case):
    return _corrected(case, _earlier(case.truth))


def _away_from_metal_mm(case):
    metal = case.fraction > 0.02
    return np.stack([ndimage.distance_transform_edt(~one, sampling=PIXEL) for one in metal])


def test_an_earlier_ct_that_is_right_helps(case, without, helped):
    assert case.rmse(helped.volume.hu) < 0.9 * case.rmse(without.volume.hu)
    assert helped.earlier.believed
    assert helped.agreement_percent is helped.earlier.agreement_percent


def test_models_without_a_network_for_it_go_by_the_rule(case):
    plain, ruled = (
        _corrected(case, earlier, model=Path("spinemar-lumbar-generator"))
        for earlier in (None, _earlier(case.truth))
    )
    assert case.rmse(ruled.volume.hu) < 0.9 * case.rmse(plain.volume.hu)
    assert ruled.earlier.believed


def test_without_one_none_was_believed(case, without):
    assert without.earlier is None
    assert without.agreement_percent.shape == case.volume.hu.shape
    assert not without.agreement_percent.any()


def test_it_is_used_near_metal_alone(case, helped):
    metal = np.stack(
        [ndimage.distance_transform_edt(~one, sampling=PIXEL) for one in helped.metal_mask]
    )
    weight = helped.earlier.agreement_percent
    assert not weight[metal > 45].any()
    inside = (metal > 3) & (metal < 15) & (case.truth.hu > -50)
    assert weight[inside].mean() > 50


def test_metal_and_slices_without_it_stay(case, helped):
    outline = helped.metal_outline
    assert np.array_equal(helped.volume.hu[outline], case.volume.hu[outline])
    untouched = ~helped.metal_mask.any(axis=(1, 2))
    assert np.array_equal(helped.volume.hu[untouched], case.volume.hu[untouched])


@pytest.mark.parametrize("contrast_hu", [500.0, -600.0], ids=["bone removed", "new bone"])
def test_what_only_the_earlier_ct_holds_is_not_painted_back(case, helped, contrast_hu):
    """A lamina that was taken away, and a fragment that was not there before."""
    away = _away_from_metal_mm(case)
    centre = np.argwhere((away > 14) & (away < 16) & (np.abs(case.truth.hu - 40) < 60))
    _, j, i = centre[len(centre) // 3]
    rows, columns = np.indices(case.truth.hu.shape[1:])
    blob = np.hypot((rows - j) * PIXEL[0], (columns - i) * PIXEL[1]) < 5
    hu = case.truth.hu.copy()
    hu[:, blob] += np.float32(contrast_hu)
    result = _corrected(case, _earlier(case.truth.with_hu(hu)))
    slices = helped.metal_mask.any(axis=(1, 2))
    painted = (result.volume.hu - helped.volume.hu)[slices][:, blob]
    assert abs(painted.mean()) < 0.12 * abs(contrast_hu)


def test_what_the_gate_refuses_with_it_is_corrected_without_it(case, without, helped):
    """A slice never loses its correction to an earlier CT."""
    plain = {one.index: one.features.gain for one in without.slices}
    fused = {one.index: one.features.gain for one in helped.slices}
    index = max(plain, key=lambda k: fused[k] - plain[k])
    assert fused[index] > plain[index]
    gate = replace(GateParameters.open(), most_gain=(fused[index] + plain[index]) / 2)
    result = correct_volume(
        case.volume, method="generator", device="cpu", gate=gate, earlier=_earlier(case.truth)
    )
    assert next(one for one in result.slices if one.index == index).corrected
    # The first pass keeps its pictures in half precision.
    np.testing.assert_allclose(result.volume.hu[index], without.volume.hu[index], atol=2)
    assert not result.earlier.agreement_percent[index].any()


def test_threads_change_no_bit(case, helped):
    again = _corrected(case, _earlier(case.truth), threads=1)
    np.testing.assert_array_equal(again.volume.hu, helped.volume.hu)


def test_it_says_what_it_did_and_can_be_repeated(helped):
    facts = json.loads(json.dumps(helped.facts()))
    assert facts["earlier_ct"]["facts"] == {"sha256": "ab"}
    assert registration_from_json(json.dumps(facts)).vertebrae[0].level == "L1"
    assert "earlier CT" in helped.message


@pytest.mark.parametrize("method", ["nmar", "li"])
def test_methods_without_a_picture_say_so(case, method):
    with pytest.raises(InputError, match="cannot use an earlier CT"):
        correct_volume(case.volume, method=method, earlier=_earlier(case.truth))


def test_without_metal_nothing_happens(case):
    result = correct_volume(case.truth, earlier=_earlier(case.truth))
    assert result.volume is case.truth
    assert result.earlier is None


def test_agreement_follows_what_the_rays_miss():
    rng = np.random.default_rng(0)
    everywhere = np.ones((80, 80), bool)
    noise = rng.normal(0, 15, (80, 80)).astype(np.float32)
    wrong = noise.copy()
    wrong[30:50, 30:50] += 300.0
    assert agreement(noise, noise, everywhere, (0.8, 0.8)).min() > 0.6
    found = agreement(noise, wrong, everywhere, (0.8, 0.8))
    assert found[35:45, 35:45].max() < 0.05
    assert found[:10].min() > 0.6
    # Where both miss as much, the earlier CT is no worse than the network.
    assert agreement(wrong, wrong, everywhere, (0.8, 0.8))[40, 40] > 0.4


@pytest.mark.parametrize("contrast_hu", [400.0, -400.0, 2000.0], ids=["more", "less", "much more"])
def test_pictures_that_show_other_things_are_not_alike(contrast_hu):
    """Where no kept ray tells, a bone that one of them lacks does; detail and metal do not."""
    rng = np.random.default_rng(0)
    ground = rng.normal(40, 15, (80, 80)).astype(np.float32)
    compared = np.ones((80, 80), bool)
    compared[60:70, 60:70] = False
    earlier = ground.copy()
    earlier[30:50, 30:50] += np.float32(contrast_hu)
    earlier[60:70, 60:70] += 3000.0
    earlier[5:7] += 150.0
    alike = likeness(earlier, ground, compared, (0.8, 0.8))
    assert alike[35:45, 35:45].max() < 0.05
    assert alike[:20].min() > 0.9
    assert alike[74:, 74:].min() > 0.9
