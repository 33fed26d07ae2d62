"""DICOM Segmentations that we write: every voxel back, in the right study, valid for others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinemar.errors import GeometryError, InputError
from spinemar.io import read_labels, read_volume
from spinemar.io.segmentations.dicom_seg import read_dicom_segmentation
from spinemar.io.segmentations.dicom_seg_writing import MarkedObject, write_dicom_segmentation
from spinemar.volume import GridGeometry

SCREW, IMPLANT = ("68183006", "Bone Screw"), ("40388003", "Implant")


def _objects(shape: tuple[int, int, int], seed: int = 0) -> list[MarkedObject]:
    """Boxes of noise; the first reaches to all ends of the grid, the second shares its voxels."""
    rng = np.random.default_rng(seed)
    whole = rng.random(shape) < 0.3
    whole[[0, -1], 0, 0] = True
    part = rng.random((2, 3, 4)) < 0.6
    part[0, 0, 0] = True
    return [
        MarkedObject("screw L3 left", SCREW, (0, 0, 0), whole),
        MarkedObject("nothing", IMPLANT, (0, 0, 0), np.zeros((1, 1, 1), bool)),
        MarkedObject("rod right", IMPLANT, (1, 2, 3), part),
    ]


def _whole(one: MarkedObject, shape: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    k, j, i = one.first
    depth, height, width = one.inside.shape
    mask[k : k + depth, j : j + height, i : i + width] = one.inside
    return mask


def _marked(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of a segment as our reader has them, and the grid."""
    stored = read_dicom_segmentation(path)
    one = next(segment for segment in stored.segments if segment.name == name)
    return stored.layers[one.layer] == one.value, stored.ijk_to_ras


_TURN = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
_GRIDS = {
    "plain": np.diag([-0.7, -0.8, 2.5]),
    "rows of odd length, turned": _TURN @ np.diag([-0.7, -0.8, 2.5]),
    "from head to feet": np.diag([-0.7, -0.8, -2.5]),
    "sagittal slices": np.array([[0.0, 0.0, 2.5], [0.7, 0.0, 0.0], [0.0, -0.8, 0.0]]),
}


@pytest.mark.parametrize("name", _GRIDS)
@pytest.mark.parametrize("shape", [(5, 12, 10), (3, 7, 9)])
def test_every_voxel_comes_back_where_it_was(tmp_path: Path, name: str, shape) -> None:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = _GRIDS[name], (12.5, -30.25, 400.0)
    objects = _objects(shape)
    write_dicom_segmentation(
        tmp_path / "seg.dcm", objects, GridGeometry(shape, affine), description="Implants"
    )
    for one in (objects[0], objects[2]):
        mask, found = _marked(tmp_path / "seg.dcm", one.label)
        # Our reader orders slices along their normal, and holds only those of a frame.
        wanted = np.argwhere(_whole(one, shape))[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        there = np.argwhere(mask)[:, ::-1] @ found[:3, :3].T + found[:3, 3]
        np.testing.assert_allclose(_sorted(there), _sorted(wanted), atol=1e-3)
    names = {segment.name for segment in read_dicom_segmentation(tmp_path / "seg.dcm").segments}
    assert names == {"screw L3 left", "rod right"}


def _sorted(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 2)
    return points[np.lexsort(rounded.T)]


def test_screws_are_read_as_metal_and_as_no_vertebra(tmp_path: Path) -> None:
    geometry = GridGeometry((5, 12, 10), np.diag([-0.7, -0.8, 2.5, 1.0]))
    write_dicom_segmentation(
        tmp_path / "seg.dcm", _objects((5, 12, 10))[:1], geometry, description="Implants"
    )
    with pytest.raises(InputError):
        from spinemar.spine.labels.conventions import to_verse

        to_verse(read_labels(tmp_path / "seg.dcm"))


@pytest.fixture
def series(write_series) -> list[Path]:
    folder = write_series(
        PatientName="Müller^Änne",
        PatientID="7",
        SpecificCharacterSet="ISO_IR 100",
        FrameOfReferenceUID="1.2.9",
        SeriesNumber=3,
    )
    return sorted(folder.rglob("*.dcm"))


def test_it_belongs_to_the_study_of_its_ct(series: list[Path], tmp_path: Path) -> None:
    volume = read_volume(series[0].parent)
    objects = _objects(volume.hu.shape)
    write_dicom_segmentation(
        tmp_path / "seg.dcm", objects, volume.geometry, series[::-1], description="Implants found"
    )
    data, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(series[0])
    for name in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert data[name].value == source[name].value
    assert data.SeriesInstanceUID != source.SeriesInstanceUID
    assert (data.Modality, data.SeriesDescription) == ("SEG", "Implants found")
    (told,) = data.ReferencedSeriesSequence
    assert told.SeriesInstanceUID == source.SeriesInstanceUID
    assert len(told.ReferencedInstanceSequence) == len(series)
    places = {}
    for path in series:
        header = pydicom.dcmread(path)
        places[header.SOPInstanceUID] = float(header.ImagePositionPatient[2])
    for frame in data.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        assert place == pytest.approx(places[image])
    codes = [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in data.SegmentSequence]
    assert codes == [SCREW[0], IMPLANT[0]]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools' dciodvfy")
@pytest.mark.parametrize("from_dicom", [True, False])
def test_an_independent_checker_finds_no_error(series, tmp_path: Path, from_dicom: bool) -> None:
    volume = read_volume(series[0].parent)
    path = tmp_path / "seg.dcm"
    write_dicom_segmentation(
        path, _objects(volume.hu.shape), volume.geometry, series if from_dicom else (),
        description="Implants",
    )  # fmt: skip
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if line.startswith("Error")] == []
    assert "Segmentation" in lines


def test_highdicom_reads_it(series: list[Path], tmp_path: Path) -> None:
    seg = pytest.importorskip("highdicom.seg")
    volume = read_volume(series[0].parent)
    objects = _objects(volume.hu.shape)
    write_dicom_segmentation(
        tmp_path / "seg.dcm", objects, volume.geometry, series, description="Implants"
    )
    found = seg.segread(tmp_path / "seg.dcm")
    labels = [found.get_segment_description(n).segment_label for n in found.segment_numbers]
    assert labels == ["screw L3 left", "rod right"]
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in series[::-1]]  # rising
    pixels = found.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    for n, one in enumerate((objects[0], objects[2])):
        np.testing.assert_array_equal(pixels[..., n] > 0, _whole(one, volume.hu.shape))


def test_what_cannot_be_written_leaves_nothing(series: list[Path], tmp_path: Path) -> None:
    volume = read_volume(series[0].parent)
    nothing, some = _objects(volume.hu.shape)[1:2], _objects(volume.hu.shape)
    moved = volume.ijk_to_ras.copy()
    moved[2, 3] += 1.0
    for objects, affine, error in (
        (nothing, volume.ijk_to_ras, InputError),
        (some, moved, GeometryError),
    ):
        with pytest.raises(error):
            write_dicom_segmentation(
                tmp_path / "seg.dcm", objects, GridGeometry(volume.hu.shape, affine), series,
                description="Implants",
            )  # fmt: skip
    assert list(tmp_path.glob("*.dcm")) == []
