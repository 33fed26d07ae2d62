"""Derived CT series: exact voxels, the right study, honest tags, valid for another checker."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from spinemar.errors import CancelledError, GeometryError, InputError
from spinemar.io import read_volume
from spinemar.io.dicom.export import write_derived_series
from spinemar.jobs.fed_back import check_not_corrected
from spinemar.progress import CancelToken

MADE = {
    "method": "generator",
    "model_name": "spine",
    "model_version": "1.0",
    "model_sha256": "ab" * 32,
    "provider": "CPUExecutionProvider",
    "metal_threshold_hu": 2500.0,
    "software_version": "0.1.0",
}


_KEPT = (
    "PatientID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
)


@pytest.fixture
def series(write_series) -> list[Path]:
    return _paths(write_series())


def _paths(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _hashes(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]


def test_voxels_and_geometry_come_back_exactly(series: list[Path], tmp_path: Path) -> None:
    import SimpleITK as sitk

    volume = read_volume(series[0].parent)
    hu = volume.hu + np.arange(volume.hu[0].size).reshape(volume.hu[0].shape) % 7 - 3
    hu[0, 0, :3] = (-3024, -32768, 32767)
    before = _hashes(series)
    files = write_derived_series(
        volume.with_hu(hu), series[::-1], tmp_path / "out", provenance=MADE
    )
    assert _hashes(series) == before  # the sources are never touched
    back = read_volume(tmp_path / "out")
    np.testing.assert_array_equal(back.hu, hu)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-6)
    image = sitk.ReadImage([str(f) for f in files])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), hu.astype(np.int16))


def test_tags_say_study_source_and_method(series: list[Path], tmp_path: Path) -> None:
    volume = read_volume(series[0].parent)
    files = write_derived_series(volume, series, tmp_path / "out", provenance=MADE)
    sources = {str(h.SOPInstanceUID): h for h in map(pydicom.dcmread, series)}
    written = [pydicom.dcmread(f) for f in files]
    assert len({str(h.SOPInstanceUID) for h in written}) == len(series)
    assert len({str(h.SeriesInstanceUID) for h in written}) == 1
    for header in written:
        reference = header.SourceImageSequence[0].ReferencedSOPInstanceUID
        source = sources[str(reference)]
        for kept in _KEPT:
            assert header.get(kept) == source.get(kept), kept
        assert header.SeriesInstanceUID != source.SeriesInstanceUID
        assert header.SOPInstanceUID not in sources
        assert list(header.ImageType)[:2] == ["DERIVED", "SECONDARY"]
        assert len(header.SeriesDescription) <= 64
        for word in ("generator", "spine 1.0", "abab", "CPUExecutionProvider", "2500", "0.1.0"):
            assert word in header.DerivationDescription


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools' dciodvfy")
def test_an_independent_checker_finds_no_new_error(series: list[Path], tmp_path: Path) -> None:
    volume = read_volume(series[0].parent)
    files = write_derived_series(volume, series, tmp_path / "out", provenance=MADE)

    def errors(path: Path) -> set[str]:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        return {line.strip() for line in lines if line.startswith("Error")}

    assert errors(files[0]) <= errors(series[0])  # the source's own faults stay its own


def test_padding_keeps_its_meaning(write_series, tmp_path: Path) -> None:
    series = _paths(write_series())
    for path in series:
        header = pydicom.dcmread(path)
        slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
        kind = "US" if header.PixelRepresentation == 0 else "SS"
        header.add_new("PixelPaddingValue", kind, round((-1000 - intercept) / slope))
        header.save_as(path)
    volume = read_volume(series[0].parent)
    files = write_derived_series(volume, series, tmp_path / "out")
    assert pydicom.dcmread(files[0]).PixelPaddingValue == -1000


def test_volume_of_another_grid_is_refused(series: list[Path], tmp_path: Path) -> None:
    from spinemar.volume import CTVolume

    volume = read_volume(series[0].parent)
    moved = volume.ijk_to_ras.copy()
    moved[2, 3] += 1.0
    turned = volume.ijk_to_ras @ np.diag([-1.0, 1, 1, 1])
    cases = [
        CTVolume(volume.hu[:-1], volume.ijk_to_ras),
        CTVolume(volume.hu[:, :-1], volume.ijk_to_ras),
        CTVolume(volume.hu, moved),
        CTVolume(volume.hu, turned),
    ]
    for case in cases:
        with pytest.raises(GeometryError):
            write_derived_series(case, series, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_sources_and_folders(series: list[Path], tmp_path: Path) -> None:
    volume = read_volume(series[0].parent)
    (tmp_path / "note.txt").write_text("no DICOM")
    with pytest.raises(InputError, match="not a CT series"):
        write_derived_series(volume, [tmp_path / "note.txt"], tmp_path / "out")
    with pytest.raises(InputError, match="cannot be read"):
        write_derived_series(volume, [tmp_path / "gone.dcm"], tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        write_derived_series(volume, series, tmp_path / "there")
    header = pydicom.dcmread(series[0])
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    header.save_as(tmp_path / "mr.dcm")
    with pytest.raises(InputError, match=r"mr\.dcm is not a CT series"):
        write_derived_series(volume, [tmp_path / "mr.dcm"], tmp_path / "out")


def test_cancel_leaves_no_folder(series: list[Path], tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    volume = read_volume(series[0].parent)
    with pytest.raises(CancelledError):
        write_derived_series(volume, series, tmp_path / "out", cancel=token)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def test_a_result_sent_to_the_archive_and_back_is_known_as_ours(
    series: list[Path], tmp_path: Path
) -> None:
    volume = read_volume(series[0].parent)
    assert "corrected_with" not in volume.metadata
    made = {"method": "nmar", "software_version": "1.0"}
    files = write_derived_series(volume, series, tmp_path / "out", provenance=made)
    back = read_volume(files[0].parent)
    assert back.metadata["corrected_with"] == "nmar"
    with pytest.raises(InputError, match="corrected by SpineMAR before"):
        check_not_corrected(files[0].parent, back)
    check_not_corrected(series[0].parent, volume)
