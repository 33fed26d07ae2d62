"""Masks and labels: DICOM SEG and .seg.nrrd read by what they say, everything else refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.errors import GeometryError, InputError
from spinemar.io import read_labels, read_mask
from spinemar.volume import GridGeometry
from Testing.core.io.segmentation_files import (
    CODES,
    dicom_seg,
    nifti_with_table,
    seg_nrrd,
    terminology,
)

SHAPE = (8, 12, 10)
RAS = np.array([[-0.7, 0, 0, 30], [0, -0.8, 0, 40], [0, 0, 2.5, -100], [0, 0, 0, 1.0]])
LPS = np.diag([-1.0, -1, 1, 1]) @ RAS
GRID = GridGeometry(SHAPE, RAS)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def masks() -> dict[str, np.ndarray]:
    """Two segments with gaps, at different slices, so that no frame's number is its slice."""
    left, right = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    left[[1, 2, 5], 2:6, 1:4] = 1
    right[[0, 2, 7], 4:9, 6:9] = 1
    right[2, 4, 6] = 0
    return {"screw left": left, "screw right": right}


def both() -> np.ndarray:
    return np.max(list(masks().values()), axis=0) > 0


SYNTAXES = [
    *(("BINARY", syntax) for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED)),
    *(("FRACTIONAL", syntax) for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED, "RLE")),
    *(("LABELMAP", syntax) for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED, "RLE")),
]


@pytest.mark.parametrize(("kind", "syntax"), SYNTAXES)
@pytest.mark.parametrize("backwards", [False, True])
def test_dicom_seg_lies_where_its_frames_say(tmp_path: Path, kind, syntax, backwards) -> None:
    path = dicom_seg(
        tmp_path / "seg.dcm", masks(), LPS, kind=kind, syntax=syntax, backwards=backwards
    )
    np.testing.assert_array_equal(read_mask(path, GRID), both())
    labels = read_labels(path)
    assert dict(labels.names) == {1: "screw left", 2: "screw right"}
    for number, mask in enumerate(masks().values(), 1):
        np.testing.assert_array_equal(labels.labels == number, mask)


@pytest.mark.parametrize("only", [[0], [3], [7], [0, 7], [1, 3, 5], [2, 5], [0, 4]])
@pytest.mark.parametrize(("between", "thickness"), [(True, 2.5), (True, 5.0), (False, 2.5)])
def test_empty_slices_that_are_left_out_stay_empty(tmp_path: Path, only, between, thickness):
    mask = np.zeros(SHAPE, np.uint8)
    mask[only, 3:7, 3:7] = 1
    path = dicom_seg(tmp_path / "a", {"m": mask}, LPS, between=between, thickness=thickness)
    np.testing.assert_array_equal(read_mask(path, GRID), mask > 0)


@pytest.mark.parametrize("tilt_deg", [0.0, 12.0, 28.0])
def test_dicom_seg_of_another_grid_and_of_a_tilted_one(tmp_path: Path, tilt_deg: float) -> None:
    """Cropped, flipped in all three axes, and leaning: the same voxels in space."""
    lean = RAS.copy()
    angle = np.radians(tilt_deg)
    lean[:3, 1] = [0, -0.8 * np.cos(angle), 0.8 * np.sin(angle)]
    grid = GridGeometry(SHAPE, lean)
    mask = both().astype(np.uint8)
    crop = mask[1:, 2:, 1:][::-1, ::-1, ::-1]
    corner = np.array([SHAPE[2] - 1, SHAPE[1] - 1, SHAPE[0] - 1, 1])
    flipped = lean.copy()
    flipped[:3, :3] *= -1
    flipped[:3, 3] = (lean @ corner)[:3]
    path = dicom_seg(tmp_path / "s", {"m": crop}, np.diag([-1.0, -1, 1, 1]) @ flipped)
    expected = mask.copy()
    expected[0], expected[:, :2], expected[:, :, 0] = 0, 0, 0
    np.testing.assert_array_equal(read_mask(path, grid), expected > 0)


@pytest.mark.parametrize("number", [32767, 32768, 65535])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_numbers_of_segments_are_read_or_refused(tmp_path: Path, kind: str, number: int) -> None:
    """DICOM numbers to 65535, labels to 32767: none becomes another on the way."""

    def renumber(data: Any) -> None:
        data.SegmentSequence[1].SegmentNumber = number
        if kind == "BINARY":
            for group in data.PerFrameFunctionalGroupsSequence:
                said = group.SegmentIdentificationSequence[0]
                if said.ReferencedSegmentNumber == 2:
                    said.ReferencedSegmentNumber = number
        else:
            wide = np.frombuffer(data.PixelData, np.uint8).astype("<u2")
            wide[wide == 2] = number
            data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
            data.PixelData = wide.tobytes()
            data["PixelData"].VR = "OW"

    path = dicom_seg(tmp_path / "s", masks(), LPS, kind=kind, edit=renumber)
    if number <= 32767:
        labels = read_labels(path)
        np.testing.assert_array_equal(labels.labels == number, masks()["screw right"])
    else:
        with pytest.raises(InputError, match=f"numbers a segment {number}"):
            read_mask(path, GRID)


