"""Surfaces are closed, manifold, keep their volume and lie on the voxels; files read back."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.spine.drawing.surfaces import vertebra_surface, write_surface
from spinemar.volume import LabelVolume

trimesh = pytest.importorskip("trimesh")


def _ring():
    """A thick ring (a canal runs through it) with a stray voxel, off-axis voxels."""
    affine = np.diag([-0.8, 0.8, 2.0, 1.0])
    affine[:3, 3] = [30, -20, 100]
    k, j, i = np.mgrid[0:20, 0:60, 0:60]
    radius = np.hypot((j - 30) * 0.8, (i - 30) * 0.8)
    labels = np.where((radius > 8) & (radius < 17) & (k > 3) & (k < 16), 20, 0).astype(np.int16)
    labels[1, 2, 2] = 20
    return LabelVolume(labels, affine)


@pytest.fixture(scope="module")
def ring_surface():
    labels = _ring()
    return labels, vertebra_surface(labels, 20)


def test_closed_manifold_of_one_piece(ring_surface):
    _, surface = ring_surface
    mesh = trimesh.Trimesh(surface.points, surface.triangles, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 0  # a torus: the canal is open, nothing else is
    assert mesh.body_count == 1


def test_volume_and_place_are_those_of_the_voxels(ring_surface):
    labels, surface = ring_surface
    wanted = (labels.labels == 20).sum() * 0.8 * 0.8 * 2.0
    assert surface.volume_mm3 == pytest.approx(wanted, rel=0.02)
    centre = labels.geometry.to_ras(np.array([30.0, 30.0, 9.5]))
    radius = np.linalg.norm((surface.points - centre)[:, :2], axis=1)
    assert radius.max() == pytest.approx(17, abs=0.9)
    assert radius.min() == pytest.approx(8, abs=0.9)


@pytest.mark.parametrize("kind", ["stl", "vtk"])
def test_files_read_back_in_lps(ring_surface, tmp_path, kind):
    _, surface = ring_surface
    path = tmp_path / f"ring.{kind}"
    write_surface(path, surface, "L1")
    if kind == "stl":
        mesh = trimesh.load(path)
        points, volume = np.asarray(mesh.vertices), mesh.volume
        assert volume == pytest.approx(surface.volume_mm3, rel=1e-3)
    else:
        pytest.importorskip("vtk")
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkIOLegacy import vtkPolyDataReader

        reader = vtkPolyDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        data = reader.GetOutput()
        points = vtk_to_numpy(data.GetPoints().GetData())
        assert data.GetNumberOfPolys() == len(surface.triangles)
    lps = surface.points * [-1, -1, 1]
    np.testing.assert_allclose(points.min(axis=0), lps.min(axis=0), atol=1e-3)
    np.testing.assert_allclose(points.max(axis=0), lps.max(axis=0), atol=1e-3)


def test_absent_label_and_unknown_format(ring_surface, tmp_path):
    labels, surface = ring_surface
    with pytest.raises(InputError, match="L2"):
        vertebra_surface(labels, 21)
    with pytest.raises(InputError):
        write_surface(tmp_path / "ring.xyz", surface)
    assert not list(tmp_path.iterdir())
