"""The sample CT against its labels, and real CTs against hand-checked landmarks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.errors import SpinemarError
from spinemar.io import read_labels, read_volume
from spinemar.spine.labels.conventions import to_verse
from spinemar.spine.labels.levels import VERSE_IDS, level_range
from spinemar.spine.segmentation.segment import segment_spine

ROOT = Path(__file__).resolve().parents[3]
LANDMARKS = ROOT / "Resources" / "Landmarks"
SHARED = Path(os.environ.get("SPINEMAR_CT_DATA") or ROOT.parent / "shared" / "data" / "ct")
CORD = 79

pytestmark = pytest.mark.slow


def _landmarks(name):
    document = json.loads((LANDMARKS / f"{name}.json").read_text())
    return {vertebra["level"]: vertebra for vertebra in document["vertebrae"]}


@pytest.fixture(scope="module")
def sample():
    try:
        volume, labels = read_volume(sample_ct()), read_labels(sample_labels())
    except SpinemarError as error:
        pytest.skip(f"the sample CT cannot be had here: {error.problem}")
    return segment_spine(volume, first_level="C7"), labels


def test_sample_dice(sample):
    model, labels = sample
    truth = to_verse(labels).labels
    scores = {}
    for level in level_range("T6-L3"):
        mine, theirs = model.labels.labels == VERSE_IDS[level], truth == VERSE_IDS[level]
        scores[level] = 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum())
    assert np.mean(list(scores.values())) >= 0.82
    assert min(scores.values()) > 0.7  # and so every level is named right


def test_sample_canal_in_every_slice(sample):
    model, labels = sample
    canal = model.canal_ras[np.argsort(model.canal_ras[:, 2])]
    for k in range(labels.labels.shape[0]):
        j, i = np.nonzero(labels.labels[k] == CORD)
        if len(i) < 10:
            continue
        centre = labels.geometry.to_ras(np.array([i.mean(), j.mean(), k]))
        mine = [np.interp(centre[2], canal[:, 2], canal[:, axis]) for axis in (0, 1)]
        assert np.hypot(mine[0] - centre[0], mine[1] - centre[1]) < 3


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["crlm_1004", "crlm_1006", "lidc0314_lower"])
def test_pedicles_against_landmarks(name):
    path = SHARED / f"{name}.nii.gz"
    if not path.exists():
        pytest.skip("the developers' real CT data is not here")
    marks = _landmarks(name)
    named = list(marks)[len(marks) // 2]
    model = segment_spine(read_volume(path), seeds={named: marks[named]["body_centre_ras"]})
    gaps = []
    for level in set(marks) & set(level_range("T9-L3")):
        for side, truth in marks[level]["pedicles"].items():
            pedicle = model.vertebra(level).pedicles.get(side)
            gap = np.inf
            if pedicle is not None:
                gap = np.linalg.norm(pedicle.isthmus_ras - truth["isthmus_ras"])
            gaps.append(gap)
    assert np.isfinite(gaps).mean() >= 0.9
    assert np.mean(np.array(gaps) <= 3) >= 0.9
    assert np.median(gaps) <= 2.0