def test_dicom_seg_in_sagittal_frames(tmp_path: Path) -> None:
    """Frames along another axis than the CT's slices."""
    mask = both().astype(np.uint8)
    turned = RAS[:, [1, 2, 0, 3]]
    path = dicom_seg(
        tmp_path / "s", {"m": mask.transpose(2, 0, 1)}, np.diag([-1.0, -1, 1, 1]) @ turned
    )
    np.testing.assert_array_equal(read_mask(path, GRID), mask > 0)


def test_overlapping_segments_of_dicom_seg(tmp_path: Path) -> None:
    first, second = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    first[2:5, 2:8, 2:8] = 1
    second[3:6, 5:10, 5:9] = 1
    path = dicom_seg(tmp_path / "s", {"a": first, "b": second}, LPS)
    np.testing.assert_array_equal(read_mask(path, GRID), (first | second) > 0)
    with pytest.raises(InputError, match="L1 and L2 overlap"):
        read_labels(dicom_seg(tmp_path / "v", {"L1": first, "L2": second}, LPS))
    # A whole spine around its vertebrae is no contradiction.
    spine = read_labels(dicom_seg(tmp_path / "w", {"L1": first, "Spine": first | second}, LPS))
    np.testing.assert_array_equal(spine.labels == 1, first[2:6])  # what is marked, and no more


SCT = ("SCT", "an object")


@pytest.mark.parametrize(
    ("label", "kind", "name"),
    [
        ("L1 vertebra", ("1", "99X", "thing"), "L1 vertebra"),
        ("Segment 1", (CODES["L2"], "SCT", "a bone"), f"{CODES['L2']} a bone"),
        ("Segment 1", ("T-11511", "SRT", "T12 vertebra"), " T12 vertebra"),
        # The user renamed a copy; its code is still the other's.
        ("L1", (CODES["L2"], "SCT", "L2 vertebra"), "L1"),
        ("Metal", ("260787004", "SCT", "Physical object"), "Metal"),
    ],
)
def test_names_in_dicom_seg(tmp_path: Path, label, kind, name) -> None:
    path = dicom_seg(tmp_path / "s", {label: both().astype(np.uint8)}, LPS, types={label: kind})
    assert dict(read_labels(path).names) == {1: name.strip()}


def drop(*names: str):
    def edit(data):
        for name in names:
            for group in (data.SharedFunctionalGroupsSequence[0],
                          *data.PerFrameFunctionalGroupsSequence, data):  # fmt: skip
                if name in group:
                    delattr(group, name)

    return edit


def uneven(data) -> None:
    place = data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [-30, -40, -98.9]


def aside(data) -> None:
    place = data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [-20, -40, -95]


def kind_of(uid: str):
    def edit(data):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid

    return edit


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (drop("PlanePositionSequence"), GeometryError, "where its frames lie"),
        (drop("PlaneOrientationSequence"), GeometryError, "where its frames lie"),
        (drop("PixelMeasuresSequence"), GeometryError, "where its frames lie"),
        (drop("SegmentIdentificationSequence"), GeometryError, "of which segment"),
        (drop("SegmentSequence"), GeometryError, "of which segment"),
        (uneven, GeometryError, "not evenly spaced"),
        (aside, GeometryError, "above each other"),
        (kind_of("1.2.840.10008.5.1.4.1.1.2"), InputError, "it is: CT Image Storage"),
        (kind_of("1.2.840.10008.5.1.4.1.1.481.3"), InputError, "it is: RT Structure Set Storage"),
        (kind_of("1.2.840.10008.5.1.4.1.1.66.5"), InputError, "it is: Surface Segmentation"),
        (kind_of("1.2.840.10008.5.1.4.1.1.66.1"), InputError, "it is: Spatial Registration"),
        (drop("PixelData"), InputError, "incomplete or packed"),
        (lambda d: setattr(d, "PixelData", d.PixelData[:10]), InputError, "cannot be read"),
        (lambda d: setattr(d, "NumberOfFrames", 5), InputError, "cannot be read"),
        (lambda d: setattr(d, "TotalPixelMatrixColumns", 99), InputError, "microscope"),
    ],
)
def test_dicom_that_cannot_be_read_right_is_refused(tmp_path: Path, edit, error, message) -> None:
    path = dicom_seg(tmp_path / "seg.dcm", masks(), LPS, edit=edit)
    for read in (read_labels, lambda p: read_mask(p, GRID)):
        with pytest.raises(error, match=message) as caught:
            read(path)
        assert caught.value.remedy


