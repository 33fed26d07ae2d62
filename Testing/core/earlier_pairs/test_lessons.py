"""Lessons of the fusion network: what it would see of a slice, the truth; no judge teaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.mar.earlier.candidates import N_FEATURES
from spinemar.mar.inpainters.methods import shipped_model
from Testing.benchmarks.earlier_ct.making import lessons
from Testing.core.earlier_pairs.test_pairs import _patient

pytestmark = pytest.mark.skipif(shipped_model() is None, reason="no model ships")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder: Path = tmp_path_factory.mktemp("lessons")
    patched = pytest.MonkeyPatch()
    patched.setattr(lessons, "load_patient", lambda name, home: _patient())
    patched.setattr(lessons, "_SLICES", 2)
    try:
        names = list(lessons.make_lessons("crlm_1004", [0], folder, folder))
        when = (folder / "crlm_1004-000.npz").stat().st_mtime_ns
        assert list(lessons.make_lessons("crlm_1004", [0], folder, folder)) == names
        assert (folder / "crlm_1004-000.npz").stat().st_mtime_ns == when
    finally:
        patched.undo()
    with np.load(folder / "crlm_1004-000.npz") as held:
        return [held[name].astype(np.float32) for name in held.files]


def test_each_slice_is_shown_with_several_earlier_cts(made) -> None:
    assert len(made) == 2 * 3
    assert all(len(one) == N_FEATURES + 5 for one in made)
    truths = [one[N_FEATURES + 3] for one in made]
    assert sum(np.array_equal(truths[0], other) for other in truths) == 3
    lent = [one[N_FEATURES + 1] + one[N_FEATURES + 2] for one in made]
    assert len({part.tobytes() for part in lent}) == 6


def test_the_earlier_ct_is_the_patient_where_nothing_was_changed(made) -> None:
    for one in made:
        ground, coarse, fine, truth, changed = one[N_FEATURES:]
        bone = (one[4] > 0.98) & (changed < 0.5) & (one[5] < 0.5) & (truth > 250)
        error = np.abs(ground + coarse + fine - truth)[bone]
        assert np.median(error) < 80


def test_the_operation_is_marked(made) -> None:
    for one in made:
        ground, coarse, fine, truth, changed = one[N_FEATURES:]
        off = np.abs(ground + coarse + fine - truth)
        inside = (one[4] > 0.98) & (one[5] < 0.5)
        if (inside & (changed > 0.9)).any():
            unchanged = off[inside & (changed < 0.1)].mean()
            assert off[inside & (changed > 0.9)].mean() > 2 * unchanged


@pytest.mark.parametrize("patient", ["crlm_1006", "lidc_idri_0001"])
def test_patients_that_judge_do_not_teach(tmp_path: Path, patient: str) -> None:
    with pytest.raises(InputError, match="nothing learns"):
        list(lessons.make_lessons(patient, [0], tmp_path, tmp_path))
    assert not list(tmp_path.iterdir())
