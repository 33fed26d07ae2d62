"""The drawn earlier CT shows the patient where the posture says, and nothing of the metal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making.earlier import (
    EarlierProtocol,
    draw_earlier,
    without_surroundings,
)
from Testing.benchmarks.earlier_ct.making.posture import draw_posture

AFFINE = np.diag([-1.5, -1.5, 3.0, 1.0])
PROTOCOL = EarlierProtocol(2.0, 1.2, 160, 0.3, 5.0, 10.0, 10.0, 4.0)


@pytest.fixture(scope="module")
def patient() -> tuple[CTVolume, LabelVolume, np.ndarray]:
    """A round body with a block of bone, a bright bead in it, and a table behind."""
    hu = np.full((36, 100, 100), -1000.0, np.float32)
    j, i = np.mgrid[:100, :100]
    hu[:, (j - 50) ** 2 + (i - 50) ** 2 < 35**2] = 40.0
    hu[:, 90:95] = 200.0
    labels = np.zeros(hu.shape, np.int16)
    labels[12:24, 45:60, 42:58] = 20
    hu[labels == 20] = 300.0
    hu[17:19, 51:54, 49:52] = 1500.0
    volume = CTVolume(hu, AFFINE)
    k, rows, columns = np.nonzero(hu > 1200)
    bead = volume.geometry.to_ras(np.array([columns.mean(), rows.mean(), k.mean()]))
    return volume, LabelVolume(labels, AFFINE), bead


@pytest.mark.parametrize("seed", [1, 2])
def test_the_bead_lies_where_the_posture_says(patient, seed) -> None:
    volume, labels, bead = patient
    posture, _ = draw_posture(labels, np.random.default_rng(seed))
    made = draw_earlier(volume, posture, PROTOCOL, (30.0, 80.0), np.random.default_rng(seed))
    k, j, i = np.nonzero(made.hu > 900)
    weight = made.hu[k, j, i][:, None]
    points = made.geometry.to_ras(np.stack([i, j, k], axis=-1).astype(float))
    found = (weight * points).sum(axis=0) / weight.sum()
    assert np.linalg.norm(posture.to_later(found[None])[0] - bead) < 1.0


def test_the_old_table_is_gone_and_a_new_one_lies_below(patient) -> None:
    volume, labels, _ = patient
    alone = without_surroundings(volume)
    assert alone.hu[:, 90:95].max() == -1000.0
    assert alone.hu[18, 52, 50] == 1500.0
    posture, _ = draw_posture(labels, np.random.default_rng(1))
    made = draw_earlier(volume, posture, PROTOCOL, (30.0, 80.0), np.random.default_rng(1))
    rows = made.hu.mean(axis=(0, 2))
    assert (np.abs(rows + 150.0) < 5.0).any()


def test_kernels_blur_and_sharpen_and_noise_is_what_was_asked(patient) -> None:
    volume, labels, _ = patient
    posture, _ = draw_posture(labels, np.random.default_rng(1))
    edges = {}
    for blur in (-0.6, 0.1, 1.0):
        protocol = replace(PROTOCOL, blur_mm=blur, noise_hu=0.01)
        made = draw_earlier(volume, posture, protocol, (30.0, 80.0), np.random.default_rng(3))
        edges[blur] = float(made.hu.max())
    assert edges[-0.6] > edges[0.1] > edges[1.0]
    noisy = draw_earlier(
        volume, posture, replace(PROTOCOL, noise_hu=20.0), (30.0, 80.0), np.random.default_rng(3)
    )
    inside = noisy.hu[:, 74:78, 110:118]
    soft = inside[(inside > -60) & (inside < 140)]
    assert soft.std() == pytest.approx(20.0, abs=5.0)
