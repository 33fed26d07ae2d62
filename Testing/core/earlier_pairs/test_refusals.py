"""The wrong CTs that are tried: far from the scan where they are the patient's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.volume import CTVolume
from Testing.benchmarks.earlier_ct.scoring import refusals


def heights(volume: CTVolume) -> np.ndarray:
    return volume.ijk_to_ras[2, 3] + volume.ijk_to_ras[2, 2] * np.arange(len(volume.hu))


@pytest.mark.parametrize(("low", "above"), [(-80.0, True), (150.0, False)])
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_another_region_lies_far_from_the_scan(monkeypatch, low, above, step) -> None:
    whole = CTVolume(np.zeros((120, 4, 4), np.float32), np.diag([-1.0, -1.0, 2.5, 1.0]))
    affine = np.diag([-1.0, -1.0, step, 1.0])
    affine[2, 3] = low if step > 0 else low + 50.0
    scan = CTVolume(np.zeros((21, 4, 4), np.float32), affine)
    monkeypatch.setattr(refusals, "ct_of", lambda name: name)
    monkeypatch.setattr(refusals, "read_volume", lambda path: whole)
    pair = SimpleNamespace(facts={"patient": "somebody"}, scan=scan)
    part = heights(refusals._elsewhere(pair))
    assert len(part) > 5
    assert (part > low + 50 + 59).all() == above
    assert (part < low - 59).all() != above


def test_nothing_scored_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="No pair was scored"):
        next(refusals.try_wrong(tmp_path, tmp_path))
