"""Image files: exact round trips in any orientation, and every refusal with its reason."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spinemar.errors import GeometryError, InputError
from spinemar.io import read_labels, read_mask, read_volume, write_labels, write_volume
from spinemar.volume import CTVolume, LabelVolume

SUFFIXES = [".nrrd", ".nii", ".nii.gz", ".mha"]


def corners(volume: CTVolume | LabelVolume) -> np.ndarray:
    k, j, i = volume.geometry.shape
    ijk = np.array(list(itertools.product((0, i), (0, j), (0, k))), float)
    return volume.geometry.to_ras(ijk)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    a, b, c = angles
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(about_x) @ np.array(about_y) @ np.array(about_z)


def test_overlapping_segments_are_told_from_a_picture(tmp_path: Path) -> None:
    """Slicer stores overlapping segments in layers, which ITK reads as vectors."""
    one = np.zeros((4, 8, 8), np.uint8)
    one[1:3, 2:6, 2:6] = 1
    image = sitk.Compose(sitk.GetImageFromArray(one), sitk.GetImageFromArray(one[::-1].copy()))
    sitk.WriteImage(image, str(tmp_path / "plain.nrrd"))
    image.SetMetaData("Segmentation_ContainedRepresentationNames", "Binary labelmap|")
    sitk.WriteImage(image, str(tmp_path / "layers.seg.nrrd"))
    for name, problem in (("layers.seg.nrrd", "its segments overlap"), ("plain.nrrd", "2 values")):
        with pytest.raises(InputError, match=problem) as refused:
            read_labels(tmp_path / name)
        assert "without overlaps" in refused.value.remedy


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_is_exact(ct: CTVolume, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ct{suffix}"
    write_volume(path, ct)
    back = read_volume(path)
    np.testing.assert_array_equal(back.hu, ct.hu)
    np.testing.assert_allclose(back.ijk_to_ras, ct.ijk_to_ras, atol=1e-5)
    assert back.hu.dtype == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_axis_order_and_direction(
    ct: CTVolume, tmp_path: Path, suffix: str, order: tuple[int, int, int]
) -> None:
    for signs in itertools.product((1, -1), repeat=3):
        affine = np.eye(4)
        affine[:3, :3] = (np.diag(np.array(signs) * (0.7, 0.8, 2.5)))[:, order]
        affine[:3, 3] = (11, -22, 33)
        path = tmp_path / f"ct{suffix}"
        write_volume(path, CTVolume(ct.hu, affine))
        back = read_volume(path)
        np.testing.assert_allclose(corners(back), corners(CTVolume(ct.hu, affine)), atol=1e-4)
        np.testing.assert_array_equal(back.hu, ct.hu)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=10, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
)
def test_oblique_geometry_survives(tmp_path_factory, suffix, angles, spacing, origin) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) * spacing
    affine[:3, 3] = origin
    volume = CTVolume(np.linspace(-1000, 900, 60, dtype=np.float32).reshape(3, 4, 5), affine)
    path = tmp_path_factory.mktemp("oblique") / f"ct{suffix}"
    write_volume(path, volume)
    np.testing.assert_allclose(corners(read_volume(path)), corners(volume), atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (2, 3, 4), elements=st.floats(-1024, 30000, width=32)))
def test_values_are_kept_bit_by_bit(tmp_path_factory, hu: np.ndarray) -> None:
    hu[0, 0, :2] = (-1000, 500)  # else it might be no CT
    path = tmp_path_factory.mktemp("values") / "ct.nii.gz"
    write_volume(path, CTVolume(hu, np.eye(4)))
    np.testing.assert_array_equal(read_volume(path).hu, hu)


def test_nibabel_and_we_agree_on_ras(ct: CTVolume, tmp_path: Path) -> None:
    import nibabel

    path = tmp_path / "ct.nii.gz"
    write_volume(path, ct)
    other = nibabel.load(path)
    np.testing.assert_allclose(other.affine, ct.ijk_to_ras, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(other.dataobj).T, ct.hu)


@pytest.mark.parametrize("form", ["qform", "sform"])
def test_nifti_of_other_software_in_either_form(tmp_path: Path, form: str) -> None:
    import nibabel

    affine = np.eye(4)
    affine[:3, :3] = rotation((0.2, -0.3, 2.0)) * (0.7, 0.8, 2.5)
    affine[:3, 3] = (5, 6, 7)
    data = np.linspace(-1000, 1000, 60).reshape(5, 4, 3).astype(np.float32)
    image = nibabel.Nifti1Image(data, None)
    image.set_qform(affine, code=1 if form == "qform" else 0)
    image.set_sform(affine, code=1 if form == "sform" else 0)
    path = tmp_path / "ct.nii"
    nibabel.save(image, path)
    np.testing.assert_allclose(read_volume(path).ijk_to_ras, affine, atol=1e-4)


def test_nrrd_written_in_ras_by_other_software(ct: CTVolume, tmp_path: Path) -> None:
    nrrd = pytest.importorskip("nrrd")
    header = {
        "space": "right-anterior-superior",
        "space directions": ct.ijk_to_ras[:3, :3].T,
        "space origin": ct.ijk_to_ras[:3, 3],
    }
    path = tmp_path / "ct.nrrd"
    nrrd.write(str(path), ct.hu.T, header)
    back = read_volume(path)
    np.testing.assert_allclose(back.ijk_to_ras, ct.ijk_to_ras, atol=1e-6)
    np.testing.assert_array_equal(back.hu, ct.hu)


def test_gantry_tilt_is_kept_in_nrrd_and_refused_in_nifti(ct: CTVolume, tmp_path: Path) -> None:
    affine = np.array(ct.ijk_to_ras)
    affine[1, 2] = np.tan(np.radians(20)) * affine[2, 2]
    tilted = CTVolume(ct.hu, affine)
    write_volume(tmp_path / "ct.nrrd", tilted)
    np.testing.assert_allclose(read_volume(tmp_path / "ct.nrrd").ijk_to_ras, affine, atol=1e-6)
    with pytest.raises(GeometryError, match="tilted gantry"):
        write_volume(tmp_path / "ct.nii.gz", tilted)
    assert not list(tmp_path.glob("*.nii.gz"))


@pytest.mark.parametrize(("axis", "shear"), [(1, 0.3), (2, 5.0)])
def test_sheared_geometry_is_refused(ct: CTVolume, tmp_path: Path, axis: int, shear: float) -> None:
    affine = np.array(ct.ijk_to_ras)
    affine[0, axis] += shear
    image = sitk.GetImageFromArray(ct.hu)
    image.SetSpacing([float(n) for n in np.linalg.norm(affine[:3, :3], axis=0)])
    image.SetDirection((affine[:3, :3] / image.GetSpacing()).ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    with pytest.raises(GeometryError, match="sheared"):
        read_volume(tmp_path / "ct.nrrd")
    with pytest.raises(GeometryError, match="sheared"):
        write_volume(tmp_path / "out.nrrd", CTVolume(ct.hu, affine))
    assert not (tmp_path / "out.nrrd").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.97])
def test_truncated_files_are_refused(ct: CTVolume, tmp_path: Path, suffix, share) -> None:
    noise = np.random.default_rng(0).normal(0, 300, (8, 32, 32)).astype(np.float32)
    path = tmp_path / f"ct{suffix}"
    write_volume(path, CTVolume(noise, ct.ijk_to_ras))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"truncated|damaged|cannot be read"):
        read_volume(path)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    for name in ("ct.nrrd", "ct.nii", "ct.nii.gz", "ct.mha", "scan.txt", "scan"):
        (tmp_path / name).write_bytes(b"not a picture at all " * 40)
        with pytest.raises(InputError) as caught:
            read_volume(tmp_path / name)
        assert caught.value.remedy, name


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "no.nii.gz")


def test_hostile_nrrd_size_is_refused_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "bomb.nrrd"
    path.write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 100000 100000 100000\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        "kinds: domain domain domain\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\nabc"
    )
    with pytest.raises(InputError, match="claims to be 100000 x 100000 x 100000"):
        read_volume(path)


def test_hostile_nifti_size_is_refused_before_allocation(ct: CTVolume, tmp_path: Path) -> None:
    path = tmp_path / "bomb.nii"
    write_volume(path, ct)
    raw = bytearray(path.read_bytes())
    raw[42:48] = np.array([32767, 32767, 32767], "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match="claims to be"):
        read_volume(path)
    # A plausible size that the file cannot hold is refused as well, packed or not.
    raw[42:48] = np.array([1000, 1000, 1000], "<i2").tobytes()
    path.write_bytes(raw)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    for name in ("bomb.nii", "bomb.nii.gz"):
        with pytest.raises(InputError, match="truncated"):
            read_volume(tmp_path / name)


def test_empty_volume_is_refused(ct: CTVolume, tmp_path: Path) -> None:
    path = tmp_path / "empty.nii"
    write_volume(path, ct)
    raw = bytearray(path.read_bytes())
    raw[46:48] = np.array([0], "<i2").tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match="holds no voxel"):
        read_volume(path)


def test_nifti_without_orientation_is_refused(tmp_path: Path) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.linspace(-900, 900, 60).reshape(5, 4, 3), None)
    nibabel.save(image, tmp_path / "ct.nii")
    with pytest.raises(GeometryError, match="how it lies in the patient"):
        read_volume(tmp_path / "ct.nii")


@pytest.mark.parametrize(
    ("hu", "message"),
    [
        (np.full((3, 4, 5), 40.0), "constant"),
        (np.linspace(0, 4095, 60).reshape(3, 4, 5), "rescale intercept got lost"),
        (np.linspace(0, 1, 60).reshape(3, 4, 5), "not in Hounsfield units"),
        (np.linspace(-1, 1, 60).reshape(3, 4, 5), "not in Hounsfield units"),
        (np.linspace(-1e8, 1e8, 60).reshape(3, 4, 5), "not in Hounsfield units"),
        (np.r_[np.full(30, -2000.0), np.linspace(0, 900, 30)].reshape(3, 4, 5), "below 0 HU"),
        (np.r_[np.nan, np.linspace(-900, 900, 59)].reshape(3, 4, 5), "1 voxels that are not num"),
        (np.r_[np.inf, np.linspace(-900, 900, 59)].reshape(3, 4, 5), "not numbers"),
    ],
)
def test_values_that_are_no_ct(tmp_path: Path, hu: np.ndarray, message: str) -> None:
    write_volume(tmp_path / "ct.nrrd", CTVolume(hu.astype(np.float32), np.eye(4)))
    with pytest.raises(InputError, match=message):
        read_volume(tmp_path / "ct.nrrd")


def test_colour_picture_series_of_volumes_and_single_picture(tmp_path: Path) -> None:
    cases = {
        "colour": sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True),
        "series": sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), isVector=False),
        "picture": sitk.GetImageFromArray(np.zeros((4, 5), np.int16)),
    }
    for name, message in zip(cases, ("values per voxel", "series of", "single pic"), strict=True):
        sitk.WriteImage(cases[name], str(tmp_path / f"{name}.nrrd"))
        with pytest.raises(InputError, match=message):
            read_volume(tmp_path / f"{name}.nrrd")


def test_unknown_ending_and_missing_folder_leave_nothing(ct: CTVolume, tmp_path: Path) -> None:
    for name in ("ct.jpg", "ct", "ct.mhd", "ct.nhdr"):
        with pytest.raises(InputError, match="does not name a format"):
            write_volume(tmp_path / name, ct)
    with pytest.raises(InputError, match="does not exist"):
        write_volume(tmp_path / "no" / "ct.nrrd", ct)
    assert not list(tmp_path.iterdir())


def test_labels_round_trip_and_fractions_are_refused(ct: CTVolume, tmp_path: Path) -> None:
    labels = np.zeros(ct.hu.shape, np.int16)
    labels[2, 3:5, 4], labels[1] = 117, -3
    write_labels(tmp_path / "labels.nii.gz", LabelVolume(labels, ct.ijk_to_ras))
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz").labels, labels)
    write_volume(tmp_path / "ct.nrrd", ct.with_hu(ct.hu + 0.5))
    with pytest.raises(InputError, match="not a segmentation"):
        read_labels(tmp_path / "ct.nrrd")


def test_mask_of_another_grid_is_resampled(ct: CTVolume, tmp_path: Path) -> None:
    """Flipped and shifted storage of the same box in space must give the same voxels."""
    mask = np.zeros(ct.hu.shape, np.int16)
    mask[1:4, 2:6, 3:8] = 1
    flip = np.array(ct.ijk_to_ras)
    flip[:3, 3] += flip[:3, 0] * (ct.hu.shape[2] - 1)
    flip[:3, 0] *= -1
    write_labels(tmp_path / "mask.nrrd", LabelVolume(mask[:, :, ::-1], flip))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nrrd", ct.geometry), mask != 0)
    crop = np.array(ct.ijk_to_ras)
    crop[:3, 3] = ct.geometry.to_ras(np.array([2, 1, 1]))
    write_labels(tmp_path / "crop.nrrd", LabelVolume(mask[1:, 1:, 2:], crop))
    np.testing.assert_array_equal(read_mask(tmp_path / "crop.nrrd", ct.geometry), mask != 0)


def test_empty_mask_and_mask_elsewhere_are_refused(ct: CTVolume, tmp_path: Path) -> None:
    mask = np.zeros(ct.hu.shape, np.int16)
    write_labels(tmp_path / "mask.nrrd", LabelVolume(mask, ct.ijk_to_ras))
    with pytest.raises(InputError, match="is empty"):
        read_mask(tmp_path / "mask.nrrd", ct.geometry)
    far = np.array(ct.ijk_to_ras)
    far[:3, 3] += 5000
    write_labels(tmp_path / "mask.nrrd", LabelVolume(mask + 1, far))
    with pytest.raises(GeometryError, match="outside the CT"):
        read_mask(tmp_path / "mask.nrrd", ct.geometry)
