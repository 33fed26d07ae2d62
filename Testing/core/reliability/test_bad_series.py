"""DICOM series as they come from PACS, discs and attackers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.io import read_volume
from Testing.core.reliability.conftest import PACKED

# What the packed files of this folder hold: written by DCMTK's dcmcjpeg, dcmcjpls and dcmcrle and
# by Pillow's OpenJPEG, all without loss, so that no decoder is tested against itself.
Y, X = np.mgrid[:24, :20]
PACKED_HU = np.where(np.hypot(X - 10, Y - 12) < 8, 40, -1000) + (X * 3 + Y * 5) % 17
PACKED_HU[10:12, 5:8] = 3071


@pytest.mark.parametrize("name", ["jpeg-lossless", "jpeg-ls", "jpeg-2000", "rle"])
def test_compressed_series_are_unpacked_exactly(tmp_path: Path, name: str) -> None:
    path = tmp_path / "slice.dcm"
    path.write_bytes((PACKED / f"{name}.dcm").read_bytes())
    np.testing.assert_array_equal(read_volume(path).hu[0], PACKED_HU)


def _with_syntax(path: Path, syntax: str) -> None:
    known = b"1.2.840.10008.1.2.4.90"
    new = syntax.encode() + b"\0" * (len(syntax) % 2)
    data = (PACKED / "jpeg-2000.dcm").read_bytes()
    old = struct.pack("<H", len(known)) + known
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, struct.pack("<H", len(new)) + new))


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.201", "high-throughput JPEG 2000"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
        ("1.2.3.4.5", "a compression"),
    ],
)
def test_unknown_compression_is_named_with_its_remedy(
    not_corrected, tmp_path: Path, syntax: str, name: str
) -> None:
    (tmp_path / "series").mkdir()
    _with_syntax(tmp_path / "series" / "slice.dcm", syntax)
    said = not_corrected(tmp_path / "series")
    assert f"packed with {name} ({syntax})" in said
    assert "uncompressed" in said


def test_truncated_packed_pixels_are_refused(not_corrected, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    for name in ("jpeg-lossless", "jpeg-2000", "rle"):
        data = (PACKED / f"{name}.dcm").read_bytes()
        (tmp_path / "series" / "slice.dcm").write_bytes(data[:-300])
        assert "slice.dcm cannot be read" in not_corrected(tmp_path / "series")


def test_truncated_series(not_corrected, write_series) -> None:
    folder = write_series()
    path = folder / "003.dcm"
    path.write_bytes(path.read_bytes()[:-60])
    assert "003.dcm cannot be read: it is truncated" in not_corrected(folder)


def test_flipped_bits_in_a_header_are_refused_or_harmless(write_series) -> None:
    """Every byte of one header flipped in turn: an answer each time, and HU or a refusal."""
    folder = write_series(positions=[(0, 0, 0)])
    path = folder / "001.dcm"
    whole = path.read_bytes()
    start = whole.index(b"DICM") + 4
    pixels = len(whole) - 240
    refusals = 0
    for at in range(start, pixels, 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            assert np.isfinite(read_volume(path).hu).all()
        except InputError:
            refusals += 1
    assert refusals > 20


def test_missing_slices(not_corrected, write_series) -> None:
    folder = write_series(positions=[(0, 0, 2.5 * k) for k in (0, 1, 2, 5, 6)])
    assert "2 slices are missing between" in not_corrected(folder)


def test_mixed_series(not_corrected, write_series) -> None:
    write_series(series="1.2.3")
    folder = write_series(series="1.2.4", prefix="b")
    assert "mixes 2 CT series" in not_corrected(folder)


def test_duplicate_positions(not_corrected, write_series) -> None:
    folder = write_series(positions=[(0, 0, 0), (0, 0, 2.5), (0, 0, 2.5), (0, 0, 5)])
    assert "Two slices lie at the same position" in not_corrected(folder)


def test_uneven_spacing(not_corrected, write_series) -> None:
    folder = write_series(positions=[(0, 0, z) for z in (0, 2.5, 5, 8.9, 11.4)])
    assert "The slices are not evenly spaced" in not_corrected(folder)


def test_gantry_tilt_beyond_any_scanner(not_corrected, write_series) -> None:
    c, s = np.cos(np.radians(50)), np.sin(np.radians(50))
    folder = write_series(orientation=(1, 0, 0, 0, c, s))
    assert "more than a gantry tilts" in not_corrected(folder)


def test_no_rescale(not_corrected, write_series) -> None:
    folder = write_series(remove=("RescaleIntercept", "RescaleSlope"))
    assert "The series is not in Hounsfield units" in not_corrected(folder)


def test_other_modality(not_corrected, write_series) -> None:
    assert "is not a CT series (it holds: MR)" in not_corrected(write_series(Modality="MR"))


def test_unsigned_and_signed_pixels_give_the_same_hu(write_series) -> None:
    signed = read_volume(write_series("signed"))
    stored = (np.arange(120).reshape(12, 10)).astype("<u2").tobytes()
    unsigned = read_volume(
        write_series("unsigned", positions=[(0, 0, 0)], PixelRepresentation=0, PixelData=stored)
    )
    np.testing.assert_array_equal(unsigned.hu[0], signed.hu[0])


def test_signed_pixels_below_zero_and_an_extended_scale(write_series) -> None:
    values = np.arange(120).reshape(12, 10) * 300 - 5000
    signed = values.astype("<i2").tobytes()
    volume = read_volume(
        write_series("s", positions=[(0, 0, 0)], PixelData=signed, RescaleIntercept=0)
    )
    np.testing.assert_array_equal(volume.hu[0], values)  # up to 30,700 HU
    extended = (np.arange(120).reshape(12, 10) * 500).astype("<u2").tobytes()
    volume = read_volume(
        write_series("u", positions=[(0, 0, 0)], PixelRepresentation=0, PixelData=extended)
    )
    assert volume.hu.max() == 119 * 500 - 1024  # beyond 16 bits with a sign


def test_padding_values_stay_what_they_are(write_series, capfd, tmp_path: Path) -> None:
    from spinemar.cli.main import main

    values = np.arange(120).reshape(12, 10) + 900
    values[[0, -1]] = -2000 + 1024
    folder = write_series(PixelData=values.astype("<i2").tobytes(), PixelPaddingValue=-976)
    assert main(["correct", str(folder), "-o", str(tmp_path / "out.nrrd")]) == 0
    hu = read_volume(tmp_path / "out.nrrd").hu
    assert (hu[:, [0, -1]] == -2000).all()


def _enhanced(path: Path, frames: int) -> None:
    """Write an enhanced CT: one file, one functional group a frame."""
    import pydicom
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    header = pydicom.dcmread(PACKED / "rle.dcm")
    header.decompress()
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                 "RescaleSlope", "RescaleIntercept", "RescaleType"):  # fmt: skip
        delattr(header, name)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    header.NumberOfFrames = frames
    header.PixelData = header.PixelData * frames

    def group(**items: object) -> Sequence:
        one = Dataset()
        for name, value in items.items():
            setattr(one, name, value)
        return Sequence([one])

    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[8, 8], SliceThickness=3)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelValueTransformationSequence = group(
        RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU"
    )
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    places = []
    for n in range(frames):
        one = Dataset()
        one.PlanePositionSequence = group(ImagePositionPatient=[0, 0, 3 * n])
        places.append(one)
    header.PerFrameFunctionalGroupsSequence = Sequence(places)
    header.save_as(path)


@pytest.mark.parametrize("frames", [1, 4])
def test_enhanced_multi_frame_ct(not_corrected, tmp_path: Path, frames: int) -> None:
    (tmp_path / "series").mkdir()
    _enhanced(tmp_path / "series" / "all.dcm", frames)
    said = not_corrected(tmp_path / "series")
    assert "This is an enhanced (multi-frame) DICOM file" in said
    assert "one file a slice" in said


def test_hostile_length_is_refused_before_allocation(not_corrected, write_series) -> None:
    """A file of one kilobyte that claims an element of 4 GB; GDCM alone would ask for them."""
    import resource

    folder = write_series(positions=[(0, 0, 0)])
    path = folder / "001.dcm"
    whole = path.read_bytes()
    bomb = struct.pack("<HH2sHI", 0x0029, 0x1010, b"OB", 0, 0xFFFFFFF0)
    at = whole.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    path.write_bytes(whole[:at] + bomb + whole[at:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "holds less than its header promises" in not_corrected(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_hostile_matrix_is_refused_before_allocation(not_corrected, write_series) -> None:
    folder = write_series(positions=[(0, 0, 0)], Rows=16000, Columns=16000)
    assert "holds less than its header promises" in not_corrected(folder)
    folder = write_series("big", positions=[(0, 0, 0)], Rows=65535, Columns=65535)
    assert "claims to be 65535 x 65535" in not_corrected(folder)


def test_uids_never_become_paths(write_series, tmp_path: Path) -> None:
    """A derived series is named by number, whatever UIDs its source brings."""
    from spinemar.io.dicom.export import write_derived_series

    folder = write_series(series="../../../escaped", SOPInstanceUID="../../x")
    volume = read_volume(folder)
    files = write_derived_series(volume, sorted(folder.iterdir()), tmp_path / "out")
    assert [p.name for p in files] == [f"IM{n:05d}.dcm" for n in range(1, 6)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "series"]
