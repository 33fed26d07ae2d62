"""Small patients on disk, and a small store made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.dataset.make import make_store
from spinemar.dataset.manifest import CtEntry, read_inputs
from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.patients import Patient, load_patient, prepare_patient
from spinemar.io import write_volume
from spinemar.volume import CTVolume

SHAPE, PIXEL_MM, SLICE_MM = (50, 112, 128), 2.5, 4.0
LEVELS = ("T11", "T12", "L1", "L2", "L3")
STORE_PAIRS, BLOCK = 11, 3
SMALL: dict[str, Any] = {
    "matrix": 96,
    "n_views": 60,
    "n_bins": 138,
    "anatomy_mm": 2.5,
    "scan_bin_mm": 2.5,
    "scan_views": 80,
    "slice_mm": [2.0, 3.0],
    "edge_share": 0.2,
    "raw_share": 0.5,
}


def level_centres() -> dict[str, np.ndarray]:
    """RAS mm of the vertebral bodies, 34 mm apart, in a slight curve."""
    heights = 68.0 - 34.0 * np.arange(len(LEVELS))
    return {
        level: np.array([3.0, 4.0 * np.cos(z / 60.0), z])
        for level, z in zip(LEVELS, heights, strict=True)
    }


def trunk(size: float) -> CTVolume:
    """A trunk with a spine, a canal, bowel gas and a table; RAS axes, origin in the middle."""
    k, j, i = SHAPE
    affine = np.diag([-PIXEL_MM, -PIXEL_MM, SLICE_MM, 1.0])
    affine[:3, 3] = PIXEL_MM * (i - 1) / 2, PIXEL_MM * (j - 1) / 2 + 30.0, -SLICE_MM * (k - 1) / 2
    kji = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(kji[..., ::-1] @ affine[:3, :3].T + affine[:3, 3], -1, 0)
    hu = np.full(SHAPE, -1000.0, dtype=np.float32)
    hu[(x / (130 * size)) ** 2 + ((y - 30) / (100 * size)) ** 2 < 1] = -100.0
    hu[(x / (118 * size)) ** 2 + ((y - 30) / (88 * size)) ** 2 < 1] = 40.0
    hu[(x + 45) ** 2 + (y - 75) ** 2 < 18**2] = -990.0
    hu[(np.abs(y + 118) < 4) & (np.abs(x) < 110)] = -300.0
    for centre in level_centres().values():
        near = np.abs(z - centre[2]) < 13
        body = ((x - centre[0]) / 22) ** 2 + ((y - centre[1]) / 16) ** 2 < 1
        hu[near & body] = 250.0
        arch = (np.abs(x - centre[0]) < 22) & (np.abs(y - centre[1] + 30) < 14)
        hu[(np.abs(z - centre[2]) < 7) & arch] = 350.0
    hu[(x - 3) ** 2 + (y + 26) ** 2 < 9**2] = 20.0
    noise = np.random.default_rng(int(10 * size)).normal(0.0, 8.0, SHAPE)
    return CTVolume((hu + noise).astype(np.float32), affine)


def landmarks(split: str) -> dict[str, Any]:
    vertebrae = []
    for level, centre in level_centres().items():
        pedicles = {}
        for side, sign in (("left", -1.0), ("right", 1.0)):
            pedicles[side] = {
                "isthmus_ras": (centre + np.array([sign * 15.0, -24.0, 1.0])).tolist(),
                "entry_ras": (centre + np.array([sign * 18.0, -44.0, 1.0])).tolist(),
            }
        vertebrae.append(
            {
                "level": level,
                "body_centre_ras": centre.tolist(),
                "canal_centre_ras": (centre + np.array([0.0, -28.0, 0.0])).tolist(),
                "pedicles": pedicles,
            }
        )
    return {"split": split, "source": "a phantom", "vertebrae": vertebrae}


@pytest.fixture(scope="session")
def ct_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three CTs of two patients, landmarks, and the list cts.json."""
    folder = tmp_path_factory.mktemp("cts")
    rows = []
    for name, patient, size, split in (
        ("anna", "p1", 1.0, "training"),
        ("bert", "p2", 0.85, "validation"),
        ("anna-later", "p1", 0.95, "training"),
    ):
        write_volume(folder / f"{name}.nii.gz", trunk(size))
        (folder / f"{name}.marks.json").write_text(json.dumps(landmarks(split)))
        rows.append({"ct": f"{name}.nii.gz", "patient": patient, "landmarks": f"{name}.marks.json"})
    (folder / "cts.json").write_text(json.dumps({"schema": "spinemar-cts/1", "cts": rows}))
    (folder / "small.json").write_text(json.dumps(SMALL))
    return folder


@pytest.fixture(scope="session")
def inputs(ct_folder: Path) -> tuple[CtEntry, ...]:
    return read_inputs([ct_folder / "cts.json"])


@pytest.fixture(scope="session")
def patients(
    inputs: tuple[CtEntry, ...], tmp_path_factory: pytest.TempPathFactory
) -> list[Patient]:
    folder = tmp_path_factory.mktemp("patients")
    return [load_patient(prepare_patient(entry, folder)) for entry in inputs]


@pytest.fixture(scope="session")
def small() -> Callable[..., PairSettings]:
    """Settings of small pairs, with changes."""

    def make(**changes: Any) -> PairSettings:
        return PairSettings.from_json({**SMALL, **changes})

    return make


@pytest.fixture(scope="session")
def finished(
    inputs: tuple[CtEntry, ...],
    small: Callable[..., PairSettings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A finished store: copy it before changing anything."""
    store = tmp_path_factory.mktemp("finished") / "pairs.zarr"
    make_store(store, inputs, STORE_PAIRS, settings=small(), seed=5, block_pairs=BLOCK)
    return store


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that reads every file below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
