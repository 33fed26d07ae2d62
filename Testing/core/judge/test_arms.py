"""The judge's arms: frequency split as it is described, and a table that pairs scans."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.score import Picture

arms = pytest.importorskip("Testing.benchmarks.xcist.comparing.arms")
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def _volumes() -> tuple[CTVolume, Picture]:
    """Return a scan with a fine pattern and an offset, and a smooth correction; metal at 32, 32."""
    y, x = np.mgrid[:64, :64]
    fine = 50.0 * (-1.0) ** (y + x)
    scan = np.tile((40.0 + 300.0 + fine).astype(np.float32), (3, 1, 1))
    metal = np.zeros(scan.shape, dtype=bool)
    metal[:, 32, 32] = True
    smooth = CTVolume(np.full(scan.shape, 40.0, np.float32), AFFINE)
    return CTVolume(scan, AFFINE), Picture(smooth, metal, metal)


def test_beside_metal_the_scans_detail_stands_on_the_corrections_ground() -> None:
    scan, corrected = _volumes()
    hu = arms.frequency_split(scan, corrected).volume.hu[1]
    beside = hu[31:34, 31:34]
    assert beside.mean() == pytest.approx(40.0, abs=10.0)  # the scan's 300 HU do not come back
    assert np.ptp(beside) == pytest.approx(100.0, abs=15.0)  # but its pattern does


def test_far_from_metal_the_correction_is_left_as_it_is() -> None:
    scan, corrected = _volumes()
    hu = arms.frequency_split(scan, corrected).volume.hu
    away = np.hypot(*(np.mgrid[:64, :64] - 32)) > 16
    np.testing.assert_array_equal(hu[:, away], corrected.volume.hu[:, away])


def test_a_ratio_is_paired_by_scan() -> None:
    """An arm that takes a tenth off every scan says so, however much the scans differ."""
    rows = []
    for n, hu in enumerate((20.0, 50.0, 200.0)):
        for arm, times in ((arms.PRIOR, 1.0), ("other", 0.9)):
            rows.append(
                arms.ArmScore(
                    f"{n}", "316L", arm, hu * times, 2 * hu * times, hu * times, 0.8, -50.0
                )
            )
    line = next(text for text in arms.table(rows) if text.startswith("| all (3) | other |"))
    assert line.count("0.900 (0.900 to 0.900)") == 3
    assert "| 0.90 | 0.800 | -50 |" in line
