"""The job "find-metal": the mask is that of the automatic selection; bone is told from metal."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.jobs.requests.find_metal import elsewhere_mm3, run
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.progress import CancelToken, ignore_progress
from spinemar.volume import CTVolume

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def body() -> CTVolume:
    """A body with a screw of 3071 HU and, 30 mm away, a bone of 1400 HU, 6 x 6 x 4 voxels."""
    y, x = np.mgrid[:96, :96] - 48.0
    hu = np.full((8, 96, 96), -1000.0)
    hu[:, np.hypot(x, y) < 40] = 40
    hu[2:6, 45:51, 70:76] = 1400
    hu[1:7, np.hypot(x + 15, y) < 4] = 3071
    return CTVolume(hu.astype(np.float32), AFFINE)


def test_the_mask_is_the_automatic_one(tmp_path):
    volume = body()
    np.save(tmp_path / "in.npy", volume.hu)
    job = {
        "schema": "spinemar-job/1",
        "kind": "find-metal",
        "input": {"npy": str(tmp_path / "in.npy"), "ijk_to_ras": AFFINE.tolist(), "name": "a"},
        "metal_output": str(tmp_path / "metal.npy"),
    }
    facts = run(job, ignore_progress, CancelToken())
    mask = segment_metal(volume).mask
    assert mask.any()
    np.testing.assert_array_equal(np.load(tmp_path / "metal.npy") > 0, mask)
    assert facts["metal_mm3"] == pytest.approx(mask.sum() * 2.0)


def test_bone_is_what_a_low_threshold_takes_beside_the_metal():
    volume = body()
    levels, volumes = elsewhere_mm3(volume, segment_metal(volume).mask)
    at = dict(zip(levels, volumes, strict=True))
    assert at[1000] == at[1400] == 6 * 6 * 4 * 2.0
    assert at[1450] == at[2500] == 0
    assert (np.diff(volumes) <= 0).all()


def test_without_metal_all_that_is_bright_counts():
    volume = body()
    _, volumes = elsewhere_mm3(volume, np.zeros(volume.hu.shape, bool))
    assert volumes[0] == (volume.hu >= 500).sum() * 2.0
