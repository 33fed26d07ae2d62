"""NRRD, NIfTI and MetaImage files that are damaged, hostile or of strange shape."""

from __future__ import annotations

import gzip
import os
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest

from spinemar.io import read_volume, write_volume
from Testing.core.reliability.conftest import drawn_ct

SUFFIXES = [".nrrd", ".nii", ".nii.gz", ".mha"]
NRRD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\n"
    "encoding: {encoding}\nspace origin: (0,0,0)\n{more}\n"
)
MHA = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = {packed}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
    "ElementSpacing = 1 1 1\nDimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = {data}\n"
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_files(not_corrected, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ct{suffix}"
    write_volume(path, drawn_ct())
    whole = path.read_bytes()
    for share in (0.02, 0.5, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        said = not_corrected(path)
        assert any(word in said for word in ("truncated", "damaged", "cannot be read"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_flipped_bits_are_refused_or_read(tmp_path: Path, suffix: str) -> None:
    """Bits flipped in header and voxels: an answer every time, never another shape."""
    from spinemar.errors import InputError

    path = tmp_path / f"ct{suffix}"
    write_volume(path, drawn_ct((3, 16, 16)))
    whole = path.read_bytes()
    dice, remedies = np.random.default_rng(5), set()
    for at in dice.integers(0, len(whole), 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            assert np.isfinite(read_volume(path).hu).all()
        except InputError as error:
            remedies.add(error.remedy)
    assert "" not in remedies


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("name", ["raw.nrrd", "gzip.nrrd", "raw.mha", "packed.mha", "bomb.nii",
                                  "bomb.nii.gz"])  # fmt: skip
def test_sizes_that_a_file_cannot_hold_are_refused_before_allocation(
    not_corrected, tmp_path: Path, name: str
) -> None:
    """1000 x 1000 x 1000 voxels, 4 GB as HU, claimed by files of a kilobyte or two."""
    path = tmp_path / name
    rest = zlib.compress(bytes(10_000))
    if name.endswith(".nrrd"):
        encoding = name.removesuffix(".nrrd")
        path.write_bytes(
            NRRD.format(sizes="1000 1000 1000", encoding=encoding, more="").encode() + rest
        )
    elif name.endswith(".mha"):
        packed = name.startswith("packed")
        path.write_bytes(
            MHA.format(sizes="1000 1000 1000", packed=packed, data="LOCAL").encode() + rest
        )
    else:
        write_volume(tmp_path / "ct.nii", drawn_ct((3, 16, 16)))
        raw = bytearray((tmp_path / "ct.nii").read_bytes())
        raw[42:48] = np.array([1000, 1000, 1000], "<i2").tobytes()
        data = bytes(raw)
        if name.endswith(".gz"):  # with the length that it claims written into its trailer
            data = gzip.compress(data)[:-4] + (352 + 2 * 10**9).to_bytes(4, "little")
        path.write_bytes(data)
    before = _peak_kb()
    assert "its header promises" in not_corrected(path)
    assert _peak_kb() - before < 200_000


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("huge.nrrd", NRRD.format(sizes="100000 100000 100000", encoding="gzip", more="")),
        ("huge.mha", MHA.format(sizes="100000 100000 100000", packed=True, data="LOCAL")),
    ],
)
def test_sizes_that_no_ct_has(not_corrected, tmp_path: Path, name: str, header: str) -> None:
    (tmp_path / name).write_bytes(header.encode() + b"abc")
    assert "claims to be 100000 x 100000 x 100000 voxels" in not_corrected(tmp_path / name)


def test_a_volume_larger_than_the_memory(not_corrected, tmp_path: Path, monkeypatch) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct((3, 32, 32)))
    monkeypatch.setattr("spinemar.io.formats.machine_bytes", lambda: 10_000)
    assert "of memory, and this machine has" in not_corrected(tmp_path / "ct.nrrd")


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "/dev/zero", "no.raw", "x" * 999])
@pytest.mark.parametrize("kind", ["nhdr", "mhd"])
def test_headers_that_lead_elsewhere(not_corrected, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(2 * 27))
    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / f"ct.{kind}"
    if kind == "nhdr":
        path.write_text(NRRD.format(sizes="3 3 3", encoding="raw", more=f"data file: {name}\n"))
    else:
        path.write_text(MHA.format(sizes="3 3 3", packed=False, data=name))
    said = not_corrected(path)
    assert "its voxels" in said
    assert "not" in said or "outside" in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NDims = 3", "NDims = 77777777777777"),
        ("NDims = 3", "NDims = 9"),
        ("NDims = 3", "NDims = 3\nNDims = 4"),
        ("DimSize = 3 3 3", "DimSize = 3 3"),
        ("DimSize = 3 3 3", f"DimSize = {'3 ' * 5000}"),
        ("ElementSpacing = 1 1 1", f"ElementSpacing = {'1 ' * 200}"),
        ("Offset = 0 0 0", f"Offset = {'9' * 5000} 0 0"),
    ],
)
def test_metaimage_headers_that_would_overrun_metaio(
    not_corrected, tmp_path: Path, old: str, new: str
) -> None:
    """MetaIO copies what such headers hold over the end of its arrays, and the process is gone."""
    header = MHA.format(sizes="3 3 3", packed=False, data="LOCAL")
    assert old in header
    (tmp_path / "ct.mha").write_bytes(header.replace(old, new).encode() + bytes(54))
    assert "its MetaImage header is truncated or damaged" in not_corrected(tmp_path / "ct.mha")


