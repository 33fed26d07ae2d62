"""Files beside the CT that wait for ever, never end, or lead elsewhere: refused, in no time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.base.array_files import load_npy, load_npz
from spinemar.base.files.hashes import file_sha256
from spinemar.base.files.regular import open_regular, read_regular
from spinemar.base.files.sets import is_current, refuse_mixed
from spinemar.base.files.zarr_arrays import check_zarr_array, check_zarr_files
from spinemar.base.json_text import read_json
from spinemar.errors import InputError
from spinemar.io import write_volume
from spinemar.io.headers.metaimage import stored_in_metaimage
from spinemar.io.headers.nrrd import nrrd_key_values, stored_in_nrrd
from spinemar.tomography.raw_data.sinogram_files import read_sinogram
from Testing.core.reliability.conftest import drawn_ct
from Testing.fuzz.guises import disguise

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes as files")


@contextmanager
def at_once() -> Iterator[None]:
    """Fail what waits."""

    def late(*_: object) -> None:
        raise AssertionError("it waits for ever")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


_pipe, _socket, _endless, _null, _folder, _circle = (
    partial(disguise, guise=guise)
    for guise in ("fifo", "socket", "endless device", "null device", "folder", "loop")
)


def _huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(3 << 30)


def _move(path: Path, target: Path) -> None:
    """Rename what lies there; a circle of links stays one."""
    if path.is_symlink() and path.readlink().name == path.name:
        path.unlink()
        disguise(target, "loop")
    else:
        path.rename(target)


def _job(path: Path) -> object:
    from spinemar.jobs.worker import _read_job

    return _read_job(str(path))


def _frames(path: Path) -> object:
    from spinemar.base.json_text import read_text

    return read_text(path, "job's file of frames")


def _manifest(path: Path) -> object:
    from spinemar.mar.inpainters.models.manifest import load_manifest

    return load_manifest(path)


def _network(path: Path) -> object:
    from spinemar.mar.inpainters.models.manifest import _read_network

    return _read_network(path)


def _surface(path: Path) -> object:
    from spinemar.implants.surfaces.stl import read_stl

    return read_stl(path)


def _list_of_cts(path: Path) -> object:
    from spinemar.dataset.manifest import read_inputs

    named = path.with_suffix(".csv")
    _move(path, named)
    return read_inputs([named], None, ())


def _record(path: Path) -> object:
    from spinemar.dataset.storage.layout import read_record, record_path

    target = record_path(path.parent, 0)
    target.parent.mkdir()
    _move(path, target)
    return read_record(path.parent, 0)


def _splits(path: Path) -> object:
    from spinemar.dataset.storage.split import read_splits

    _move(path, path.with_name("splits.json"))
    return read_splits(path.parent)


def _patient(path: Path) -> object:
    from spinemar.dataset.sampling.patients import load_patient

    _move(path, path.with_name("patient.json"))
    return load_patient(path.parent)


def _plan(path: Path) -> object:
    from spinemar.planning.plans.plan_json import read_plan

    return read_plan(path)


def _catalogue(path: Path) -> object:
    from spinemar.implants.catalogue import load_catalogue

    return load_catalogue(path)


def _transforms(path: Path) -> object:
    from spinemar.jobs.earlier_ct import EarlierFiles, read_earlier
    from spinemar.mar.settings import CorrectionSettings

    scan = path.with_name("scan.nrrd")
    volume = drawn_ct((3, 16, 16))
    write_volume(scan, volume)
    files = EarlierFiles(scan, transforms=path)
    return read_earlier(files, scan, None, volume, CorrectionSettings())


READERS: list[Callable[[Path], object]] = [
    _job, _frames, _manifest, _network, _surface, _list_of_cts, _record, _splits, _patient, _plan,
    _catalogue, _transforms, lambda path: read_json(path, "file"), load_npy,
    lambda path: load_npz(path, ("projections",)), nrrd_key_values, stored_in_nrrd,
    stored_in_metaimage, lambda path: read_regular(path, "file", 1 << 20),
]  # fmt: skip
NAMES = [
    "job", "frames", "manifest", "network", "surface", "list of cts", "record", "splits",
    "patient", "plan", "catalogue", "transforms", "json", "npy", "npz", "nrrd texts", "nrrd",
    "metaimage", "any",
]  # fmt: skip


@pytest.mark.parametrize("kind", [_pipe, _socket, _endless, _null, _folder, _circle, _huge])
@pytest.mark.parametrize("reader", READERS, ids=NAMES)
def test_what_is_no_ordinary_file_is_refused(
    tmp_path: Path, reader: Callable[[Path], object], kind: Callable[[Path], None]
) -> None:
    path = tmp_path / "thing"
    kind(path)
    if (reader, kind) == (_record, _circle):
        assert reader(path) is None  # as a record that is not there: its block is made again
        return
    with at_once(), pytest.raises((InputError, IsADirectoryError)):
        reader(path)


@pytest.mark.parametrize("kind", [_pipe, _socket, _endless, _null, _folder, _circle])
def test_facts_that_are_no_file_prove_nothing(tmp_path: Path, kind: Callable[[Path], None]) -> None:
    from spinemar.jobs.batches.sidecar import read_current_sidecar, read_sidecar

    kind(tmp_path / "out.json")
    kind(tmp_path / "out.nrrd")
    with at_once():
        assert read_sidecar(tmp_path / "out.nrrd") is None
        assert read_current_sidecar(tmp_path / "out.nrrd") is None
        assert not is_current(tmp_path / "out.nrrd", {"out.nrrd": "0"})
        refuse_mixed(tmp_path / "out.nrrd", tmp_path / "out.json")
        with pytest.raises((InputError, OSError)):
            file_sha256(tmp_path / "out.nrrd")


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(bytes(2000))
    real = os.fstat

    class Small:
        def __init__(self, number: int) -> None:
            self.st_mode, self.st_size = real(number).st_mode, 10

    monkeypatch.setattr("spinemar.base.files.regular.os.fstat", Small)
    with pytest.raises(InputError, match="grows"):
        read_regular(tmp_path / "a", "file", 1000)
    with open_regular(tmp_path / "a", "file") as stream:
        assert len(stream.read()) == 2000


_HEAD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 4 4\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\nendian: little\n"
)


@pytest.mark.parametrize(
    "smuggled",
    [
        "# harmless\rdata file: /etc/hostname\n",
        "key:=value\rdata file: secret.raw\n",
        "content: a\rdatafile: ../secret.raw\n",
        "content: a\0\ndata file: secret.raw\n",
        "encoding: gzip\n",
        "type: double\n",
        "# " + "x" * (17 << 20) + "\ndata file: /etc/hostname\n",
        "k:=" + "x" * (8 << 20) + "\nl:=" + "x" * (9 << 20) + "\ndata file: /etc/hostname\n",
    ],
    ids=["comment", "key", "field", "zero", "twice", "type twice", "long line", "long header"],
)
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_a_nrrd_header_that_others_read_otherwise_is_refused(
    refused, tmp_path: Path, smuggled: str, suffix: str
) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(128))
    path = tmp_path / f"ct{suffix}"
    path.write_bytes((_HEAD + smuggled + "\n").encode() + bytes(128))
    assert "cannot be read" in refused("correct", path, "-o", tmp_path / "out.nrrd")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_both_ends_of_lines_are_read(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "ct.nrrd"
    path.write_bytes((_HEAD + "name:=a b\n\n").replace("\n", ends).encode() + bytes(128))
    assert stored_in_nrrd(path).unpacked_bytes == 128
    assert nrrd_key_values(path) == {"name": "a b"}


@pytest.mark.parametrize(
    "line",
    ["Comment = a\rElementDataFile = ../secret", "ElementDataFile: ../secret = x", "Name = a\0b"],
)
def test_a_metaimage_header_that_others_read_otherwise_is_refused(
    refused, tmp_path: Path, line: str
) -> None:
    write_volume(tmp_path / "good.mha", drawn_ct((3, 16, 16)))
    good = (tmp_path / "good.mha").read_bytes()
    path = tmp_path / "ct.mha"
    path.write_bytes(good.replace(b"ElementDataFile", line.encode() + b"\nElementDataFile", 1))
    assert "cannot be read" in refused("correct", path, "-o", tmp_path / "out.nrrd")


def _v2(**changes: Any) -> dict[str, Any]:
    good = {
        "zarr_format": 2, "shape": [2, 4, 4], "chunks": [1, 4, 4], "dtype": "<f4",
        "compressor": {"id": "zlib", "level": 1}, "filters": None, "fill_value": 0.0, "order": "C",
    }  # fmt: skip
    return {**good, **changes}


def _v3(**changes: Any) -> dict[str, Any]:
    good = {
        "zarr_format": 3, "node_type": "array", "shape": [2, 4, 4], "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 4, 4]}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }  # fmt: skip
    return {**good, **changes}


def _sharded(codec: str, inner: list[int]) -> dict[str, Any]:
    inside = {"chunk_shape": inner, "codecs": [{"name": codec}]}
    return _v3(codecs=[{"name": "sharding_indexed", "configuration": inside}])


def _grid(*chunk: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(chunk)}}


HOSTILE = {
    "a pickle": _v2(compressor={"id": "pickle"}),
    "a pickle as filter": _v2(filters=[{"id": "pickle"}]),
    "objects": _v2(dtype="|O", filters=[{"id": "vlen-utf8"}]),
    "a structure": _v2(dtype=[["a", "<f4"]]),
    "text": _v2(dtype="<U9"),
    "another compressor": _v2(compressor={"id": "imagecodecs_jpeg2k"}),
    "no compressor's name": _v2(compressor={}),
    "1e9 chunks": _v2(shape=[1000, 1000, 1000], chunks=[1, 1, 1]),
    "1e18 chunks": _v2(shape=[10**6, 10**6, 10**6], chunks=[1, 1, 1]),
    "a chunk of petabytes": _v2(chunks=[10**5, 10**5, 10**5]),
    "chunks of nothing": _v2(chunks=[0, 4, 4]),
    "negative": _v2(shape=[-2, 4, 4]),
    "no sizes": _v2(shape="222"),
    "numbers of 1e400": _v2(shape=[1e300, 4, 4]),
    "another rank": _v2(chunks=[1, 4]),
    "v3 a foreign codec": _v3(codecs=[{"name": "numcodecs.pickle"}]),
    "v3 vlen": _v3(codecs=[{"name": "vlen-bytes"}]),
    "v3 strings": _v3(data_type="string"),
    "v3 an extension type": _v3(data_type={"name": "numpy.datetime64"}),
    "v3 a group": _v3(node_type="group"),
    "v3 transformers": _v3(storage_transformers=[{"name": "x"}]),
    "v3 another grid": _v3(chunk_grid={"name": "rectangular"}),
    "v3 1e9 chunks": _v3(shape=[1000, 1000, 1000], chunk_grid=_grid(1, 1, 1)),
    "v3 1e9 chunks in one shard": {
        **_sharded("bytes", [1, 1, 1]), "shape": [1000, 1000, 1000],
        "chunk_grid": _grid(1000, 1000, 1000),
    },
    "v3 a foreign codec in a shard": _sharded("numcodecs.pickle", [1, 4, 4]),
    "no object": ["zarr"],  # type: ignore[dict-item]
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_zarr_that_runs_code_or_never_ends_is_refused(tmp_path: Path, content: Any) -> None:
    pytest.importorskip("zarr")
    store = tmp_path / "raw.zarr"
    store.mkdir()
    three = isinstance(content, dict) and content["zarr_format"] == 3
    (store / ("zarr.json" if three else ".zarray")).write_text(json.dumps(content))
    with at_once(), pytest.raises(InputError, match=r"raw\.zarr cannot be read"):
        read_sinogram(store)


@pytest.mark.parametrize(
    "content", [_v2(), _v3(), _v2(compressor=None), _sharded("zstd", [1, 4, 4])]
)
def test_good_metadata_pass(tmp_path: Path, content: dict[str, Any]) -> None:
    name = "zarr.json" if content["zarr_format"] == 3 else ".zarray"
    (tmp_path / name).write_text(json.dumps(content))
    facts = check_zarr_array(tmp_path)
    assert (facts.version, facts.n_bytes) == (content["zarr_format"], 128)


@pytest.mark.parametrize("kind", [_pipe, _endless, lambda path: path.symlink_to("/etc/hostname")])
def test_chunks_that_are_no_ordinary_files_are_refused(tmp_path: Path, kind) -> None:
    (tmp_path / "c" / "0").mkdir(parents=True)
    (tmp_path / "c" / "0" / "0").write_bytes(b"x")
    check_zarr_files(tmp_path)
    kind(tmp_path / "c" / "0" / "1")
    with at_once(), pytest.raises(InputError, match="no ordinary file"):
        check_zarr_files(tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_of_both_versions_is_read(tmp_path: Path, zarr_format: int) -> None:
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        store=str(tmp_path / "a.zarr"), shape=(2, 4, 4), chunks=(1, 4, 4), dtype="float32",
        zarr_format=zarr_format,
    )  # fmt: skip
    array[...] = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    with pytest.raises(InputError, match="does not say that it is raw data"):
        read_sinogram(tmp_path / "a.zarr")
