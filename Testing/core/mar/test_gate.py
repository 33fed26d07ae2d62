"""The gate applies what explains the unrest near metal, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from spinemar_training.scoring.gate_fit import GateRecord, fit_gate, make_record

from spinemar.errors import ModelError
from spinemar.mar.pipeline.gate import (
    AlongMetal,
    GateParameters,
    compare_with_length,
    decide,
    gate_features,
)
from spinemar.mar.segmentation.body import find_body

PIXEL = (1.0, 1.0)
N = 160
ALONG = AlongMetal(unexplained_nepers=0.3, bent_nepers_per_cm=0.2)
"""What a change takes from the rays of a hardened metal."""


def _situation(artifact_hu: float, noise_hu: float = 12.0):
    """Return a water body with a screw; truth, artifact (streaks), metal, body, trace."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    truth = np.where(np.hypot(x, y) < 70, 40.0, -1000.0) + rng.normal(0, noise_hu, (N, N))
    metal = np.hypot(x, y) < 4
    angle = np.arctan2(y, x)
    streaks = artifact_hu * np.cos(7 * angle) * np.exp(-np.hypot(x, y) / 40)
    truth, streaks = truth.astype(np.float32), streaks.astype(np.float32)
    trace = np.zeros((20, 30), bool)
    trace[:, 14:16] = True
    return truth, streaks, metal, find_body(truth, PIXEL), trace


def _with_metal(hu, change, metal):
    """Put the screw into the slice, and let the change take it away."""
    return np.where(metal, np.float32(3071), hu), np.where(metal, np.float32(-2800), change)


