"""The job "correct" hands an earlier CT on, and what became of it back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import spinemar.mar.correct
from spinemar.errors import InputError
from spinemar.jobs.requests import correct
from spinemar.mar.earlier import EarlierUse
from spinemar.progress import CancelToken, ignore_progress
from spinemar.registration import Registration
from spinemar.volume import CTVolume

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
SHAPE = (4, 32, 32)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A correction that keeps what it was given, and a job for it."""
    rng = np.random.default_rng(0)
    for name in ("in", "earlier"):
        np.save(tmp_path / f"{name}.npy", rng.integers(-1000, 1000, SHAPE).astype(np.int16))
    kept: dict = {}

    def corrected(volume: CTVolume, settings: object, *, earlier=None, **_rest: object):
        kept["earlier"] = earlier
        use = None
        if earlier is not None:
            agreement = np.full(SHAPE, 40, np.uint8)
            use = EarlierUse(Registration(np.eye(4)), earlier.volume.hu.astype(np.int16), agreement)
        return SimpleNamespace(
            volume=volume, metal_outline=np.zeros(SHAPE, bool), earlier=use, facts=lambda: {}
        )

    monkeypatch.setattr(spinemar.mar.correct, "correct_volume", corrected)
    kept["job"] = {
        "input": {"npy": str(tmp_path / "in.npy"), "ijk_to_ras": AFFINE.tolist()},
        "output": str(tmp_path / "out.npy"),
        "agreement_output": str(tmp_path / "agreement.npy"),
        "registered_output": str(tmp_path / "registered.npy"),
    }
    return kept


def test_an_earlier_ct_goes_in_and_its_agreement_comes_out(given: dict, tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] = 10, 20, 30
    ct = {"npy": str(tmp_path / "earlier.npy"), "ijk_to_ras": moved.tolist()}
    correct.run({**given["job"], "earlier": {"ct": ct}}, ignore_progress, CancelToken())
    np.testing.assert_array_equal(given["earlier"].volume.ijk_to_ras, moved)
    assert len(given["earlier"].facts["sha256"]) == 64
    assert (np.load(tmp_path / "agreement.npy") == 40).all()
    np.testing.assert_array_equal(
        np.load(tmp_path / "registered.npy"), np.load(tmp_path / "earlier.npy")
    )


def test_without_one_nothing_is_written_of_it(given: dict, tmp_path: Path) -> None:
    correct.run(given["job"], ignore_progress, CancelToken())
    assert given["earlier"] is None
    assert not (tmp_path / "agreement.npy").exists()
    assert not (tmp_path / "registered.npy").exists()


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        ({"ct": "nowhere.nrrd"}, "nowhere"),
        ({"ct": None}, "input"),
        ({}, "ct"),
        ({"cts": "nowhere.nrrd"}, "cts"),
    ],
)
def test_an_earlier_ct_that_is_not_there_is_refused(given, tmp_path, earlier, words) -> None:
    with pytest.raises(InputError, match=words):
        correct.run({**given["job"], "earlier": earlier}, ignore_progress, CancelToken())
    assert not (tmp_path / "out.npy").exists()
