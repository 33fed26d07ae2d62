"""Every series that is read can be written back: HU, places and texts, for three other readers."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from spinemar.errors import InputError
from spinemar.io import read_volume
from spinemar.io.dicom.export import write_derived_series
from spinemar.io.dicom.plain import read_plain_header
from Testing.core.io.dicom_companions import ALL, write_companion
from Testing.core.io.dicom_encodings import encoded
from Testing.core.reliability.conftest import PACKED
from Testing.host.dicomdatabase import writeCtSeries

SLICES = 4
Edit = Callable[[Dataset, int], object]


def drawn() -> np.ndarray:
    """Whole HU, all pixels different from their neighbours, as a 12-bit scanner stores them."""
    values = np.random.default_rng(5).integers(-1024, 3072, (SLICES, 16, 12))
    values[:, 0, 0], values[:, 0, 1] = -1024, 3071
    return values.astype(np.int16)


def raw(tag: int, form: str | None, value: bytes) -> Edit:
    """Put bytes under a tag, whatever they mean."""

    def edit(data: Dataset, _n: int) -> None:
        known = RawDataElement(Tag(tag), form, len(value), value, 0, form is None, True)
        data[tag] = known

    return edit


def tags(**values: object) -> Edit:
    """Set tags; None removes one."""

    def edit(data: Dataset, _n: int) -> None:
        for name, value in values.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)

    return edit


def pixels(stored: np.ndarray, **scale: object) -> Edit:
    """Give all slices other stored values of 16 bits and another scale."""

    def edit(data: Dataset, n: int) -> None:
        data.PixelData = np.roll(stored, n, axis=0).tobytes()
        data["PixelData"].VR = "OW"
        signed = int(stored.dtype.kind == "i")
        bits = {"BitsStored": 16, "HighBit": 15, "PixelRepresentation": signed}
        for name, value in {**bits, **scale}.items():
            setattr(data, name, value)

    return edit


def place(normal_step: Callable[[int], tuple[float, ...]], orientation: tuple[float, ...]) -> Edit:
    def edit(data: Dataset, n: int) -> None:
        data.ImagePositionPatient = list(normal_step(n))
        data.ImageOrientationPatient = list(orientation)

    return edit


def overlay_in_pixels(data: Dataset, n: int) -> None:
    words = np.frombuffer(data.PixelData, "<u2").reshape(16, 12).copy()
    words[n::3, ::2] |= 0x8000
    data.PixelData = words.tobytes()
    data["PixelData"].VR = "OW"
    for element, form, value in (
        (0x10, "US", 16), (0x11, "US", 12), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 16), (0x102, "US", 15),
    ):  # fmt: skip
        data.add_new(0x60000000 | element, form, value)


def overlay_beside(data: Dataset, _n: int) -> None:
    for element, form, value in (
        (0x10, "US", 16), (0x11, "US", 12), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", bytes(range(24))),
    ):  # fmt: skip
        data.add_new(0x60000000 | element, form, value)


def philips(data: Dataset, _n: int) -> None:
    data.add_new(0x01F10010, "LO", "ELSCINT1")
    data.add_new(0x01F11026, "DS", "0.264")


def nested(data: Dataset, _n: int) -> None:
    inner = Dataset()
    philips(inner, 0)
    inner.add_new(0x00081115, "SQ", Sequence([Dataset()]))
    data.add_new(0x00290010, "LO", "SOMEBODY")
    data.add_new(0x00291010, "SQ", Sequence([inner]))


def sixteen_bits(data: Dataset, _n: int) -> None:
    data.add_new(0x00290010, "LO", "SOMEBODY")
    data.add_new(0x00291020, "OW", bytes(range(8)))
    data.add_new(0x00291021, "UN", b"\1\2\3\4")
    data.add_new(0x00291022, "US", [1, 258])


COUNT = np.arange(192).reshape(16, 12)
C, S = np.cos(np.radians(12)), np.sin(np.radians(12))
AXIAL = (1, 0, 0, 0, 1, 0)
EDITS: dict[str, Edit] = {
    "plain": tags(),
    "signed": pixels((COUNT * 30 - 2000).astype("<i2"), RescaleIntercept=0),
    "unsigned-16": pixels((COUNT * 100).astype("<u2"), RescaleIntercept=-8192),
    "extended-beyond-16-bits-with-a-sign": pixels((COUNT * 320).astype("<u2")),
    "slope-half": pixels((COUNT * 30).astype("<u2"), RescaleSlope="0.5"),
    "slope-odd": pixels((COUNT * 30).astype("<u2"), RescaleSlope="0.48828125"),
    "slope-negative": pixels((COUNT * 20).astype("<u2"), RescaleSlope="-1.5", RescaleIntercept=900),
    "slope-two": pixels((COUNT * 20).astype("<i2"), RescaleSlope=2, RescaleIntercept="-500"),
    "slope-with-exponent": pixels(
        (COUNT * 20).astype("<u2"), RescaleSlope="1.000000E+00", RescaleIntercept="-1.024000E+03"
    ),
    "intercept-fraction": pixels((COUNT * 20).astype("<u2"), RescaleIntercept="-1000.25"),
    "slope-differs-between-slices": lambda data, n: pixels(
        (COUNT * 20).astype("<u2"), RescaleSlope=str(1 + n / 4)
    )(data, n),
    "monochrome1": tags(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "padding-empty": lambda data, n: data.add_new(0x00280120, "US", None),
    "padding": lambda data, n: data.add_new(0x00280120, "US", 24),
    "padding-with-the-wrong-sign": lambda data, n: (
        pixels((COUNT * 30 - 2000).astype("<i2"), RescaleIntercept=0)(data, n),
        data.add_new(0x00280120, "US", 63536),
    ),
    "padding-out-of-range": lambda data, n: data.add_new(0x00280120, "US", 65535),
    "private-of-a-wrong-length": philips,
    "private-sequence-with-one": nested,
    "private-words": sixteen_bits,
    "private-of-an-unknown-form": raw(0x00291030, "UN", b"\xff\x00\x01"),
    "number-that-is-a-word": raw(0x00180090, "DS", b"wide"),
    "date-that-is-none": raw(0x00080022, "DA", b"yesterday "),
    "integer-that-is-too-long": raw(0x00200012, "IS", b"99999999999999"),
    "instance-number-missing": tags(InstanceNumber=None),
    "instance-number-odd": raw(0x00200013, "IS", b"1.5 "),
    **{
        f"series-number-{text.strip() or 'empty'}": raw(0x00200011, "IS", text.encode())
        for text in ("abc ", "", "1.5 ", "-3", "2147483647", "3\\4 ", "0003")
    },
    "overlay-in-pixel-bits": overlay_in_pixels,
    "overlay-beside": overlay_beside,
    "overlay-without-size": lambda data, n: data.add_new(0x60000100, "US", 16),
    "pixels-not-square": tags(PixelSpacing=[0.8, 0.7]),
    "positions-rounded": place(lambda n: (-5, -7, round(50 + 0.625 * n, 1)), AXIAL),
    "positions-with-noise": place(lambda n: (-5 + 1e-4 * n, -7, 50.00003 + 0.75 * n), AXIAL),
    "gantry-tilt": place(lambda n: (-5, -7, 3.0 * n), (1, 0, 0, 0, C, S)),
    "oblique": place(lambda n: (-5, -3.0 * n * S, 3.0 * n * C), (1, 0, 0, 0, C, S)),
    "feet-first": place(lambda n: (5, -7, 3.0 * n), (-1, 0, 0, 0, 1, 0)),
    "sagittal": place(lambda n: (3.0 * n, 4, 5), (0, 1, 0, 0, 0, -1)),
    "numbered-downwards": lambda data, n: setattr(data, "InstanceNumber", SLICES - n),
    "one-identifier-for-all": tags(SOPInstanceUID="1.2.3.4.5"),
    "identifiers-that-are-none": tags(SOPInstanceUID="", SeriesInstanceUID="../x"),
    "class-missing": tags(SOPClassUID=None),
    "image-type-missing": tags(ImageType=None),
    "image-type-of-one-value": tags(ImageType="ORIGINAL"),
    "rescale-type-missing": tags(RescaleType=None),
    "windows-several": tags(WindowCenter=[40, 400], WindowWidth=[400, 2000]),
    "windows-that-are-words": raw(0x00281050, "DS", b"soft\\bone "),
    "description-of-two-values": raw(0x0008103E, "LO", b"Axial\\bone"),
    "description-long": tags(SeriesDescription="x" * 64),
    "latin-1": tags(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Wirbelsäule"),
    "utf-8": tags(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jörg=山田^太郎"),
    "japanese": tags(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"
    ),
    "character-set-unknown": raw(0x00080005, "CS", b"ISO_IR 999"),
    "bytes-of-another-set": lambda data, n: (
        tags(SpecificCharacterSet="ISO_IR 192")(data, n),
        raw(0x0008103E, "LO", b"Wirbels\xe4ule ")(data, n),
    ),
    "text-of-odd-length": raw(0x00081090, "LO", b"odd"),
    "equipment-known": lambda data, n: setattr(
        data, "ContributingEquipmentSequence", Sequence([Dataset()])
    ),
    "one-frame-said": tags(NumberOfFrames="1"),
}

_SET_ANEW = (
    "ImageType", "PhotometricInterpretation", "SeriesDescription", "SeriesNumber", "ContentTime",
    "ContributingEquipmentSequence", "PixelPaddingValue",
)  # fmt: skip
#: What a result sets anew, held as something else than the standard says: told by the file alone.
OTHER_KINDS: dict[str, Edit] = {
    "kind-of-image-is-numbers": raw(0x00280004, "SS", b"MONOCHROME2 "),
    "type-of-image-is-numbers": raw(0x00080008, "US", b"ORIGINAL"),
    "description-is-numbers": raw(0x0008103E, "US", b"Ax"),
    "number-of-series-is-text": raw(0x00200011, "LO", b"12"),
    "equipment-is-text": raw(0x0018A001, "LO", b"scanner "),
    "padding-is-text": raw(0x00280120, "LO", b"-2000 "),
    "time-is-numbers": raw(0x00080033, "FL", b"1200"),
}


def written(folder: Path, edit: Edit, syntax: str = "explicit") -> list[Path]:
    """Write a valid series, edited slice by slice, in one encoding."""
    files = writeCtSeries(folder, drawn())
    for n, path in enumerate(files):
        data = pydicom.dcmread(path)
        edit(data, n)
        path.unlink()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoded(data, path, syntax)
    return files


def written_back(tmp_path: Path, files: list[Path]) -> list[Path]:
    """Read and write back; check that our reader and pydicom find the same again."""
    volume = read_volume(files[0].parent)
    result = list(write_derived_series(volume, files, tmp_path / "out"))
    back = read_volume(tmp_path / "out")
    np.testing.assert_array_equal(back.hu, volume.hu)
    np.testing.assert_array_equal(back.ijk_to_ras, volume.ijk_to_ras)
    assert len(result) == len(volume.hu)
    heads = [pydicom.dcmread(path) for path in result]
    assert len({str(h.SOPInstanceUID) for h in heads}) == len(result)
    for k, head in enumerate(heads):
        assert str(head)  # every element can be read, private ones as well
        stored = head.pixel_array.astype(np.float64) * head.RescaleSlope + head.RescaleIntercept
        np.testing.assert_array_equal(stored.astype(np.float32), volume.hu[k])
        assert 0 < int(head.SeriesNumber) < 2**31
        assert str(head.SeriesDescription).endswith("Metal artifacts reduced")
        assert len(str(head.SeriesDescription)) <= 64
    return result


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_what_is_set_anew_is_of_the_standards_kind(tmp_path: Path, name: str) -> None:
    files = written(tmp_path / "in", OTHER_KINDS[name])
    for path in written_back(tmp_path, files):
        data = pydicom.dcmread(path)
        for element in data:
            if element.keyword in _SET_ANEW:
                assert element.VR in dictionary_VR(element.tag), element


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big"])
@pytest.mark.parametrize("name", EDITS)
def test_every_series_that_is_read_is_written_back(tmp_path: Path, name: str, syntax: str) -> None:
    """Checked by our reader, by pydicom, and by dciodvfy where there is one."""
    files = written(tmp_path / "in", EDITS[name], syntax)
    result = written_back(tmp_path, files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = {tuple(pydicom.dcmread(path).ImagePositionPatient) for path in files}
    assert {tuple(pydicom.dcmread(p).ImagePositionPatient) for p in result} == places
    if shutil.which("dciodvfy"):
        assert _errors(result[1]) <= _errors(files[1])  # the source's own faults stay its own


@pytest.mark.parametrize("syntax", ["deflated", "no-mark"])
@pytest.mark.parametrize(
    "name", ["plain", "signed", "slope-odd", "monochrome1", "private-sequence-with-one", "utf-8"]
)
def test_rare_encodings_are_written_back(tmp_path: Path, name: str, syntax: str) -> None:
    written_back(tmp_path, written(tmp_path / "in", EDITS[name], syntax))


@pytest.mark.parametrize("name", ["jpeg-lossless", "jpeg-ls", "jpeg-2000", "rle"])
def test_packed_series_are_written_back(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "slice.dcm"
    path.write_bytes((PACKED / f"{name}.dcm").read_bytes())
    written_back(tmp_path, [path])


def test_companions_and_copies_among_the_sources(tmp_path: Path) -> None:
    files = written(tmp_path / "in", EDITS["plain"])
    companions = [write_companion(tmp_path / "in", what) for what in ALL]
    shutil.copytree(tmp_path / "in", tmp_path / "in" / "copy")
    everything = [*companions, *files[::-1], *sorted((tmp_path / "in" / "copy").iterdir())]
    volume = read_volume(tmp_path / "in")
    assert len(write_derived_series(volume, everything, tmp_path / "out")) == SLICES


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big", "deflated"])
def test_an_overlay_in_pixel_bits_becomes_a_plane(tmp_path: Path, syntax: str) -> None:
    files = written(tmp_path / "in", EDITS["overlay-in-pixel-bits"], syntax)
    for n, path in enumerate(written_back(tmp_path, files)):
        plane = pydicom.dcmread(path).overlay_array(0x6000)
        wanted = np.zeros((16, 12), bool)
        wanted[n::3, ::2] = True
        np.testing.assert_array_equal(plane.astype(bool), wanted)


def test_private_words_of_another_byte_order(tmp_path: Path) -> None:
    """16-bit words of a big endian file keep their numbers; bytes that nobody knows are left."""
    little = written_back(tmp_path / "l", written(tmp_path / "l" / "in", sixteen_bits))
    for syntax in ("big", "deflated"):
        work = tmp_path / syntax
        other = written_back(work, written(work / "in", sixteen_bits, syntax))
        head, wanted = pydicom.dcmread(other[0]), pydicom.dcmread(little[0])
        assert head[0x00291022].value == wanted[0x00291022].value
        assert (0x00291021 in head) == (syntax != "big")


@pytest.mark.parametrize("name", ["latin-1", "utf-8", "japanese"])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big"])
def test_texts_keep_their_characters(tmp_path: Path, name: str, syntax: str) -> None:
    files = written(tmp_path / "in", EDITS[name], syntax)
    source = pydicom.dcmread(files[0])
    head = pydicom.dcmread(written_back(tmp_path, files)[0])
    assert head.PatientName == source.PatientName
    assert str(source.SeriesDescription)[:20] in str(head.SeriesDescription)


def test_what_belongs_to_messages_is_not_written_back(tmp_path: Path) -> None:
    """Elements of a command, which damage can put into a file, and which no file may hold."""
    files = written(tmp_path / "in", tags())
    for path in files:
        data = path.read_bytes()
        (length,) = struct.unpack("<I", data[140:144])  # of the file's own group 0002
        start = 144 + length
        command = struct.pack("<HH2sHH", 0x0000, 0x0110, b"US", 2, 1)
        path.write_bytes(data[:start] + command + data[start:])
    for path in written_back(tmp_path, files):
        assert Tag(0x00000110) not in pydicom.dcmread(path)


def test_a_header_that_is_read_without_its_scale_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Damage that one reader of a file passes over can hide the rest of it from another."""
    files = written(tmp_path / "in", tags())
    volume = read_volume(tmp_path / "in")

    def blind(path: Path) -> Dataset:
        header = read_plain_header(path)
        del header.RescaleSlope
        return header

    monkeypatch.setattr("spinemar.io.dicom.export.read_plain_header", blind)
    with pytest.raises(InputError, match="does not say how its values become HU"):
        write_derived_series(volume, files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("padding", ["padding", "padding-with-the-wrong-sign"])
def test_padding_keeps_its_place_on_the_scale(tmp_path: Path, padding: str) -> None:
    head = pydicom.dcmread(written_back(tmp_path, written(tmp_path / "in", EDITS[padding]))[0])
    hu = head.PixelPaddingValue * head.RescaleSlope + head.RescaleIntercept
    assert hu == {"padding": -1000, "padding-with-the-wrong-sign": -2000}[padding]


def test_a_simulated_scan_says_so_and_a_correction_too(tmp_path: Path) -> None:
    files = written(tmp_path / "in", EDITS["plain"])
    volume = read_volume(tmp_path / "in")
    simulated = write_derived_series(
        volume, files, tmp_path / "s", description="Simulated scan with planned implants",
        provenance={"software_version": "1"},
    )  # fmt: skip
    corrected = write_derived_series(volume, files, tmp_path / "c", provenance={"method": "li"})
    for paths, word in ((simulated, "simulated"), (corrected, "metal artifacts reduced")):
        head = pydicom.dcmread(paths[0])
        said = (head.SeriesDescription, head.DerivationDescription,
                head.ContributingEquipmentSequence[-1].ContributionDescription)  # fmt: skip
        assert all(word in text.lower() for text in said)
        assert ("SIMULATED" in head.ImageType) == (word == "simulated")
        if word == "simulated":
            assert "artifact" not in " ".join(said).lower()


# Other readers.


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return {line.strip() for line in lines if line.startswith("Error")}


def _dcm2niix() -> str | None:
    """Find the program, as Debian's package or PyPI's."""
    found = shutil.which("dcm2niix")
    if found is None and importlib.util.find_spec("dcm2niix") is not None:
        import dcm2niix

        found = str(dcm2niix.bin)
    return found


@pytest.mark.skipif(_dcm2niix() is None, reason="needs dcm2niix (Debian's or PyPI's)")
@pytest.mark.parametrize("name", EDITS)
def test_dcm2niix_reads_the_same(tmp_path: Path, name: str) -> None:
    nibabel = pytest.importorskip("nibabel")
    files = written(tmp_path / "in", EDITS[name])
    volume = read_volume(tmp_path / "in")
    written_back(tmp_path, files)
    (tmp_path / "nii").mkdir()
    command = [str(_dcm2niix()), "-z", "n", "-f", "ct", "-o", str(tmp_path / "nii"),
               str(tmp_path / "out")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    made = tmp_path / "nii" / "ct.nii"  # overlays and straightened tilts come in further files
    assert made.exists(), done.stdout + done.stderr
    found = nibabel.as_closest_canonical(nibabel.load(made))
    ours = nibabel.Nifti1Image(volume.hu.transpose(2, 1, 0), volume.ijk_to_ras)
    wanted = nibabel.as_closest_canonical(ours)
    np.testing.assert_allclose(found.get_fdata(), wanted.get_fdata(), rtol=0, atol=1e-3)
    # It stacks tilted slices at a right angle, and takes the first step for all.
    if name not in ("gantry-tilt", "positions-rounded"):
        np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-3)