@pytest.mark.parametrize("beside", [False, True])
def test_a_packed_metaimage_that_asks_for_a_dictionary(
    not_corrected, tmp_path: Path, beside: bool
) -> None:
    """MetaIO would wait for the dictionary for ever (RFC 1950, FDICT)."""
    packer = zlib.compressobj(zdict=b"any")
    packed = packer.compress(bytes(54)) + packer.flush()
    header = MHA.format(sizes="3 3 3", packed=True, data="ct.zraw" if beside else "LOCAL").encode()
    path = tmp_path / ("ct.mhd" if beside else "ct.mha")
    (tmp_path / "ct.zraw").write_bytes(packed)
    path.write_bytes(header + (b"" if beside else packed))
    assert "damaged, or packed in an unknown way" in not_corrected(path)


def test_a_header_with_its_voxels_beside_it_still_works(tmp_path: Path) -> None:
    values = drawn_ct((3, 16, 16)).hu.astype("<i2")
    (tmp_path / "ct.raw").write_bytes(values.tobytes())
    header = NRRD.format(sizes="16 16 3", encoding="raw", more="data file: ct.raw\n")
    (tmp_path / "ct.nhdr").write_text(header)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nhdr").hu, values)
    (tmp_path / "ct.mhd").write_text(MHA.format(sizes="16 16 3", packed=False, data="ct.raw"))
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.mhd").hu, values)


def test_pipes_and_devices_do_not_hang(not_corrected, tmp_path: Path) -> None:
    for name in ("pipe.nrrd", "pipe", "pipe.nii.gz"):
        os.mkfifo(tmp_path / name)
        before = tmp_path / name
        said = not_corrected(before)
        assert "neither a file nor a folder" in said
        before.unlink()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(not_corrected, tmp_path: Path, bad: float) -> None:
    volume = drawn_ct()
    hu = volume.hu.copy()
    hu[2, 3, 4] = bad
    write_volume(tmp_path / "ct.nrrd", volume.with_hu(hu))
    assert "1 voxels that are not numbers" in not_corrected(tmp_path / "ct.nrrd")


def test_constant_volume(not_corrected, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct().with_hu(np.full((5, 64, 64), 7, np.float32)))
    assert "is constant: every voxel is 7" in not_corrected(tmp_path / "ct.nrrd")


