"""Folders as PACS and discs bring them: what counts as the CT, and which series is meant."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinemar.errors import InputError
from spinemar.io import read_volume, write_volume
from spinemar.io.dicom.folder import ct_series, find_dicom
from spinemar.io.dicom.kind import Kind, is_ct_slice, is_dicom, look_at
from Testing.core.io.conftest import series_pixels
from Testing.core.io.dicom_companions import ALL, write_companion
from Testing.core.io.dicom_encodings import encoded
from Testing.core.reliability.conftest import PACKED


def edited(folder: Path, number: int, **tags: object) -> Path:
    """Change tags of the n-th file of a folder."""
    path = sorted(folder.iterdir())[number]
    data = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path)
    return path


@pytest.mark.parametrize("what", ALL)
def test_companions_are_passed_over_and_are_no_ct(write_series, tmp_path: Path, what: str) -> None:
    folder = write_series()
    alone = read_volume(folder)
    write_companion(folder, what)
    np.testing.assert_array_equal(read_volume(folder).hu, alone.hu)
    (tmp_path / "other").mkdir()
    path = write_companion(tmp_path / "other", what)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert len(str(caught.value)) < 300
    assert is_dicom(path)


def test_all_companions_at_once_of_any_name(write_series, tmp_path: Path) -> None:
    folder = write_series("disc/SE1")
    alone = read_volume(folder)
    for n, what in enumerate(ALL):
        write_companion(folder.parent, what, f"IM{n:04d}.dcm")
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "thumb.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 40)
    np.testing.assert_array_equal(read_volume(tmp_path / "disc").hu, alone.hu)


def test_companions_of_the_cts_own_series(write_series) -> None:
    """Some PACS file presentation states, dose sheets and localizers under the CT's series."""
    folder = write_series()
    alone = read_volume(folder)
    for what in ("presentation-state", "dose-sheet", "localizer", "key-images"):
        write_companion(folder, what, SeriesInstanceUID="1.2.3")
    np.testing.assert_array_equal(read_volume(folder).hu, alone.hu)


def test_a_dicomdir_works_as_its_folder(write_series, tmp_path: Path) -> None:
    folder = write_series("disc/DICOM/PA1/SE1")
    path = write_companion(tmp_path / "disc", "DICOMDIR")
    np.testing.assert_array_equal(read_volume(path).hu, read_volume(folder).hu)
    assert look_at(path).is_directory  # type: ignore[union-attr]


def test_slices_without_dicoms_mark_beside_files_with_it(write_series) -> None:
    folder = write_series()
    alone = read_volume(folder)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        path.unlink()
        data.preamble, data.file_meta = None, None
        bare = path.with_suffix("")
        encoded(data, bare, "no-mark")
        assert is_ct_slice(bare)
    write_companion(folder, "DICOMDIR")
    np.testing.assert_array_equal(read_volume(folder).hu, alone.hu)
    np.testing.assert_array_equal(read_volume(bare).hu, alone.hu)


def test_an_image_counts_once(write_series, tmp_path: Path) -> None:
    folder = write_series()
    alone = read_volume(folder)
    shutil.copytree(folder, folder / "copy")
    # A copy that another program wrote: other bytes, the same image.
    edited(folder / "copy", 0, StationName="elsewhere")
    again = read_volume(folder)
    np.testing.assert_array_equal(again.hu, alone.hu)
    np.testing.assert_array_equal(again.ijk_to_ras, alone.ijk_to_ras)
    edited(folder / "copy", 1, PixelData=series_pixels(9).astype(np.int16).tobytes())
    with pytest.raises(InputError, match="two images under one identifier"):
        read_volume(folder)


def test_one_identifier_at_all_places_is_no_copy(write_series) -> None:
    assert read_volume(write_series(SOPInstanceUID="1.2.3.4")).hu.shape[0] == 5
    assert read_volume(write_series("none", SOPInstanceUID="")).hu.shape[0] == 5


