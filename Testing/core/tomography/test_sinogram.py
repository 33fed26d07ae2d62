"""Raw data: files, geometry, and refusal of what cannot be raw data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import GeometryError, InputError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.helical import HelicalGeometry
from spinemar.tomography.raw_data.sinogram import Sinogram
from spinemar.tomography.raw_data.sinogram_files import (
    is_sinogram_path,
    read_sinogram,
    write_sinogram,
)

PARALLEL = SinogramGeometry(n_views=12, n_bins=20, bin_mm=2.5)
FAN = FanGeometry.covering(40, views_per_turn=24, n_bins=16, detector="flat")
SHORT = FanGeometry.covering(40, views_per_turn=24, n_bins=16, short=True)
HELIX = HelicalGeometry(FAN, 96, 5.0, 2, 2.5, -10.0)


def _sinogram(geometry) -> Sinogram:
    helical = isinstance(geometry, HelicalGeometry)
    shape = geometry.shape if helical else (3, *geometry.shape)
    data = np.random.default_rng(0).random(shape, dtype=np.float32)
    tilted = np.array([[0, 1, 0, 5], [-1, 0, 0, -7], [0, 0, 1, 100], [0, 0, 0, 1.0]])
    return Sinogram(data, geometry, np.array([-1.0, 0.5, 2.0]), tilted, 1.5)


@pytest.mark.parametrize("suffix", [".npz", ".zarr"])
@pytest.mark.parametrize("geometry", [PARALLEL, FAN, SHORT, HELIX], ids=lambda g: type(g).__name__)
def test_files_return_what_was_written(geometry, suffix, tmp_path: Path) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    before = _sinogram(geometry)
    path = tmp_path / f"raw{suffix}"
    write_sinogram(path, before)
    write_sinogram(path, before)  # replaces
    after = read_sinogram(path)
    np.testing.assert_array_equal(after.projections, before.projections)
    np.testing.assert_array_equal(after.slices_mm, before.slices_mm)
    np.testing.assert_array_equal(after.scanner_to_ras, before.scanner_to_ras)
    assert after.geometry == before.geometry
    assert after.thickness_mm == before.thickness_mm
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_plain_array_with_its_geometry_beside_it_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.ones((2, 12, 20)))
    header = {
        "format": "spinemar-sinogram",
        "version": 1,
        "geometry": {"kind": "parallel", "n_views": 12, "n_bins": 20, "bin_mm": 2.5},
        "slices_mm": [0, 3],
    }
    (tmp_path / "mine.json").write_text(json.dumps(header))
    sinogram = read_sinogram(tmp_path / "mine.npy")
    assert sinogram.geometry == PARALLEL
    assert sinogram.projections.dtype == np.float32
    assert sinogram.image_grid(64).spacing_mm[2] == 3
    (tmp_path / "mine.json").unlink()
    with pytest.raises(InputError, match="how it was measured"):
        read_sinogram(tmp_path / "mine.npy")


def test_only_raw_data_look_like_raw_data() -> None:
    assert is_sinogram_path(Path("a.npz"))
    assert is_sinogram_path(Path("a.zarr"))
    assert not is_sinogram_path(Path("a.nii.gz"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "does not say"),
        ({"version": 9}, "version 9"),
        ({"geometry": {"kind": "cone"}}, "not complete"),
        ({"geometry": {"kind": "parallel", "n_views": 12}}, "shape"),
        ({"geometry": {"kind": "fan", "n_views": 12}}, "not complete"),
        ({"slices_mm": None}, "not complete|not evenly|shape"),
        ({"slices_mm": [0, 1, 5]}, "not evenly spaced"),
    ],
)
def test_absurd_headers_are_refused_in_one_sentence(change, message, tmp_path: Path) -> None:
    header = {
        "format": "spinemar-sinogram",
        "version": 1,
        "geometry": {"kind": "parallel", "n_views": 12, "n_bins": 20, "bin_mm": 2.5},
        "slices_mm": [0, 1, 2],
        **change,
    }
    path = tmp_path / "raw.npz"
    np.savez(path, projections=np.ones((3, 12, 20)), header=np.array(json.dumps(header)))
    with pytest.raises((InputError, GeometryError), match=message):
        read_sinogram(path)


def test_broken_and_missing_files_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "raw.npz"
    broken.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match="cannot be read"):
        read_sinogram(broken)
    np.savez(broken, wrong=np.ones(3))
    with pytest.raises(InputError, match="cannot be read"):
        read_sinogram(broken)
    with pytest.raises(InputError, match="does not exist"):
        read_sinogram(tmp_path / "none.npz")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="holds no raw data"):
        read_sinogram(tmp_path / "a.txt")
    with pytest.raises(InputError, match="cannot be written"):
        write_sinogram(tmp_path / "a.raw", _sinogram(PARALLEL))


def test_values_and_shapes_are_checked() -> None:
    data = np.ones((1, 12, 20), dtype=np.float32)
    data[0, 3, 4] = np.inf
    with pytest.raises(InputError, match="not numbers"):
        Sinogram(data, PARALLEL, np.array([0.0]))
    with pytest.raises(GeometryError, match="geometry says"):
        Sinogram(np.ones((1, 20, 12)), PARALLEL, np.array([0.0]))


def test_parallel_data_are_resampled_to_other_grids() -> None:
    source = SinogramGeometry(n_views=200, n_bins=300, bin_mm=1.0)
    target = SinogramGeometry(n_views=360, n_bins=220, bin_mm=1.2)

    def blob(geometry: SinogramGeometry) -> np.ndarray:
        theta, r = geometry.angles_rad[:, None], geometry.bins_mm[None]
        centre = 40 * np.cos(theta - 0.7)
        return np.exp(-0.5 * ((r - centre) / 12) ** 2).astype(np.float32)

    sinogram = Sinogram(blob(source)[None], source, np.array([0.0]))
    np.testing.assert_allclose(sinogram.to_parallel(target)[0], blob(target), atol=2e-3)
    np.testing.assert_array_equal(sinogram.to_parallel(source), sinogram.projections)


def test_the_image_lies_about_the_centre_of_rotation() -> None:
    sinogram = Sinogram(np.zeros((2, 12, 20)), PARALLEL, np.array([10.0, 12.0]))
    grid = sinogram.image_grid(101, 50.5)
    np.testing.assert_allclose(grid.to_ras([50, 50, 0]), [0, 0, 10], atol=1e-9)
    # Columns run to the patient's left, rows to the back, as images are shown.
    assert grid.to_ras([51, 50, 0])[0] < 0
    assert grid.to_ras([50, 51, 0])[1] < 0
    assert grid.to_ras([50, 50, 1])[2] == 12


@pytest.mark.parametrize(
    ("matrix", "fov_mm", "allowed"),
    [
        (16, 500.0, True), (15, 500.0, False), (4096, 500.0, True), (4097, 500.0, False),
        (64, 10.0, True), (64, 9.99, False), (64, 2000.0, True), (64, 2000.01, False),
    ],
)  # fmt: skip
def test_images_have_sensible_sizes(matrix: int, fov_mm: float, allowed: bool) -> None:
    sinogram = Sinogram(np.zeros((1, 12, 20)), PARALLEL, np.array([0.0]))
    if not allowed:
        with pytest.raises(InputError, match="cannot be reconstructed"):
            sinogram.image_grid(matrix, fov_mm)
        return
    grid = sinogram.image_grid(matrix, fov_mm)
    assert grid.shape == (1, matrix, matrix)
    assert grid.spacing_mm[0] * matrix == pytest.approx(fov_mm)


def test_an_image_of_512_pixels_lies_inside_the_field_by_default() -> None:
    sinogram = Sinogram(np.zeros((1, 12, 20)), PARALLEL, np.array([0.0]))
    grid = sinogram.image_grid()
    assert grid.shape == (1, 512, 512)
    corner = grid.to_ras([-0.5, -0.5, 0])
    assert np.hypot(*corner[:2]) == pytest.approx(sinogram.field_mm / 2)