def test_lost_intercept(not_corrected, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct().with_hu(drawn_ct().hu + 1024))
    assert "is not in Hounsfield units" in not_corrected(tmp_path / "ct.nrrd")


@pytest.mark.parametrize(
    ("spacing", "said"),
    [(1e-4, "no valid voxel size"), (500.0, "has voxels of 500 mm")],
)
def test_tiny_and_huge_spacing(not_corrected, tmp_path: Path, spacing: float, said: str) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(drawn_ct().hu)
    image.SetSpacing((spacing, spacing, 2.0))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    assert said in not_corrected(tmp_path / "ct.nrrd")


@pytest.mark.parametrize("mm", [0.02, 20.0])
def test_unusual_but_possible_spacing_is_corrected(tmp_path: Path, mm: float) -> None:
    from spinemar.cli.main import main

    write_volume(tmp_path / "ct.nrrd", drawn_ct(mm=mm))
    code = main(["correct", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "o.nrrd"),
                 "--method", "li"])  # fmt: skip
    assert code in (0, 2)
    assert (tmp_path / "o.nrrd").exists() == (code == 0)


def test_sheared_slices(not_corrected, tmp_path: Path) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(drawn_ct().hu)
    image.SetDirection((1, 0.3, 0, 0, 0.95393920, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    assert "is sheared" in not_corrected(tmp_path / "ct.nrrd")


def test_mask_of_elsewhere_and_empty_mask(not_corrected, scan_file: Path, tmp_path: Path) -> None:
    from spinemar.io import write_labels
    from spinemar.volume import LabelVolume

    ct = drawn_ct()
    mask = np.zeros(ct.hu.shape, np.int16)
    write_labels(tmp_path / "mask.nrrd", LabelVolume(mask, ct.ijk_to_ras))
    assert "is empty" in not_corrected(scan_file, "--metal-mask", tmp_path / "mask.nrrd")
    far = np.array(ct.ijk_to_ras)
    far[:3, 3] += 5000
    write_labels(tmp_path / "mask.nrrd", LabelVolume(mask + 1, far))
    assert "lies outside the CT" in not_corrected(scan_file, "--metal-mask", tmp_path / "mask.nrrd")


def test_raw_data_bombs(not_corrected, tmp_path: Path) -> None:
    """A .npy header of 10 bytes more than the file has, one of a petabyte, and a zip bomb."""
    import io
    import zipfile

    def header(shape: tuple[int, ...]) -> bytes:
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        return stream.getvalue()

    (tmp_path / "raw.json").write_text("{}")
    for shape in ((10, 10), (10**5, 10**5, 10**5)):
        (tmp_path / "raw.npy").write_bytes(header(shape) + bytes(390))
        assert "cannot be read as an array" in not_corrected(tmp_path / "raw.npy")
    with zipfile.ZipFile(tmp_path / "raw.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("projections.npy", header((10**5, 10**5, 10**5)) + bytes(1000))
        archive.writestr("header.npy", header(()) + bytes(4))
    assert "cannot be read as an array" in not_corrected(tmp_path / "raw.npz")


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_few_slices_are_corrected(tmp_path: Path, slices: int) -> None:
    from spinemar.cli.main import main

    write_volume(tmp_path / "ct.nrrd", drawn_ct((slices, 64, 64)))
    out = tmp_path / "o.nrrd"
    assert main(["correct", str(tmp_path / "ct.nrrd"), "-o", str(out), "--method", "li"]) == 0
    assert read_volume(out).hu.shape == (slices, 64, 64)


@pytest.mark.parametrize("side", [64, 100, 256, 1024])
def test_matrices_from_64_to_1024(tmp_path: Path, side: int) -> None:
    from spinemar.mar.correct import correct_volume

    volume = drawn_ct((1, side, side))
    result = correct_volume(volume, method="li")
    assert result.volume.hu.shape == volume.hu.shape
    assert len(result.slices) == 1
    assert np.isfinite(result.volume.hu).all()