def test_several_series_are_listed_and_chosen(write_series) -> None:
    write_series(series="1.1", SeriesNumber=4, SeriesDescription="Bone 1.0")
    folder = write_series(series="1.2", SeriesNumber=7, prefix="b", RescaleIntercept=-1000)
    write_companion(folder, "presentation-state", SeriesNumber=4)
    with pytest.raises(InputError, match="mixes 2 CT series") as caught:
        read_volume(folder)
    for said in ("4: 'Bone 1.0', 5 slices", "7: 5 slices", "--series NUMBER", "one file of it"):
        assert said in str(caught.value)
    for label, intercept in (("4", -1024), ("7", -1000), (" 07 ", -1000), ("1.2", -1000)):
        assert read_volume(folder, series=label).hu[0, 0, 0] == intercept
    with pytest.raises(InputError, match=r"no CT series 5; it has 4: .*; 7: "):
        read_volume(folder, series="5")


def test_series_numbers_that_do_not_tell(write_series) -> None:
    """Numbers twice, missing, or no numbers: labels that cannot be mistaken for a number."""
    numbers = {"1.1": "3", "1.2": "3", "1.3": "", "1.4": "abc", "1.5": "12 "}
    for n, (uid, number) in enumerate(numbers.items()):
        folder = write_series(series=uid, prefix=f"s{n}", RescaleIntercept=-1000 - n)
        for path in folder.glob(f"s{n}*"):
            data = pydicom.dcmread(path)
            data.add_new(0x00200011, "LO", number)
            data.save_as(path)
    labels = {s.files[0].series: s.label for s in ct_series(find_dicom(folder))}
    wanted = {"1.1": "3.1", "1.2": "3.2", "1.3": "none.1", "1.4": "none.2", "1.5": "12"}
    assert labels == wanted
    for n, label in enumerate(wanted.values()):
        assert read_volume(folder, series=label).hu[0, 0, 0] == -1000 - n
    with pytest.raises(InputError, match="no CT series 3;"):
        read_volume(folder, series="3")


@pytest.mark.parametrize("cut", [0, 3, 9])
def test_a_damaged_slice_of_another_series_is_no_matter(write_series, cut: int) -> None:
    write_series(series="1.1", SeriesNumber=1)
    folder = write_series(series="1.2", SeriesNumber=2, prefix="b")
    broken = folder / "b003.dcm"
    broken.write_bytes(broken.read_bytes()[:-60])
    assert read_volume(folder, series="1").hu.shape[0] == 5
    with pytest.raises(InputError, match=r"b003\.dcm cannot be read"):
        read_volume(folder, series="2")
    # Cut off before it names its series, it may belong to any.
    whole = broken.read_bytes()
    broken.write_bytes(whole[: whole.index(struct.pack("<HH2s", 0x0020, 0x000D, b"UI")) + cut])
    assert look_at(broken).series == ""  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"b003\.dcm cannot be read"):
        read_volume(folder, series="1")


def test_a_class_that_was_lost(write_series) -> None:
    folder = write_series()
    alone = read_volume(folder)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        del data.SOPClassUID
        data.file_meta.MediaStorageSOPClassUID = ""
        data.save_as(path)
    np.testing.assert_array_equal(read_volume(folder).hu, alone.hu)


def test_an_enhanced_series_is_listed_and_says_what_it_is(write_series, tmp_path: Path) -> None:
    folder = write_series(series="1.1", SeriesNumber=1)
    data = pydicom.dcmread(PACKED / "rle.dcm")
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    data.SeriesNumber = 2
    data.save_as(folder / "enhanced")
    assert look_at(folder / "enhanced").kind is Kind.ENHANCED_CT  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"2: .*1 enhanced image"):
        read_volume(folder)
    assert read_volume(folder, series="1").hu.shape[0] == 5
    for path, series in ((folder, "2"), (folder / "enhanced", None)):
        with pytest.raises(InputError, match=r"enhanced .multi-frame. DICOM file"):
            read_volume(path, series=series)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "MR"}, "mixes modalities .CT, MR"),
        ({"RescaleType": "MGML"}, "of type 'MGML' in"),
        ({"RescaleType": "HU_MOD"}, "of type 'HU_MOD' in"),
        ({"RescaleSlope": None}, "not in Hounsfield units"),
        ({"RescaleIntercept": None}, "not in Hounsfield units"),
        ({"RescaleSlope": 0}, "not in Hounsfield units"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour picture"),
        ({"ImagePositionPatient": None}, "where they lie"),
    ],
)
@pytest.mark.parametrize("number", [0, 2, 4])
def test_every_slice_is_looked_at(write_series, tags, message: str, number: int) -> None:
    folder = write_series()
    edited(folder, number, **tags)
    with pytest.raises(InputError, match=message):
        read_volume(folder)


