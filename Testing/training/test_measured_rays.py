"""The rest of the measured rays: what metal explains goes, what lies beside it stays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from spinemar_study.measured.critic import CriticSettings, Game
from spinemar_study.measured.evidence import Evidence
from spinemar_study.measured.generator import EvidenceGenerator
from spinemar_study.measured.rest import (
    metal_fields,
    rest_of_measured,
    root_of_ramp,
    scatter_fields,
)
from spinemar_study.measured.samples import Sample, Samples
from spinemar_study.measured.scans import draw_physics, make_varied_scans
from spinemar_study.measured.training import contrast_errors, error_shares, refined
from spinemar_study.study_settings import PatientSource
from spinemar_training.correction.refinement import Refinement
from spinemar_training.data.prefilled import PrefilledBatch
from spinemar_training.networks.generator import SinogramGenerator
from spinemar_training.projectors.nufft import NufftRadon

from spinemar.errors import InputError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform

SIZE, VIEWS, BINS = 64, 72, 96
RADON = RadonTransform((SIZE, SIZE), (1.0, 1.0), SinogramGeometry(VIEWS, BINS, 1.0), threads=1)


def _discs() -> tuple[np.ndarray, np.ndarray]:
    """Return a metal disc, and a finding 6 px beside it that shares many of its rays."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(y - 32, x - 32) <= 4, np.hypot(y - 32, x - 44) <= 3


def _energy(sinogram: np.ndarray, trace: np.ndarray) -> float:
    return float(np.square(root_of_ramp(np.where(trace, sinogram, 0).astype(np.float32))).sum())


def _scene() -> tuple[np.ndarray, ...]:
    metal, finding = _discs()
    lengths = RADON.forward(metal[None].astype(np.float32))[0]
    trace = lengths > 0.5
    filled = RADON.forward(np.full((1, SIZE, SIZE), 0.02, np.float32))[0]
    seen = RADON.forward((0.02 * finding)[None].astype(np.float32))[0]
    return metal, lengths, trace, filled, seen


