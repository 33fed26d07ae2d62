"""Cases in fan beam keep their true metal, and are scored against it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from spinemar_training.data.out_of_domain import OutOfDomainCase, load_cases, save_case
from spinemar_training.scoring.evaluate import METAL_METRICS, metal_text, score_case, table

from spinemar.evaluation import TrueMetal
from spinemar.planning.plans.plan import Plan, Rod
from spinemar.volume import CTVolume

AFFINE = np.diag([-0.8, -0.8, 2.0, 1.0])
FACTS = {"metal": "316L", "scale": "12-bit", "patient": "p"}
PLAN = Plan(rods=(Rod("rod", "left", ((-48.0, -48.0, -40.0), (-48.0, -48.0, 40.0)), 6.0, "316L"),))


@pytest.fixture
def case() -> OutOfDomainCase:
    """A rod of 6 mm that a 12-bit scan shows 5 px wider, over soft tissue."""
    y, x = np.mgrid[:120, :120]
    truth = np.where(np.hypot(x - 60, y - 60) < 50, 40.0, -1000.0)
    away = np.hypot(x - 60, y - 60) * 0.8
    rod = np.clip((3.0 - away) / 0.8 + 0.5, 0, 1)
    glow = ndimage.binary_dilation(rod >= 0.5, iterations=5)
    scan = np.where(glow, 3071.0, truth + 60 * np.sin(x / 3))
    stacks = [np.repeat(a[None], 3, axis=0).astype(np.float32) for a in (scan, truth, rod)]
    return OutOfDomainCase("one", CTVolume(stacks[0], AFFINE), CTVolume(stacks[1], AFFINE), FACTS,
                           TrueMetal(stacks[2], plan=PLAN))  # fmt: skip


def test_a_case_comes_back_with_its_metal_and_plan(case: OutOfDomainCase, tmp_path: Path) -> None:
    save_case(tmp_path / "one.npz", case)
    [back] = load_cases(tmp_path)
    assert back.metal is not None
    assert case.metal is not None
    np.testing.assert_allclose(back.metal.fraction, case.metal.fraction, atol=1e-3)
    assert back.metal.plan == PLAN
    assert back.facts == FACTS


def test_files_made_before_hold_no_metal_and_still_score(
    case: OutOfDomainCase, tmp_path: Path
) -> None:
    old = OutOfDomainCase(case.name, case.scan, case.truth, case.facts)
    save_case(tmp_path / "one.npz", old)
    [back] = load_cases(tmp_path)
    assert back.metal is None
    [row] = score_case(back, [])
    assert row["rmse_hu"] > 0
    assert all(np.isnan(row[name]) for name in METAL_METRICS)
    assert metal_text(table([row, {**row, "method": "nmar"}])) == ""


def test_the_glow_is_in_the_scores_and_in_the_table(case: OutOfDomainCase) -> None:
    [row] = score_case(case, [])
    assert row["seen_hu"] > 3 * row["outside_masks_hu"] > 0
    assert row["seen_near_hu"] > row["seen_hu"]
    assert row["metal_dice"] < 0.6
    assert row["width_mm"] == pytest.approx(2 * 5 * 0.8, abs=1.2)
    text = metal_text(table([row, {**row, "method": "nmar"}]))
    assert "| nmar | " in text
    assert f"{row['seen_hu']:.1f} / {row['seen_near_hu']:.1f}" in text