@pytest.mark.parametrize("form", [b"MO", b"QH", b"TS"])
@pytest.mark.parametrize("tag", [b"\x62\x00\x05\x00", b"\x20\x00\x32\x00"])
def test_values_of_an_unknown_kind_are_refused(tmp_path: Path, tag, form) -> None:
    """A segment's name and a position, whose kind of value does not exist."""
    path = dicom_seg(tmp_path / "seg.dcm", masks(), LPS)
    data = path.read_bytes()
    place = data.index(tag) + 4
    path.write_bytes(data[:place] + form + data[place + 2 :])
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert caught.value.remedy


def test_a_folder_with_one_segmentation_is_taken_and_with_more_refused(tmp_path: Path) -> None:
    (tmp_path / "seg").mkdir()
    dicom_seg(tmp_path / "seg" / "IM0001", masks(), LPS)
    (tmp_path / "seg" / "DICOMDIR").write_bytes(b"any")
    np.testing.assert_array_equal(read_mask(tmp_path / "seg", GRID), both())
    dicom_seg(tmp_path / "seg" / "IM0002", masks(), LPS)
    with pytest.raises(InputError, match="folder with 2 files"):
        read_mask(tmp_path / "seg", GRID)


# .seg.nrrd


def numbered() -> np.ndarray:
    labels = np.zeros((1, *SHAPE), np.uint8)
    labels[0, 0:2, 2:8, 2:8], labels[0, 3:5, 2:8, 2:8], labels[0, 6:8, 2:8, 2:8] = 1, 2, 3
    return labels


def fields(value: int, layer: int = 0, **more: str) -> dict[str, object]:
    return {"ID": f"Segment_{value}", "LabelValue": value, "Layer": layer, **more}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ({"Name": "T12 vertebra"}, "T12 vertebra"),
        ({"Name": "vertebrae_T12"}, "vertebrae_T12"),
        ({"Name": "Wirbel BWK 12"}, "Wirbel BWK 12"),
        ({"Name": "Segment_1", "Tags": terminology("T12")}, "SCT 23215003 T12 vertebra"),
        ({"Name": "", "Tags": terminology("T12")}, "SCT 23215003 T12 vertebra"),
        ({"Name": "T12", "Tags": terminology("L1")}, "T12"),
        ({"ID": "T12", "Name": ""}, "T12"),
    ],
)
def test_names_in_seg_nrrd(tmp_path: Path, name, expected) -> None:
    segments = [{**fields(2), **name}, {**fields(1), "Name": "other"}]
    path = seg_nrrd(tmp_path / "a.seg.nrrd", numbered(), RAS, segments)
    labels = read_labels(path)
    assert labels.names[2] == expected
    np.testing.assert_array_equal(labels.labels, numbered()[0])
    np.testing.assert_allclose(labels.ijk_to_ras, RAS)


def test_names_beyond_ascii_in_seg_nrrd(tmp_path: Path) -> None:
    path = seg_nrrd(tmp_path / "a.seg.nrrd", numbered(), RAS, [{**fields(2), "Name": "V@ L1"}])
    path.write_bytes(path.read_bytes().replace(b"V@ L1", "Vertèbre L1".encode()))
    assert read_labels(path).names[2] == "Vertèbre L1"


def test_layers_of_seg_nrrd(tmp_path: Path) -> None:
    """Numbers repeat in the layers; each segment is its own."""
    layers = np.zeros((2, *SHAPE), np.uint8)
    layers[0, 1:4, 2:6, 2:6], layers[0, 5:7, 2:6, 2:6] = 1, 2
    layers[1, 3:6, 4:9, 4:9] = 1
    segments = [
        {**fields(1, 0), "Name": "L2"}, {**fields(2, 0), "Name": "L1"},
        {**fields(1, 1), "Name": "Screw left"},
    ]  # fmt: skip
    path = seg_nrrd(tmp_path / "a.seg.nrrd", layers, RAS, segments)
    labels = read_labels(path)
    assert dict(labels.names) == {1: "L2", 2: "L1", 3: "Screw left"}
    np.testing.assert_array_equal(labels.labels == 1, layers[0] == 1)
    np.testing.assert_array_equal(labels.labels == 2, layers[0] == 2)
    np.testing.assert_array_equal(read_mask(path, GRID), layers[1] == 1)


def test_old_seg_nrrd_with_a_layer_a_segment(tmp_path: Path) -> None:
    layers = (numbered() == np.arange(1, 4).reshape(3, 1, 1, 1)).astype(np.uint8)
    names = ["L1", "T12", "T11"]
    segments = [{"ID": f"S{n}", "Name": name} for n, name in enumerate(names)]
    labels = read_labels(seg_nrrd(tmp_path / "a.seg.nrrd", layers, RAS, segments))
    np.testing.assert_array_equal(labels.labels, numbered()[0])
    assert list(labels.names.values()) == names


