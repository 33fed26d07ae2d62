"""Averages of weights: ends and middle, and no mixing of different networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from spinemar_training.runs.averaging import average_weights

from spinemar.errors import InputError

pytestmark = pytest.mark.training


def _weights(path: Path, value: float, size: int = 3) -> Path:
    torch.save({"prior": {"w": torch.full((size,), value)}}, path)
    return path


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)])
def test_the_average_lies_between(share: float, wanted: float, tmp_path: Path) -> None:
    start, tuned = _weights(tmp_path / "a.pt", 2.0), _weights(tmp_path / "b.pt", 6.0)
    average_weights(start, tuned, share, tmp_path / "c.pt")
    found = torch.load(tmp_path / "c.pt", weights_only=True)
    assert torch.allclose(found["prior"]["w"], torch.full((3,), wanted))


def test_other_networks_and_shares_are_refused(tmp_path: Path) -> None:
    start, other = _weights(tmp_path / "a.pt", 2.0), _weights(tmp_path / "b.pt", 6.0, size=4)
    with pytest.raises(InputError, match="different networks"):
        average_weights(start, other, 0.5, tmp_path / "c.pt")
    with pytest.raises(InputError, match="no average"):
        average_weights(start, start, 1.5, tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()