def _strength(hu, change, metal, body, trace) -> float:
    hu, change = _with_metal(hu, change, metal)
    features = gate_features(
        hu, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    return decide(features, GateParameters()).strength


def test_a_perfect_change_of_a_strong_artifact_is_applied_in_full() -> None:
    truth, streaks, metal, body, trace = _situation(300.0)
    assert _strength(truth + streaks, -streaks, metal, body, trace) > 0.95


@pytest.mark.parametrize("amplitude", [20.0, 100.0])
def test_a_change_without_an_artifact_is_left_out(amplitude) -> None:
    truth, _, metal, body, trace = _situation(0.0)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    invented = (amplitude * np.sin(5 * np.arctan2(y, x))).astype(np.float32)
    assert _strength(truth, invented, metal, body, trace) == 0.0


def test_a_change_that_has_nothing_to_do_with_the_artifact_is_left_out() -> None:
    truth, streaks, metal, body, trace = _situation(60.0)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    other = (90.0 * np.sin(3 * np.arctan2(y, x))).astype(np.float32)
    assert _strength(truth + streaks, other, metal, body, trace) == 0.0


def test_strength_never_falls_when_the_artifact_grows() -> None:
    strengths = []
    for artifact in (10.0, 40.0, 100.0, 250.0):
        truth, streaks, metal, body, trace = _situation(artifact)
        strengths.append(_strength(truth + streaks, -streaks, metal, body, trace))
    assert strengths == sorted(strengths)


def test_no_trace_no_change_and_no_tissue_no_judgement() -> None:
    truth, streaks, metal, body, trace = _situation(100.0)
    assert _strength(truth + streaks, -streaks, metal, body, trace & False) == 0.0
    air, change = _with_metal(np.full_like(truth, -1000.0), -streaks, metal)
    nobody = find_body(np.full_like(truth, -1000.0), PIXEL)
    decision = decide(
        gate_features(
            air,
            change,
            metal=metal,
            body=nobody,
            trace=trace,
            pixel_mm=PIXEL,
            along_metal=ALONG,
        ),
        GateParameters(blind_strength=0.6),
    )
    assert decision.strength == 0.6
    assert "too little soft tissue" in decision.reason


def test_gain_is_the_best_strength_when_anatomy_is_flat() -> None:
    truth, streaks, metal, body, trace = _situation(200.0, noise_hu=1.0)
    for share in (0.5, 1.0, 2.0):
        change = (-streaks / share).astype(np.float32)
        features = gate_features(
            truth + streaks,
            change,
            metal=metal,
            body=body,
            trace=trace,
            pixel_mm=PIXEL,
            along_metal=ALONG,
        )
        assert features.gain == pytest.approx(share, rel=0.05)


def test_fitting_learns_to_do_nothing_where_nothing_is_to_be_done() -> None:
    rng = np.random.default_rng(4)
    records: list[GateRecord] = []
    for n in range(24):
        good = n % 2 == 0
        truth, streaks, metal, body, trace = _situation(250.0 if good else 8.0)
        wrong = rng.normal(0, 15.0, streaks.shape).astype(np.float32)
        change = -streaks * np.float32(0.9) + wrong
        hu, change = _with_metal(truth + streaks, change, metal)
        features = gate_features(
            hu, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
        )
        records.append(make_record(features, streaks, change, body.mask & ~metal))
    gate = fit_gate(records)
    for record in records:
        strength = decide(record.features, gate).strength
        best = min(record.rmse(w) for w in np.linspace(0, 1, 21))
        assert record.rmse(strength) <= 1.01 * record.rmse(0.0)
        assert record.rmse(strength) <= best + 4.0


@pytest.mark.parametrize("hu_inside", [-900.0, 45.0, 400.0, 1400.0, 2200.0])
def test_a_mask_that_covers_no_metal_is_left_alone(hu_inside) -> None:
    """Even where the change makes the tissue quieter, as smoothing would."""
    truth, streaks, metal, body, trace = _situation(120.0)
    hu = np.where(metal, np.float32(hu_inside), truth + streaks)
    change = np.where(metal, np.float32(45.0 - hu_inside), -streaks)
    features = gate_features(
        hu, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    decision = decide(features, GateParameters())
    assert decision.strength == 0.0
    assert "does not look like metal" in decision.reason


def test_a_metal_that_the_change_does_not_remove_is_no_reason_to_change_anything() -> None:
    truth, streaks, metal, body, trace = _situation(120.0)
    hu = np.where(metal, np.float32(3071), truth + streaks)
    features = gate_features(
        hu, -streaks, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    assert decide(features, GateParameters()).strength == 0.0


def test_a_mask_drawn_twice_too_wide_still_covers_metal() -> None:
    truth, streaks, metal, body, trace = _situation(300.0)
    hu, change = _with_metal(truth + streaks, -streaks, metal)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    wide = np.hypot(x, y) < 5.6
    assert wide.sum() > 1.7 * metal.sum()
    change = np.where(wide & ~metal, -950.0, change).astype(np.float32)
    features = gate_features(
        hu, change, metal=wide, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    assert decide(features, GateParameters()).strength > 0.9


def test_a_change_that_repeats_the_anatomy_is_left_out() -> None:
    """It makes the tissue quieter, yet a stronger one would do so better: no artifact does that."""
    truth, _, metal, body, trace = _situation(0.0)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    organs = (150.0 * np.cos(5 * np.arctan2(y, x)) * np.exp(-np.hypot(x, y) / 40)).astype("f4")
    hu, change = _with_metal(truth + organs, -0.5 * organs, metal)
    features = gate_features(
        hu, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    assert features.spread_out_hu < features.spread_in_hu
    decision = decide(features, GateParameters())
    assert decision.strength == 0.0
    assert "anatomy" in decision.reason


@pytest.mark.parametrize("offset", [60.0, 1000.0, 1e6])
def test_a_change_that_destroys_the_tissue_it_is_judged_by_is_left_out(offset) -> None:
    """The pixels count that were soft tissue before, wherever the change throws them."""
    truth, streaks, metal, body, trace = _situation(60.0)
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    thrown = (offset * (1 + np.cos(3 * np.arctan2(y, x)))).astype(np.float32)
    assert _strength(truth + streaks, thrown - streaks, metal, body, trace) == 0.0


def test_an_open_gate_lets_everything_through() -> None:
    truth, _, metal, body, trace = _situation(0.0)
    change = np.full_like(truth, 500.0)
    features = gate_features(
        truth, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=ALONG
    )
    assert decide(features, GateParameters.open()).strength == 1.0


def test_a_gate_of_a_manifest_is_checked() -> None:
    assert GateParameters.from_json(GateParameters().to_json()) == GateParameters()
    with pytest.raises(ModelError, match="nonsense"):
        GateParameters.from_json({"nonsense": 1.0})
    with pytest.raises(ModelError, match="offset"):
        GateParameters.from_json({"offset": float("nan")})


def _disc_rays(radius_mm: float, nepers_per_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Way of the rays of 40 views through a disc, and what metal of one energy takes from them."""
    bins = np.arange(-30.0, 31.0)
    way = 2 * np.sqrt(np.maximum(radius_mm**2 - bins**2, 0.0))
    lengths = np.tile(way, (40, 1)).astype(np.float32)
    return lengths, nepers_per_mm * lengths


def test_hardened_rays_bend_and_a_wrong_prior_does_not() -> None:
    lengths, linear = _disc_rays(12.0, 0.06)
    trace = lengths > 0
    assert compare_with_length(linear, lengths, trace).bent_nepers_per_cm < 1e-5
    # Half of the photons at five times the attenuation: p = -ln(mean of exp(-mu L)).
    hardened = -np.log(0.5 * np.exp(-0.03 * lengths) + 0.5 * np.exp(-0.15 * lengths))
    bent = compare_with_length(hardened.astype(np.float32), lengths, trace)
    rest = hardened[trace] - 0.06 * lengths[trace]
    assert GateParameters().least_bent_nepers_per_cm < bent.bent_nepers_per_cm
    longest_cm = lengths.max() / 10
    assert bent.bent_nepers_per_cm * longest_cm < np.abs(rest).max()
    assert bent.bent_nepers_per_cm * longest_cm == pytest.approx(bent.unexplained_nepers, rel=0.05)
    wrong = np.random.default_rng(1).normal(0, 0.1, linear.shape).astype(np.float32)
    doubted = compare_with_length(linear + wrong, lengths, trace)
    assert doubted.unexplained_nepers == pytest.approx(0.1, rel=0.1)
    assert doubted.bent_nepers_per_cm < 0.5 * GateParameters().least_bent_nepers_per_cm


def test_metal_that_left_its_rays_alone_needs_no_correction() -> None:
    """A change that makes tissue quieter by taking anatomy away is refused by its rays."""
    truth, streaks, metal, body, trace = _situation(60.0)
    hu, change = _with_metal(truth + streaks, -streaks, metal)

    def decided(along: AlongMetal):
        return decide(
            gate_features(
                hu, change, metal=metal, body=body, trace=trace, pixel_mm=PIXEL, along_metal=along
            ),
            GateParameters(),
        )

    assert decided(ALONG).corrected
    refused = decided(AlongMetal(unexplained_nepers=0.3, bent_nepers_per_cm=0.005))
    assert not refused.corrected
    assert "without any artifact" in refused.reason


def test_no_metal_has_no_rays_to_compare() -> None:
    nothing = np.zeros((4, 8), np.float32)
    found = compare_with_length(nothing, nothing, nothing > 0)
    assert (found.unexplained_nepers, found.bent_nepers_per_cm) == (0.0, 0.0)