@pytest.mark.parametrize(
    "segments",
    [
        [{"Name": "L1"}, {"Name": "T12"}],
        [fields(1), fields(1)],
        [fields(1, 3)],
        [{**fields(1), "LabelValue": "one"}],
        [fields(99999)],
    ],
)
def test_seg_nrrd_that_does_not_say_what_is_what(tmp_path: Path, segments) -> None:
    with pytest.raises(InputError, match="which of its numbers is which segment"):
        read_labels(seg_nrrd(tmp_path / "a.seg.nrrd", numbered(), RAS, segments))


@pytest.mark.parametrize("number", [1, 18, 2**15 - 1])
def test_any_number_that_a_label_can_have_names_a_segment(tmp_path: Path, number: int) -> None:
    voxels = np.where(numbered() == 1, number, 0).astype(np.int16)
    path = seg_nrrd(tmp_path / "a.seg.nrrd", voxels, RAS, [{**fields(number), "Name": "L1"}])
    labels = read_labels(path)
    assert dict(labels.names) == {number: "L1"}
    np.testing.assert_array_equal(labels.labels == number, numbered()[0] == 1)


def test_vectors_without_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="values per voxel"):
        read_mask(seg_nrrd(tmp_path / "a.nrrd", np.ones((2, *SHAPE), "u1"), RAS, []), GRID)


@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz"])
def test_label_table_of_nifti(tmp_path: Path, name: str) -> None:
    names = {26: "vertebrae_S1", 27: "vertebrae_L5", 5: "liver", 1: "a &amp; b"}
    labels = np.zeros(SHAPE, np.uint8)
    labels[1], labels[4], labels[6] = 26, 27, 1
    found = read_labels(nifti_with_table(tmp_path / name, labels, RAS, names))
    assert dict(found.names) == {26: "vertebrae_S1", 27: "vertebrae_L5", 1: "a & b"}
    np.testing.assert_array_equal(found.labels, labels)


# Masks.


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("a", "b", "c"), (1, 2, 3)),
        (("Metal", "L1", "T12"), (1,)),
        (("L2", "pedicle screws", "rod_left"), (2, 3)),
        (("Implant 1", "Implant 2", "Implant 3"), (1, 2, 3)),
        (("Hardware", "Spine", "Lung"), (1,)),
    ],
)
def test_metal_is_what_the_names_call_metal(tmp_path: Path, names, values) -> None:
    segments = [{**fields(n), "Name": name} for n, name in enumerate(names, 1)]
    path = seg_nrrd(tmp_path / "m.seg.nrrd", numbered(), RAS, segments)
    np.testing.assert_array_equal(read_mask(path, GRID), np.isin(numbered()[0], values))


def test_masks_of_vertebrae_and_cts_are_no_metal(tmp_path: Path) -> None:
    segments = [{**fields(n), "Name": f"L{n}"} for n in (1, 2, 3)]
    path = seg_nrrd(tmp_path / "v.seg.nrrd", numbered(), RAS, segments)
    with pytest.raises(InputError, match="marks L1, L2, L3, and no metal"):
        read_mask(path, GRID)
    hu = np.where(numbered() > 0, 3000, -1000).astype(np.int16)
    with pytest.raises(InputError, match="values below 0"):
        read_mask(seg_nrrd(tmp_path / "ct.nrrd", hu, RAS, []), GRID)


@pytest.mark.parametrize(
    "name",
    ["m.png", "m.tif", "m.jpg", "m.bmp", "m.vtk", "m.vti", "m.stl", "m.npy", "m.npz", "m.mat",
     "m.hdr", "m.img", "m.mgz", "m.txt", "m.json", "m.h5", "m.mnc", "m.gipl", "m.zip", "mask"],
)  # fmt: skip
@pytest.mark.parametrize("content", ["picture", "nothing", "noise"])
def test_other_formats_are_refused(tmp_path: Path, name: str, content: str) -> None:
    import SimpleITK as sitk

    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, 600, dtype=np.uint8).tobytes()
    path.write_bytes(b"" if content == "nothing" else noise)
    if content == "picture" and name.endswith((".png", ".tif", ".jpg", ".bmp", ".hdr", ".vtk")):
        path.unlink()
        image = sitk.GetImageFromArray(both().astype(np.uint8))
        image = image if name.endswith((".tif", ".hdr", ".vtk")) else image[:, :, 0]
        sitk.WriteImage(image, str(path))
    for read in (read_labels, lambda p: read_mask(p, GRID)):
        with pytest.raises(InputError, match="of no format of labels") as caught:
            read(path)
        assert "SEG" in caught.value.remedy
