"""A whole pair of a drawn patient: made from its name, written, read, and what it must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.dataset.judge import refuse_judge
from spinemar.errors import InputError
from spinemar.planning.trajectories.sites import PedicleSite
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making import pairs
from Testing.benchmarks.earlier_ct.making.pair import Pair, read_pair
from Testing.benchmarks.earlier_ct.making.patients import CleanPatient
from Testing.benchmarks.earlier_ct.making.specs import STEEL, PairSpec

PIXEL, STEP = 2.0, 3.0
SHAPE = (80, 110, 110)
AFFINE = np.array([[-PIXEL, 0, 0, 110], [0, -PIXEL, 0, 150], [0, 0, STEP, -120], [0, 0, 0, 1.0]])
SPEC = PairSpec("drawn", "own", "crlm_1006", 0, STEEL, 3.0)


def _patient() -> CleanPatient:
    """An oval body; L1 and L2 as a body, two pedicles and an arch with its process."""
    k, j, i = np.indices(SHAPE)
    x, y, z = np.moveaxis(np.stack([i, j, k], -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3], -1, 0)
    hu = np.where((x / 95) ** 2 + ((y - 40) / 75) ** 2 < 1, 40.0, -1000.0)
    labels = np.zeros(SHAPE, np.int16)
    for number, middle in ((20, 18.0), (21, -18.0)):
        high = np.abs(z - middle)
        bone = (np.hypot(x, y - 18) < 20) & (high < 13)
        bone |= (np.abs(np.abs(x) - 15) < 5) & (np.abs(y + 10) < 14) & (np.abs(z - middle) < 9)
        bone |= (np.abs(x) < 18) & (np.abs(y + 24) < 4) & (high < 10)
        bone |= (np.abs(x) < 4) & (np.abs(y + 30) < 8) & (high < 8)
        labels[bone] = number
    hu[labels > 0] = 350.0
    sites = tuple(
        PedicleSite(
            level, side, np.array([s * 15.0, -24.0, m]), np.array([s * 14.0, -8.0, m]),
            np.array([0.0, 1.0, 0.0]), 9.0, 50.0, np.array([0.0, 18.0, m]),
            np.array([1.0, 0, 0]), np.array([0.0, 0, 1]),
        )
        for level, m in (("L1", 18.0), ("L2", -18.0))
        for side, s in (("left", -1), ("right", 1))
    )  # fmt: skip
    canal = {"L1": np.array([0.0, -10, 18]), "L2": np.array([0.0, -10, -18])}
    volume = CTVolume(hu.astype(np.float32), AFFINE)
    return CleanPatient("crlm_1006", volume, LabelVolume(labels, AFFINE), sites, canal)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pair]:
    folder = tmp_path_factory.mktemp("pairs")
    patched = pytest.MonkeyPatch()
    patched.setattr(pairs, "load_patient", lambda name, home: _patient())
    try:
        assert list(pairs.make_pairs([SPEC], folder)) == [("drawn", True)]
        assert list(pairs.make_pairs([SPEC], folder)) == [("drawn", False)]
    finally:
        patched.undo()
    return folder, read_pair(folder / "drawn")


def test_scan_and_truth_differ_by_the_metal_alone(made) -> None:
    _, pair = made
    metal = pair.metal_fraction > 0.9
    assert metal.any()
    assert np.median(pair.scan.hu[metal]) > 2500
    assert pair.truth.hu[metal].max() < 1500
    free = ~(pair.metal_fraction > 0).any(axis=(1, 2))
    assert free.any()
    np.testing.assert_array_equal(pair.scan.hu[free], pair.truth.hu[free])
    assert pair.body.any()


def test_the_earlier_ct_holds_no_metal_and_lies_elsewhere(made) -> None:
    _, pair = made
    assert pair.earlier.hu.max() < 2000
    corner = pair.posture.to_later(np.array([[0.0, 0.0, 0.0]]))[0]
    assert np.linalg.norm(corner) > 2.0


def test_vertebrae_of_the_earlier_ct_map_onto_those_of_the_scan(made) -> None:
    """Bone of the earlier CT, mapped by the truth, falls on vertebrae of the patient."""
    _, pair = made
    k, j, i = np.nonzero(pair.earlier.hu > 250)
    points = pair.earlier.geometry.to_ras(np.stack([i, j, k], -1).astype(float))[::37]
    at = pair.truth.geometry.to_ijk(pair.posture.to_later(points)).round().astype(int)[:, ::-1]
    inside = ((at >= 0) & (at < pair.labels.shape)).all(axis=1)
    found = pair.labels[tuple(at[inside].T)] > 0
    assert inside.sum() > 50
    assert found.mean() > 0.85


def test_what_was_removed_and_found_is_told(made) -> None:
    _, pair = made
    assert [one.new for one in pair.findings] == [False, True, True]
    assert all(np.abs(one.contrast).max() > 20 for one in pair.findings)
    assert pair.facts["arch_removed"] == bool(pair.removed.any())
    new = sum(np.abs(one.contrast) for one in pair.findings if one.new) > 2
    assert not pair.removed[new].any()


def test_pairs_judge_and_never_teach(made) -> None:
    folder, _ = made
    with pytest.raises(InputError, match="judge"):
        refuse_judge(folder / "drawn" / "scan.nii.gz")
