"""The prior of NMAR: what is air, soft tissue and bone, to half a HU."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.mar.pipeline.interpolation.prior_image import tissue_prior

SIZE = 96


def _prior_in_the_middle(hu: float) -> float:
    """The prior at the middle of a disc of these HU, in a body of 40 HU."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    body = np.hypot(x, y) < 40
    slice_hu = np.where(body, 40.0, -1000.0).astype(np.float32)
    slice_hu[np.hypot(x, y) < 12] = hu
    metal = np.hypot(x - 25, y) < 2
    prior = tissue_prior(slice_hu, metal, (1.0, 1.0), body=body)
    return float(prior[SIZE // 2, SIZE // 2])


@pytest.mark.parametrize(
    ("hu", "expected"),
    [(-400.5, -500.0), (-700.0, -700.0), (-399.5, 40.0), (224.5, 40.0), (225.5, 225.5),
     (900.0, 900.0)],
)  # fmt: skip
def test_gas_is_gas_soft_tissue_is_one_value_and_bone_stays(hu, expected) -> None:
    assert _prior_in_the_middle(hu) == pytest.approx(expected, abs=0.3)