@pytest.mark.parametrize("which", ["all", "one"])
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big", "deflated"])
def test_monochrome1_is_a_way_to_show_not_a_scale(
    tmp_path: Path, write_series, which: str, signed: int, bits: int, syntax: str
) -> None:
    """HU are slope and intercept times the stored value, whatever the interpretation says."""
    stored = np.arange(120, dtype=np.int16) * 17 - 900 * signed
    tags = {"PixelRepresentation": signed, "BitsStored": bits, "HighBit": bits - 1}
    packed = (stored & 0x0FFF if bits == 12 else stored).astype("<u2").tobytes()
    folder = write_series(PixelData=packed, **tags)
    for n, path in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(path)
        if which == "all" or n == 1:
            data.PhotometricInterpretation = "MONOCHROME1"
        encoded(data, path, syntax)
    hu = read_volume(folder).hu
    np.testing.assert_array_equal(hu, np.broadcast_to(stored.reshape(12, 10) - 1024.0, hu.shape))


def test_a_targeted_field_of_view_without_fat_or_air(write_series, tmp_path: Path) -> None:
    """Values that the file says are HU are HU; an intercept of 0 may be a lost one."""
    soft = np.full(120, 1064, np.int16)
    soft[:20] = 4095
    volume = read_volume(write_series(PixelData=soft.tobytes()))
    assert volume.hu.min() == 40
    write_volume(tmp_path / "result.nrrd", volume)  # the result says so too
    np.testing.assert_array_equal(read_volume(tmp_path / "result.nrrd").hu, volume.hu)
    with pytest.raises(InputError, match="not in Hounsfield units: fat and air"):
        read_volume(write_series("lost", PixelData=soft.tobytes(), RescaleIntercept=0))


@pytest.mark.parametrize(
    "name", ["IM", "a b.txt", "ü.jpg", "slice.nii", "slice.mha", "x.nii.gz.dcm"]
)
def test_slices_may_be_called_anything(write_series, tmp_path: Path, name: str) -> None:
    folder = write_series()
    alone = read_volume(folder)
    for n, path in enumerate(sorted(folder.iterdir())):
        (tmp_path / "named" / str(n)).mkdir(parents=True)
        path.rename(tmp_path / "named" / str(n) / name)
    np.testing.assert_array_equal(read_volume(tmp_path / "named").hu, alone.hu)


def test_tags_that_do_not_matter_may_be_damaged(write_series) -> None:
    """The thickness of a slice among others is nobody's business; of a single one it is."""
    folder = write_series()
    alone = read_volume(folder)
    for path in folder.iterdir():
        data = path.read_bytes()
        path.write_bytes(data.replace(b"DS\4\x002.5 ", b"DS\4\0thin", 1))
    again = read_volume(folder)
    np.testing.assert_array_equal(again.hu, alone.hu)
    np.testing.assert_array_equal(again.ijk_to_ras, alone.ijk_to_ras)
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError, match="how thick its slice is"):
        read_volume(folder)


def test_elements_of_another_encoding_than_the_header_names(write_series) -> None:
    """Named explicit, written implicit: GDCM would read on for ever."""
    folder = write_series(positions=[(0, 0, 0)])
    path = folder / "001.dcm"
    data = pydicom.dcmread(path)
    encoded(data, path, "implicit")
    packed = path.read_bytes()
    old = struct.pack("<HH2sH", 2, 0x10, b"UI", 18) + b"1.2.840.10008.1.2\0"
    new = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    assert packed.count(old) == 1
    length = packed.index(struct.pack("<HH2sH", 2, 0, b"UL", 4)) + 8
    (meta,) = struct.unpack("<I", packed[length : length + 4])
    packed = packed[:length] + struct.pack("<I", meta + 2) + packed[length + 4 :]
    path.write_bytes(packed.replace(old, new))
    with pytest.raises(InputError, match="names another encoding"):
        read_volume(folder)
