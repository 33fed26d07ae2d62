"""Apparent widths of rods and shafts whose pictures are drawn with a known width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.evaluation.widths import (
    ImplantWidth,
    implant_widths,
    profile_width_mm,
    width_errors,
)
from spinemar.implants.placement import Rod, Screw
from spinemar.planning.plans.plan import Plan
from spinemar.volume import GridGeometry

PIXEL_MM, FINER = 0.8, 8
SHAPE = (3, 120, 140)
AFFINE = np.array(
    [[-PIXEL_MM, 0, 0, 56.0], [0, -PIXEL_MM, 0, 48.0], [0, 0, 2.0, -2.0], [0, 0, 0, 1.0]]
)
GEOMETRY = GridGeometry(SHAPE, AFFINE)
ROD_AT, SHAFT_FROM, SHAFT_TO = (20.0, 10.0), (-25.0, -20.0), (-5.0, 25.0)
ROD_MM, SHAFT_MM = 6.0, 6.5


def drawn(rod_mm: float, shaft_mm: float) -> np.ndarray:
    """Share of each pixel that a rod (a disc) and a shaft (a stripe) of these widths fill."""
    rows, columns = SHAPE[1] * FINER, SHAPE[2] * FINER
    j, i = (np.mgrid[:rows, :columns] + 0.5) / FINER - 0.5
    x, y = 56.0 - PIXEL_MM * i, 48.0 - PIXEL_MM * j
    rod = np.hypot(x - ROD_AT[0], y - ROD_AT[1]) < rod_mm / 2
    along = np.subtract(SHAFT_TO, SHAFT_FROM)
    length = np.hypot(*along)
    axis = along / length
    reach = (x - SHAFT_FROM[0]) * axis[0] + (y - SHAFT_FROM[1]) * axis[1]
    side = (x - SHAFT_FROM[0]) * -axis[1] + (y - SHAFT_FROM[1]) * axis[0]
    shaft = (np.abs(side) < shaft_mm / 2) & (reach > 0) & (reach < length)
    fine = (rod | shaft).astype(np.float32)
    shares = fine.reshape(SHAPE[1], FINER, SHAPE[2], FINER).mean(axis=(1, 3))
    return np.repeat(shares[None], SHAPE[0], axis=0)


def plan(shaft_height_mm: float = 0.0) -> Plan:
    length = float(np.hypot(*np.subtract(SHAFT_TO, SHAFT_FROM)))
    ends = ((*SHAFT_FROM, shaft_height_mm), (*SHAFT_TO, shaft_height_mm))
    screw = Screw("L1-left", "L1", "left", *ends, SHAFT_MM, length, "316L")
    rod = Rod("rod", "right", ((*ROD_AT, -30.0), (*ROD_AT, 30.0)), ROD_MM, "316L")
    return Plan(screws=(screw,), rods=(rod,))


def picture(shares: np.ndarray, metal_hu: float) -> np.ndarray:
    sharp = 40 + (metal_hu - 40) * shares
    return np.stack([ndimage.gaussian_filter(one, 0.5) for one in sharp]).astype(np.float32)


@pytest.mark.parametrize("metal_hu", [8000.0, 18000.0])
def test_a_picture_of_the_truth_looks_as_wide_as_it_is(metal_hu: float) -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    widths = implant_widths(picture(truth, metal_hu), truth, GEOMETRY, plan())
    assert {(one.implant, one.kind) for one in widths} == {("L1-left", "shaft"), ("rod", "rod")}
    for one in widths:
        nominal = SHAFT_MM if one.kind == "shaft" else ROD_MM
        assert one.true_mm == pytest.approx(nominal, abs=0.15)
        assert one.error_mm == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("wider_mm", [-1.5, 2.0, 4.0])
def test_metal_drawn_too_wide_or_narrow_is_told_in_millimetres(wider_mm: float) -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    shown = drawn(ROD_MM + wider_mm, SHAFT_MM + wider_mm)
    for given in (picture(shown, 3000.0), shown >= 0.5):
        errors = width_errors(implant_widths(given, truth, GEOMETRY, plan()))
        assert errors.bias_mm == pytest.approx(wider_mm, abs=0.35)
        assert errors.mean_mm == pytest.approx(abs(wider_mm), abs=0.35)
        assert errors.measured == 2


def test_metal_that_was_erased_is_zero_wide() -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    nothing = np.zeros(SHAPE, bool)
    widths = implant_widths(nothing, truth, GEOMETRY, plan())
    assert [one.shown_mm for one in widths] == [0.0, 0.0]


def test_a_rod_in_a_tulip_is_not_measured() -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    beside = Screw("b", "L2", "right", (20.0, 18.0, 0.0), (20.0, 58.0, 0.0), 6.0, 40.0, "316L")
    with_head = Plan(screws=(*plan().screws, beside), rods=plan().rods)
    widths = implant_widths(picture(truth, 9000), truth, GEOMETRY, with_head)
    assert [one.kind for one in widths] == ["shaft"]


def test_a_shaft_that_leaves_its_slice_is_not_measured() -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    high = implant_widths(picture(truth, 9000), truth, GEOMETRY, plan(shaft_height_mm=9.0))
    assert [one.kind for one in high] == ["rod"]


def test_storing_the_volume_otherwise_changes_no_width() -> None:
    truth = drawn(ROD_MM, SHAFT_MM)
    shown = picture(drawn(ROD_MM + 2, SHAFT_MM + 1), 9000)
    turned = AFFINE[:, [1, 2, 0, 3]]  # (i, j, k) = (old j, old k, old i)
    geometry = GridGeometry((SHAPE[2], SHAPE[0], SHAPE[1]), turned)
    plain = implant_widths(shown, truth, GEOMETRY, plan())
    other = implant_widths(np.moveaxis(shown, 2, 0), np.moveaxis(truth, 2, 0), geometry, plan())
    for a, b in zip(plain, other, strict=True):
        assert b.true_mm == pytest.approx(a.true_mm, abs=1e-6)
        assert b.shown_mm == pytest.approx(a.shown_mm, abs=1e-6)


def test_errors_sum_up_and_what_has_no_edge_is_counted() -> None:
    widths = [ImplantWidth("a", "rod", 5.5, 6.5), ImplantWidth("b", "rod", 5.5, 5.0),
              ImplantWidth("c", "shaft", 6.0, float("nan"))]  # fmt: skip
    errors = width_errors(widths)
    assert errors.mean_mm == pytest.approx(0.75)
    assert errors.worst_mm == pytest.approx(1.0)
    assert errors.bias_mm == pytest.approx(0.25)
    assert (errors.measured, errors.unseen) == (2, 1)
    assert width_errors([]).to_json()["mean_mm"] is None


def test_profile_width_of_a_box_and_of_a_gaussian() -> None:
    x = np.arange(-14, 14.05, 0.1)
    box = (np.abs(x) < 3.0 + 1e-9).astype(float)
    assert profile_width_mm(box, 0.5, 0.1) == pytest.approx(6.1, abs=0.11)
    gaussian = np.exp(-0.5 * (x / 2.0) ** 2)
    assert profile_width_mm(gaussian, 0.5, 0.1) == pytest.approx(2.3548 * 2.0, abs=0.02)
    assert profile_width_mm(0 * x, 0.5, 0.1) == 0.0
    assert np.isnan(profile_width_mm(np.ones_like(x), 0.5, 0.1))