def test_the_roots_energy_is_that_of_the_picture() -> None:
    """Twice the root is the ramp: reconstruction's own filter, up to a scale."""
    line = np.zeros((1, BINS), np.float32)
    line[0, BINS // 2] = 1.0
    twice = np.fft.rfft(root_of_ramp(line), n=2 * BINS)
    assert abs(twice[0, 0]) < 0.1 * abs(twice[0, -1])
    ratio = np.abs(twice[0, BINS // 2]) ** 2 / np.abs(twice[0, -1]) ** 2
    assert ratio == pytest.approx(0.5, abs=0.1)


def test_metal_and_what_it_does_to_the_beam_leave_nothing() -> None:
    metal, lengths, trace, filled, _ = _scene()
    hardened = 0.3 * lengths - 0.004 * lengths**2 - 0.01 * lengths * filled
    left = rest_of_measured(
        RADON, hardened.astype(np.float32), trace, metal, metal_fields(lengths, filled), steps=12
    )
    assert _energy(left, trace) < 1e-3 * _energy(hardened, trace)
    np.testing.assert_array_equal(left[~trace], 0.0)


def test_scatter_behind_metal_is_explained_by_its_fields() -> None:
    metal, lengths, trace, filled, _ = _scene()
    through = np.exp(-(filled + 0.3 * lengths))
    measured = -np.log(through + 0.02 * through.max()).astype(np.float32)
    difference = measured - filled
    bare = rest_of_measured(RADON, difference, trace, metal, metal_fields(lengths, filled))
    fields = metal_fields(lengths, filled) + scatter_fields(measured, 1.0)
    both = rest_of_measured(RADON, difference, trace, metal, fields)
    assert _energy(both, trace) < _energy(bare, trace)


def test_a_finding_beside_the_metal_stays() -> None:
    metal, lengths, trace, filled, seen = _scene()
    difference = (0.3 * lengths + seen).astype(np.float32)
    left = rest_of_measured(RADON, difference, trace, metal, metal_fields(lengths, filled), steps=8)
    wanted = np.where(trace, seen, 0.0)
    shared = float((root_of_ramp(left) * root_of_ramp(wanted.astype(np.float32))).sum())
    assert shared > 0.6 * _energy(wanted, trace)


def test_no_lost_rays_and_no_metal_leave_no_rest() -> None:
    metal, _, trace, _, seen = _scene()
    nothing = rest_of_measured(RADON, seen, np.zeros_like(trace), metal, [])
    np.testing.assert_array_equal(nothing, 0.0)
    untouched = rest_of_measured(RADON, seen, trace, np.zeros_like(metal), [])
    np.testing.assert_allclose(untouched, np.where(trace, seen, 0), atol=1e-6)


def test_evidence_is_finite_where_the_rest_is_nearly_nothing() -> None:
    """Running sums end a little below zero; their root was no number, and ended a training."""
    rng = np.random.default_rng(0)
    rest = (rng.standard_normal((VIEWS, BINS)) * 1e-3).astype(np.float32)
    rest[: VIEWS // 2] = 0.0
    channels = Evidence(rest, np.zeros_like(rest)).channels(np.ones(rest.shape, bool))
    assert channels.shape == (3, VIEWS, BINS)
    assert np.isfinite(channels).all()


def test_evidence_is_mirrored_as_its_picture_is() -> None:
    image = np.zeros((SIZE, SIZE), np.float32)
    image[20:24, 40:50] = 1.0
    rays = RADON.forward(image[None])[0]
    for rows in (True, False):
        other = np.ascontiguousarray(image[::-1] if rows else image[:, ::-1])
        found = Evidence(rays, rays).mirrored(rows=rows).rest
        np.testing.assert_allclose(found, RADON.forward(other[None])[0], atol=0.05)


def _generators() -> tuple[SinogramGenerator, EvidenceGenerator]:
    torch.manual_seed(3)
    old = SinogramGenerator((16, 32, 48, 64, 64), (1, 1, 2, 2, 2), sees_measured=True)
    torch.nn.init.normal_(old.unet.head.weight, std=0.05)
    return old.eval(), EvidenceGenerator(old.state_dict()).eval()


def test_it_begins_as_the_generator_that_it_comes_from() -> None:
    old, new = _generators()
    rays, measured, seen = torch.rand(3, 1, 3, VIEWS, 64)
    trace = (torch.rand(1, 3, VIEWS, 64) < 0.2).float()
    with torch.no_grad():
        wanted, found = old(rays, trace, measured), new(rays, trace, measured, seen)
    torch.testing.assert_close(found, wanted)
    outside = trace[:, 1:2] == 0
    assert torch.equal(found[outside], rays[:, 1:2][outside])


def _sample() -> Sample:
    rng = torch.Generator().manual_seed(1)
    rays = torch.rand(1, 3, VIEWS, BINS, generator=rng)
    metal = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    metal[:, 30:34, 30:34] = True
    truth = 40.0 + torch.zeros(1, SIZE, SIZE)
    free = (~metal).float()
    batch = PrefilledBatch(
        rays, rays + 0.1, (rays > 0.7).float(), rays[:, 1:2], truth + 20.0, truth, metal,
        ~metal, ~metal, torch.ones(1),
    )  # fmt: skip
    template = torch.zeros(SIZE, SIZE)
    template[36:40, 36:40] = -50.0
    return Sample(batch, torch.rand(1, 3, VIEWS, BINS), truth + 60, free, free, free, (template,))


def test_an_error_is_told_as_a_share_of_the_priors_and_a_finding_of_itself() -> None:
    sample = _sample()
    half = sample.batch.truth_hu + 10.0
    torch.testing.assert_close(error_shares(half, sample), torch.full((3,), 0.5), atol=1e-3, rtol=0)
    erased = sample.batch.truth_hu - sample.templates[0]
    assert float(contrast_errors(erased, sample.templates, sample.batch.truth_hu)) == 1.0


def test_the_critic_learns_first_and_the_encoder_last() -> None:
    _, generator = _generators()
    radon = NufftRadon(SIZE, VIEWS, BINS)
    game = Game(generator, Refinement(radon.fbp, BINS), CriticSettings(weight_l2=1.0, seconds=1.0))
    parts = {
        "encoder": generator.unet.stem.weight,
        "head": generator.unet.head.weight,
        "critic": next(game.critic.parameters()),
    }
    moved = {}
    for stage, spent in (("warm", 0.1), ("frozen", 0.3), ("both", 0.9)):
        before = {name: value.detach().clone() for name, value in parts.items()}
        row = game.play(_sample(), spent)
        moved[stage] = {n for n, value in parts.items() if not torch.equal(before[n], value)}
        assert len(row) == 4
        assert np.isfinite(row[2]) == (stage != "warm")
    assert moved == {
        "warm": {"critic"}, "frozen": {"critic", "head"}, "both": {"critic", "head", "encoder"},
    }  # fmt: skip


def test_scanners_are_drawn_widely_and_validly() -> None:
    rng = np.random.default_rng(4)
    drawn = [draw_physics(rng) for _ in range(200)]
    assert {one.kvp for one in drawn} == {80, 100, 120, 140}
    assert min(one.scatter for one in drawn) < 0.02
    assert max(one.scatter for one in drawn) > 0.28


def test_the_judges_scans_are_refused(tmp_path: Path) -> None:
    (tmp_path / "JUDGE_ONLY.txt").write_text("no training\n")
    source = PatientSource(ct=str(tmp_path / "scan.nii.gz"), landmarks="none.json")
    with pytest.raises(InputError, match="judge"):
        next(make_varied_scans((source,), tmp_path / "out", 1, 0))


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spinemar-study measured"):
        Samples(tmp_path, tmp_path, 0)


def test_refined_rays_change_in_the_trace_alone() -> None:
    _, generator = _generators()
    sample = _sample()
    wide = SimpleNamespace(batch=sample.batch, seen=sample.seen)
    padded = refined(generator, wide)  # type: ignore[arg-type]
    trace = sample.batch.trace[:, 1] > 0.5
    assert torch.equal(padded[~trace], sample.batch.filled[:, 1][~trace])
