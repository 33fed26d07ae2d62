"""Headers of a source series as explicit little endian holds them: private elements above all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

from spinemar.io.dicom.plain import read_plain_header
from spinemar.io.dicom.pydicom_versions import write_file

PLACE = (0x0011, 0x1001)


def written(path: Path, vr: str, value: bytes, *, big: bool) -> Path:
    """A header with one private element, its bytes as they are."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    data.preamble = b"\0" * 128
    data.add_new((0x0011, 0x0010), "LO", "TESTED HERE")
    data.add_new(PLACE, "OB" if vr == "FD" else vr, value)
    write_file(data, path, little_endian=not big)
    if vr == "FD":  # whose eight bytes a number these are not: written by hand
        stored = path.read_bytes()
        long = b"OB\0\0" + len(value).to_bytes(4, "little") + value
        assert stored.count(long) == 1
        short = vr.encode() + len(value).to_bytes(2, "little") + value
        path.write_bytes(stored.replace(long, short))
    return path


@pytest.mark.parametrize(
    ("vr", "kind"), [("OW", "u2"), ("OL", "u4"), ("OF", "f4"), ("OD", "f8"), ("OV", "u8")]
)
@pytest.mark.parametrize("big", [True, False])
def test_numbers_of_several_bytes_keep_their_values(tmp_path, vr, kind, big) -> None:
    values = np.arange(1, 7, dtype=kind)
    stored = values.astype((">" if big else "<") + kind).tobytes()
    header = read_plain_header(written(tmp_path / "a.dcm", vr, stored, big=big))
    assert vr == header[PLACE].VR
    np.testing.assert_array_equal(np.frombuffer(header[PLACE].value, "<" + kind), values)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b"two words!", "LO"), (b"~tilde end", "LO"), (b"a\\b is cd ", "UT"),
        (b"long " * 14, "UT"), (b"\x01\x02no", "UN"), (b"del\x7f", "UN"),
    ],
)  # fmt: skip
def test_a_text_that_should_be_numbers_is_kept(tmp_path, value, form) -> None:
    header = read_plain_header(written(tmp_path / "a.dcm", "FD", value, big=False))
    element = header[PLACE]
    assert form == element.VR
    assert (element.value if form == "UN" else element.value.encode()) == value.rstrip()
