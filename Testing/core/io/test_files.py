"""Files appear complete or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import FaultError, InputError
from spinemar.io import write_volume
from spinemar.volume import CTVolume


def test_success_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.nii.gz"
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert temporary.parent.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "result.nrrd"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_swapped_whole(tmp_path: Path) -> None:
    target = tmp_path / "store.zarr"
    for content in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [p.name for p in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(ValueError, match="no"), atomic_path(target) as temporary:
        temporary.mkdir()
        raise ValueError("no")
    assert [p.name for p in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"), atomic_path(tmp_path / "no" / "x"):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_said_in_one_sentence(tmp_path: Path, code: int) -> None:
    with pytest.raises(FaultError, match="disk is full"), atomic_path(tmp_path / "x.nrrd"):
        raise OSError(code, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_errors_about_other_files_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.nrrd"):
        (tmp_path / "other").read_text()


def _limited_write(path: Path, limit: int) -> BaseException | None:
    """Write a volume while no file may grow beyond `limit` bytes, as on a full disk."""
    hu = np.random.default_rng(0).normal(0, 300, (20, 64, 64)).astype(np.float32)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        write_volume(path, CTVolume(hu, np.eye(4)))
    except BaseException as error:
        return error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    return None


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_disk_that_fills_up_leaves_the_old_result(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"result{suffix}"
    target.write_text("old")
    error = _limited_write(target, 60_000)
    assert isinstance(error, FaultError), error
    assert error.exit_code == 1
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_killed_process_shows_no_partial_result(tmp_path: Path) -> None:
    """Whenever the kill comes, the target is the old file or the complete new one."""
    target = tmp_path / "result.txt"
    target.write_text("old")
    script = f"""
        import time
        from spinemar.base.atomic_files import atomic_path
        with atomic_path({str(target)!r}) as temporary, temporary.open("w") as stream:
            for _ in range(1000):
                stream.write("new" * 1000)
                stream.flush()
                print("working", flush=True)
                time.sleep(0.01)
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    time.sleep(0.05)
    worker.kill()
    worker.wait()
    assert target.read_text() == "old"
    visible = [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert visible == [target]
