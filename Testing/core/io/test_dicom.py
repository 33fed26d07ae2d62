"""DICOM series: order, geometry, rescale, and every kind of broken stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import GeometryError, InputError
from spinemar.io import read_volume
from spinemar.volume import CTVolume

STORED = np.arange(120).reshape(12, 10)  # stored values of the first slice, see conftest
SLICES = 5


def expected(n: int) -> np.ndarray:
    return STORED + 200 * n - 1024


def test_slices_are_ordered_by_position_and_rescaled(write_series) -> None:
    volume = read_volume(write_series())
    np.testing.assert_array_equal(volume.hu, [expected(n) for n in range(SLICES)])
    # LPS (-10, -20, 0) is RAS (10, 20, 0); columns are 0.7 mm wide, rows 0.8 mm.
    wanted = np.array([[-0.7, 0, 0, 10], [0, -0.8, 0, 20], [0, 0, 2.5, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(volume.ijk_to_ras, wanted, atol=1e-9)


def test_any_file_of_the_series_and_subfolders_and_odd_names(write_series, tmp_path: Path) -> None:
    folder = write_series("disc 1/STÜDY/SE 01")
    whole = read_volume(tmp_path / "disc 1")
    one = read_volume(folder / "003.dcm")
    np.testing.assert_array_equal(one.hu, whole.hu)
    for n, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"IM{n}")
    (folder / "DICOMDIR.txt").write_text("a stray file")
    np.testing.assert_array_equal(read_volume(folder).hu, whole.hu)


def test_slope_may_differ_between_slices(write_series) -> None:
    first = write_series(positions=[(0, 0, 0), (0, 0, 2)], RescaleSlope=2, RescaleIntercept=-500)
    write_series(positions=[(0, 0, 4), (0, 0, 6)], prefix="b")
    volume = read_volume(first)
    np.testing.assert_array_equal(volume.hu[1], (STORED + 200) * 2 - 500)
    np.testing.assert_array_equal(volume.hu[2], STORED - 1024)


def test_facts_of_the_scan_travel_but_no_identifiers(write_series) -> None:
    volume = read_volume(write_series(PatientName="Doe^Jane", PatientID="77", KVP=120))
    assert float(volume.metadata["kvp"]) == 120
    assert "Doe" not in str(volume.metadata)
    assert "77" not in volume.metadata.values()


@pytest.mark.parametrize("tilt", [-25.0, 18.0])
def test_gantry_tilt_gives_the_true_affine(write_series, tilt: float) -> None:
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    volume = read_volume(write_series(orientation=(1, 0, 0, 0, c, s)))
    step = volume.ijk_to_ras[:3, 2]
    np.testing.assert_allclose(step, (0, 0, 2.5), atol=1e-6)
    np.testing.assert_allclose(volume.ijk_to_ras[:3, 1], (0, -0.8 * c, 0.8 * s), atol=1e-6)


def test_feet_first_and_sagittal_stacks(write_series) -> None:
    feet_first = write_series("f", orientation=(-1, 0, 0, 0, 1, 0))
    volume = read_volume(feet_first)
    # Stacked along the normal, which points to the feet here.
    np.testing.assert_array_equal(volume.hu[0], expected(SLICES - 1))
    np.testing.assert_allclose(volume.geometry.to_ras(np.array([0, 0, 0])), (10, 20, 10))
    sagittal = write_series(
        "s", positions=[(3.0 * k, 0, 0) for k in range(4)], orientation=(0, 1, 0, 0, 0, -1)
    )
    np.testing.assert_allclose(np.abs(read_volume(sagittal).ijk_to_ras[:3, 2]), (3, 0, 0))


def test_positions_rounded_by_the_scanner_are_regular(write_series) -> None:
    positions = [(0, 0, round(0.625 * k, 1)) for k in range(20)]
    volume = read_volume(write_series(positions=positions))
    assert volume.spacing_mm[2] == pytest.approx(0.625, abs=0.01)


def test_single_slice_takes_its_thickness(write_series) -> None:
    volume = read_volume(write_series(positions=[(0, 0, 7)]))
    assert volume.hu.shape == (1, 12, 10)
    assert volume.spacing_mm[2] == 2.5


def test_missing_slices_are_counted_and_named(write_series) -> None:
    folder = write_series(positions=[(0, 0, 2.5 * k) for k in (0, 1, 2, 5, 6, 7, 8)])
    with pytest.raises(GeometryError, match="2 slices are missing between") as caught:
        read_volume(folder)
    assert "005.dcm" in str(caught.value)
    assert "004.dcm" in str(caught.value)


def test_a_missing_slice_is_told_from_rounding(write_series) -> None:
    # Positions in tenths of a millimetre: the gap is 2.7, two steps of 1.33 are 2.66.
    depths = [round(4 / 3 * k, 1) for k in (0, 1, 2, 3, 5, 6, 7, 8, 9)]
    with pytest.raises(GeometryError, match="1 slice is missing between"):
        read_volume(write_series(positions=[(0, 0, z) for z in depths]))


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ((0, 2.5, 5, 8.9, 11.4), "not evenly spaced"),
        ((0, 1, 2, 3, 4, 7.4, 10.8), "not evenly spaced"),
        ((0, 2.5, 2.5, 5, 7.5), "same position"),
        ((0, 0, 2.5, 2.5, 5, 5), "same position"),
    ],
)
def test_irregular_and_duplicate_positions(write_series, depths, message: str) -> None:
    folder = write_series(positions=[(0, 0, z) for z in depths])
    with pytest.raises(GeometryError, match=message):
        read_volume(folder)


def test_slices_that_jump_sideways(write_series) -> None:
    positions = [(0, 0, 0), (0, 0, 2), (9, 0, 4), (0, 0, 6), (0, 0, 8)]
    with pytest.raises(GeometryError, match="not lie above each other"):
        read_volume(write_series(positions=positions))


def test_two_series_in_one_folder(write_series) -> None:
    write_series(series="1.2.3")
    folder = write_series(series="1.2.4", prefix="b", RescaleIntercept=-1000)
    with pytest.raises(InputError, match="mixes 2 CT series"):
        read_volume(folder)
    # Pointing at one file says which is meant.
    np.testing.assert_array_equal(read_volume(folder / "b005.dcm").hu[0], STORED - 1000)


def test_localizer_and_reports_beside_the_series_are_passed_over(write_series) -> None:
    write_series(positions=[(0, 0, 0)], prefix="s", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(positions=[(0, 0, 0)], prefix="r", series="9", Modality="PT")
    assert read_volume(write_series()).hu.shape[0] == SLICES


@pytest.mark.parametrize(
    ("tags", "remove", "message"),
    [
        ({"Modality": "MR"}, (), "not a CT series .it holds: MR"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, (), "CT localizer"),
        ({}, ("RescaleIntercept", "RescaleSlope"), "not in Hounsfield units"),
        ({"RescaleType": "OD"}, (), "not in Hounsfield units"),
        ({}, ("ImagePositionPatient",), "where they lie"),
        ({}, ("ImageOrientationPatient",), "where they lie"),
        ({}, ("PixelSpacing",), "where they lie"),
        ({"PixelSpacing": [0.0, 0.0]}, (), "where they lie"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, 0]}, (), "not valid"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.866025, 0]}, (), "sheared"),
    ],
)
def test_what_is_no_usable_ct(write_series, tags, remove, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_volume(write_series(remove=remove, **tags))


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [0.5, 0.5]},
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]},
        {"Rows": 10, "Columns": 12},
    ],
)
def test_mixed_reconstructions_under_one_series_number(write_series, tags) -> None:
    write_series()
    folder = write_series(positions=[(-10, -20, 12.5)], prefix="b", **tags)
    with pytest.raises(InputError, match="mixes slices"):
        read_volume(folder)


def test_truncated_slice_is_named_not_skipped(write_series) -> None:
    folder = write_series()
    path = folder / "001.dcm"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"001\.dcm cannot be read"):
        read_volume(folder)


def test_folder_without_dicom(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no DICOM images"):
        read_volume(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rubbish" * 30)
    with pytest.raises(InputError, match="no DICOM images"):
        read_volume(tmp_path)


def test_dicom_and_image_file_agree(write_series, tmp_path: Path) -> None:
    from spinemar.io import write_volume

    volume: CTVolume = read_volume(write_series())
    write_volume(tmp_path / "ct.nii.gz", volume)
    back = read_volume(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(back.hu, volume.hu)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)
