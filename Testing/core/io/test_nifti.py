"""NIfTI: what its header says three times over, its scaling, and its lean as DICOM's."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest

from spinemar.errors import GeometryError, InputError
from spinemar.io import read_labels, read_volume

SIZE = (6, 5, 4)
HU = np.linspace(-1024, 1000, 120).astype(np.int16).reshape(SIZE)
TRUE = np.array([[-0.7, 0, 0, 11], [0, -0.7, 0, -22], [0, 0, 0.6, 33], [0, 0, 0, 1.0]])


def write(path: Path, sform=None, qform=None, zooms=None, codes=(1, 1), edit=None) -> Path:
    """Write a header that says what it is told to, contradictions and all."""
    image = nibabel.Nifti1Image(HU, None)
    image.header.set_xyzt_units("mm")
    image.header["vox_offset"] = 352
    if qform is not None:
        image.header.set_qform(qform, codes[0])
    if sform is not None:
        image.header.set_sform(sform, codes[1])
    if zooms is not None:
        image.header["pixdim"][1:4] = zooms
    elif qform is None and sform is not None:
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    # nibabel mends what it is given when it saves; these headers must stay as they are.
    raw = bytearray(image.header.binaryblock + bytes(4) + HU.tobytes(order="F"))
    if edit:
        edit(raw)
    path.write_bytes(raw)
    return path


def scaled(affine: np.ndarray, **axes: float) -> np.ndarray:
    result = affine.copy()
    for name, factor in axes.items():
        result[:3, "ijk".index(name)] *= factor
    return result


def turned(affine: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def leaning(degrees: float, order: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    affine = scaled(TRUE, k=4.0)
    affine[1, 2] = np.tan(np.radians(degrees)) * affine[2, 2]
    affine[:, :3] = affine[:, list(order)]
    return affine


@pytest.mark.parametrize("codes", itertools.product((0, 1, 2, 3, 4), repeat=2))
def test_codes_choose_among_forms_that_agree(tmp_path: Path, codes: tuple[int, int]) -> None:
    path = write(tmp_path / "ct.nii", TRUE, TRUE, codes=codes)
    if codes == (0, 0):
        with pytest.raises(GeometryError, match="no qform and no sform"):
            read_volume(path)
        return
    volume = read_volume(path)
    np.testing.assert_allclose(volume.ijk_to_ras, TRUE, atol=1e-5)
    np.testing.assert_array_equal(volume.hu, HU.T)


SHIFT = TRUE.copy()
SHIFT[2, 3] += 40


@pytest.mark.parametrize(
    ("forms", "told"),
    [
        ({"sform": scaled(TRUE, k=4 / 3), "qform": TRUE}, ("x 0.8 mm", "qform and pixdim", "0.6")),
        ({"sform": np.diag([-1.0, -1, 1, 1]), "qform": TRUE}, ("1 x 1 x 1 mm", "0.7 x 0.7 x 0.6")),
        ({"sform": TRUE, "zooms": (1, 1, 1)}, ("0.7 x 0.7 x 0.6", "its pixdim 1 x 1 x 1")),
        ({"sform": TRUE, "zooms": (0.7, 0.7, 1.2)}, ("0.7 x 0.7 x 0.6", "0.7 x 0.7 x 1.2")),
        ({"sform": TRUE, "qform": TRUE, "zooms": (0.7, 0.7, -0.6)}, ("no valid voxel size",)),
        ({"sform": SHIFT, "qform": TRUE}, ("(11.0, -22.0, 73.0)", "(11.0, -22.0, 33.0)")),
        ({"sform": turned(TRUE, 30), "qform": TRUE}, ("differ by 30 degrees",)),
        ({"sform": scaled(TRUE, i=-1), "qform": TRUE}, ("differ by 180 degrees",)),
        # Registered to an atlas: where the patient lay is not what the sform says.
        ({"sform": SHIFT, "qform": TRUE, "codes": (1, 4)}, ("sform", "qform")),
        ({"sform": leaning(20), "qform": scaled(turned(TRUE, 40), k=4.0)}, ("axes differ by",)),
        ({"sform": leaning(20), "zooms": (0.7, 0.7, 2.0)}, ("0.7 x 0.7 x 2.554", "x 2 mm")),
    ],
)
def test_contradictions_are_refused_with_both_values(tmp_path: Path, forms, told) -> None:
    path = write(tmp_path / "ct.nii", **forms)
    for reader in (read_volume, read_labels):
        with pytest.raises(GeometryError) as caught:
            reader(path)
        assert all(text in caught.value.problem for text in told), caught.value.problem


@pytest.mark.parametrize(
    "forms",
    [
        {"sform": TRUE, "zooms": (0, 0, 0)},  # says nothing
        {"sform": TRUE, "qform": TRUE, "codes": (0, 1), "zooms": (0.7, 0.7, 0.6 * (1 + 1e-4))},
        {"sform": turned(TRUE, 0.02), "qform": TRUE},
    ],
)
def test_rounding_is_no_contradiction(tmp_path: Path, forms) -> None:
    path = write(tmp_path / "ct.nii", **forms)
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, forms["sform"], atol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 0.1, 1, 8, 20, 34, 36, 50])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("beside", ["nothing", "straightened qform", "planes in pixdim"])
def test_lean_is_read_as_dicom_tilt_is(tmp_path: Path, degrees, order, beside) -> None:
    """The same limit and the same matrix as a DICOM series, whichever axis is the stack."""
    affine = leaning(degrees, order)
    path = tmp_path / "ct.nii"
    image = nibabel.Nifti1Image(HU, None)
    image.header.set_xyzt_units("mm")
    image.header["vox_offset"] = 352
    image.header.set_qform(affine, 1 if beside == "straightened qform" else 0, strip_shears=True)
    image.header.set_sform(affine, 1)
    if beside == "planes in pixdim":
        image.header["pixdim"][1 + order.index(2)] = 2.4
    path.write_bytes(image.header.binaryblock + bytes(4) + HU.tobytes(order="F"))
    if degrees > 35:
        with pytest.raises(GeometryError, match="more than a gantry tilts"):
            read_volume(path)
        return
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, affine, atol=1e-5)


def test_lean_of_nifti_and_dicom_is_the_same_volume(write_series, tmp_path: Path) -> None:
    c, s = np.cos(np.radians(15)), np.sin(np.radians(15))
    series = read_volume(write_series(orientation=(1, 0, 0, 0, c, s)))
    image = nibabel.Nifti1Image(series.hu.T, None)
    image.set_sform(series.ijk_to_ras, 1)
    image.header.set_zooms(series.spacing_mm)
    nibabel.save(image, tmp_path / "ct.nii.gz")
    volume = read_volume(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(volume.hu, series.hu)
    np.testing.assert_allclose(volume.ijk_to_ras, series.ijk_to_ras, atol=1e-4)


@pytest.mark.parametrize(
    ("code", "factor"), [(0, 1.0), (1, 1e-3), (2, 1.0), (3, 1e3), (8 | 2, 1.0), (16 | 3, 1e3)]
)
def test_units_of_length(tmp_path: Path, code: int, factor: float) -> None:
    stored = TRUE.copy()
    stored[:3] *= factor
    path = write(tmp_path / "ct.nii", stored, stored, edit=lambda raw: raw.__setitem__(123, code))
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, TRUE, atol=1e-4)


@pytest.mark.parametrize(
    ("code", "message"), [(1, "voxels of 700 mm"), (3, "no valid voxel size"), (5, "in a unit")]
)
def test_wrong_units_are_refused(tmp_path: Path, code: int, message: str) -> None:
    path = write(tmp_path / "ct.nii", TRUE, TRUE, edit=lambda raw: raw.__setitem__(123, code))
    with pytest.raises(GeometryError, match=message):
        read_volume(path)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [
        (0.0, 0.0, (1, 0)),
        (0.0, -1024.0, (1, 0)),
        (NAN, -1024.0, (1, 0)),
        (INF, 5.0, (1, 0)),
        (0.0, NAN, (1, 0)),
        (1.0, 0.0, (1, 0)),
        (0.5, 10.0, (0.5, 10)),
        (-1.0, -100.0, (-1, -100)),
        (1.0, NAN, None),
        (1.0, INF, None),
    ],
)
@pytest.mark.parametrize("kind", ["i2", "f4", "f8", "i4", ">i2"])
def test_slope_and_intercept(tmp_path: Path, slope, intercept, expected, kind) -> None:
    order = ">" if kind.startswith(">") else "<"
    stored = HU.astype(kind)
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_shape(SIZE)
    header.set_data_dtype(stored.dtype.newbyteorder("="))
    header.set_sform(TRUE, 1)
    header["pixdim"][1:4] = (0.7, 0.7, 0.6)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    raw = bytearray(header.binaryblock + bytes(4) + stored.tobytes(order="F"))
    struct.pack_into(f"{order}2f", raw, 112, slope, intercept)
    path = tmp_path / "ct.nii"
    path.write_bytes(raw)
    if expected is None:
        with pytest.raises(InputError, match="which is no number"):
            read_volume(path)
        return
    np.testing.assert_array_equal(read_volume(path).hu, HU.T * expected[0] + expected[1])
    other = nibabel.load(path)
    np.testing.assert_array_equal(read_volume(path).hu, np.asarray(other.dataobj).T)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i4", "u4", "i8", "u8", "f8"])
def test_labels_of_every_type_of_number(tmp_path: Path, kind: str) -> None:
    labels = np.arange(120).reshape(SIZE).astype(kind)
    image = nibabel.Nifti1Image(labels, TRUE, dtype=labels.dtype)
    nibabel.save(image, tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz").labels, labels.T)


def test_colours_and_complex_numbers_are_refused(tmp_path: Path) -> None:
    colours = np.zeros(SIZE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, data in (("rgb", colours), ("complex", HU.astype(np.complex64))):
        nibabel.save(nibabel.Nifti1Image(data, TRUE), tmp_path / f"{name}.nii")
        with pytest.raises(InputError, match="values per voxel"):
            read_volume(tmp_path / f"{name}.nii")


@pytest.mark.parametrize("quaternion", [(2.0, 0, 0), (NAN, 0, 0), (0.9, 0.9, 0.9)])
def test_a_qform_that_is_no_rotation_is_refused(tmp_path: Path, quaternion) -> None:
    edit = lambda raw: struct.pack_into("<3f", raw, 256, *quaternion)  # noqa: E731
    path = write(tmp_path / "ct.nii", None, TRUE, edit=edit)
    with pytest.raises(GeometryError, match="no rotation"):
        read_volume(path)


@pytest.mark.parametrize("offset", [0, 348, -1, NAN, 1e12])
def test_voxels_that_start_in_the_header_are_refused(tmp_path: Path, offset: float) -> None:
    """Software differs in what 0 means there; the voxels would be shifted by two."""
    edit = lambda raw: struct.pack_into("<f", raw, 108, offset)  # noqa: E731
    with pytest.raises(InputError, match="damaged header"):
        read_volume(write(tmp_path / "ct.nii", TRUE, TRUE, edit=edit))
