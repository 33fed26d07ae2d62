"""Faults of the machine: killed, full, read-only, cut off; the old result or the whole new one."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spinemar.base.atomic_files import atomic_path, private_folder
from spinemar.base.file_locks import output_lock
from spinemar.cli.main import main
from spinemar.errors import FaultError, InputError
from spinemar.io import read_volume, write_volume
from spinemar.jobs.engine import protocol
from spinemar.jobs.engine.arrays import save_array
from spinemar.jobs.engine.process import JobProcess
from Testing.core.reliability.conftest import drawn_ct, run_python

POSIX = os.name == "posix"

# A worker that is killed by itself the moment it reaches a stage.
_KILLED = textwrap.dedent(
    """
    import os, signal, sys
    import spinemar.jobs.worker as worker
    old = worker._Reporter.progress
    def progress(self, now):
        if now.stage == sys.argv[1] and now.done >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        old(self, now)
    worker._Reporter.progress = progress
    sys.exit(worker.main(["-", "--attended"]))
    """
)


def _job(folder: Path) -> dict[str, object]:
    volume = drawn_ct()
    save_array(folder / "in.npy", volume.hu.astype(np.int16))
    return {
        "kind": "correct", "settings": {"method": "li"}, "stored_as": "int16",
        "output": str(folder / "out.npy"),
        "input": {"npy": str(folder / "in.npy"), "ijk_to_ras": volume.ijk_to_ras.tolist()},
    }  # fmt: skip


@pytest.mark.slow
def test_worker_killed_at_each_stage(tmp_path: Path) -> None:
    job = _job(tmp_path)
    process, stages = JobProcess(job), []
    ending = process.wait(120)
    assert ending["event"] == "done", ending
    (tmp_path / "out.npy").write_bytes(b"an old result")
    for stage in ("Reading", "Finding metal", "Correcting", "Writing"):
        killed = JobProcess(job, [sys.executable, "-c", _KILLED, stage, "0"])
        ending = killed.wait(120)
        if ending["event"] == "done":  # this version knows no stage of that name
            (tmp_path / "out.npy").write_bytes(b"an old result")
            continue
        stages.append(stage)
        error = protocol.error_of(ending)
        assert isinstance(error, FaultError)
        assert "ended unexpectedly (killed, perhaps for lack of memory)" in error.problem
        assert "Nothing was changed" in error.remedy
        assert (tmp_path / "out.npy").read_bytes() == b"an old result"
    assert {"Reading", "Correcting", "Writing"} <= set(stages)
    # The next run works, and takes away what the killed ones left behind.
    assert JobProcess(job).wait(120)["event"] == "done"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "out.npy"]


# Where the power goes: a name of `spinemar.base.atomic_files`, or of pathlib, that ends the
# process instead.
_CUTS = {
    "while writing": ("spinemar.base.atomic_files.flush_tree", "old"),
    "between flush and rename": ("pathlib.Path.replace", "old"),
    "after the rename": ("spinemar.base.atomic_files._after_rename", "new"),
}


@pytest.mark.parametrize("cut", _CUTS)
def test_power_cut_leaves_old_or_new(tmp_path: Path, cut: str) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")
    place, expected = _CUTS[cut]
    script = f"""
        import os, pathlib, spinemar.base.atomic_files as files
        def gone(*_): os._exit(9)
        if {place!r} == "spinemar.base.atomic_files._after_rename":
            flush = files.flush
            files.flush = lambda path: gone() if path == pathlib.Path({str(tmp_path)!r}) \\
                else flush(path)
        elif {place!r} == "pathlib.Path.replace":
            pathlib.Path.replace = gone
        else:
            files.flush_tree = gone
        with files.atomic_path({str(target)!r}) as temporary:
            temporary.write_text("new")
        """
    assert run_python(textwrap.dedent(script)).returncode == 9
    assert target.read_text() == expected
    visible = [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert visible == [target]
    with atomic_path(target) as temporary:  # the next write takes the remains away
        temporary.write_text("newer")
    assert list(tmp_path.iterdir()) == [target]


def test_power_cut_while_a_folder_is_swapped_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "store"
    target.mkdir()
    (target / "old").touch()
    script = f"""
        import os, pathlib, spinemar.base.atomic_files as files
        rename, count = pathlib.Path.replace, []
        def second(self, other):
            count.append(1)
            if len(count) == 2:
                os._exit(9)
            return rename(self, other)
        pathlib.Path.replace = second
        with files.atomic_path({str(target)!r}) as temporary:
            temporary.mkdir()
        """
    assert run_python(textwrap.dedent(script)).returncode == 9
    with pytest.raises(ValueError, match="stop"), atomic_path(target):
        raise ValueError("stop")  # even a write that fails brings the old one back
    assert [p.name for p in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_everything_is_flushed_before_the_rename_and_the_rename_after_it(
    tmp_path: Path, monkeypatch
) -> None:
    done: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(number: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        real_fsync(number)

    def replace(self: Path, other: Path) -> Path:
        done.append("rename")
        return real_replace(self, other)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with atomic_path(tmp_path / "result.txt") as temporary:
        temporary.write_text("new")
    assert done == (["file", "rename", "folder"] if POSIX else ["file", "rename"])


@pytest.mark.skipif(not POSIX, reason="permissions of POSIX")
def test_what_is_on_its_way_is_private_and_permissions_stay(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")
    target.chmod(0o640)
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
        assert temporary.parent.name.startswith(".")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted: {error}")
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("report", [False, True])
def test_full_disk(small_disk: Path, tmp_path: Path, capfd, report: bool) -> None:
    source, output = tmp_path / "ct.nrrd", small_disk / "out.nrrd"
    write_volume(source, drawn_ct((20, 96, 96)))
    output.write_text("an old result")
    (small_disk / "ballast").write_bytes(bytes(180_000))
    options = ["--report", str(small_disk / "report")] if report else []
    code = main(["correct", str(source), "-o", str(output), "--overwrite", "--method", "li",
                 *options])  # fmt: skip
    said = capfd.readouterr().err
    assert code == 1, said
    assert "nothing was changed" in said
    assert "Traceback" not in said
    assert output.read_text() == "an old result"
    left = {p.name for p in small_disk.rglob("*")} - {"report"}
    assert left == {"out.nrrd", "ballast"}


def test_output_that_cannot_be_written(small_disk: Path, tmp_path: Path, capfd) -> None:
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    (small_disk / "out.nrrd").write_text("an old result")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code = main(["correct", str(tmp_path / "ct.nrrd"), "-o", str(small_disk / "out.nrrd"),
                 "--overwrite"])  # fmt: skip
    said = capfd.readouterr().err
    assert code == 2, said
    assert "There is no permission to write" in said
    assert (small_disk / "out.nrrd").read_text() == "an old result"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_flush_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch, code: int) -> None:
    """A full disk may show only when the system writes its buffers."""
    target = tmp_path / "result.txt"
    target.write_text("old")

    def fsync(_number: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FaultError, match="could not be written"), atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def _holder(output: Path) -> subprocess.Popen[str]:
    script = (
        "import sys\nfrom spinemar.base.file_locks import output_lock\n"
        f"with output_lock({str(output)!r}):\n    print('mine', flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


def test_two_runs_on_one_output(refused, tmp_path: Path) -> None:
    """The second is told; when the first is killed, its claim ends with it."""
    output = tmp_path / "out.nrrd"
    write_volume(tmp_path / "ct.nrrd", drawn_ct())
    first = _holder(output)
    arguments = ["correct", str(tmp_path / "ct.nrrd"), "-o", str(output), "--method", "li"]
    try:
        assert "Another run is writing" in refused(*arguments)
    finally:
        first.send_signal(signal.SIGKILL if POSIX else signal.SIGTERM)
        first.wait()
    assert main(arguments) == 0
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["ct.nrrd", "out.json", "out.nrrd"]
    assert read_volume(output).hu.shape == (5, 64, 64)


def test_claims_of_other_outputs_do_not_matter(tmp_path: Path) -> None:
    with output_lock(tmp_path / "a"), output_lock(tmp_path / "b"):
        with pytest.raises(InputError, match="Another run"), output_lock(tmp_path / "a"):
            raise AssertionError("claimed twice")
        with output_lock(tmp_path / "c"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_volume_and_facts_appear_together_or_not_at_all(
    scan_file: Path, tmp_path: Path, monkeypatch, capfd
) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out.nrrd"))

    monkeypatch.setattr("spinemar.io.write_volume", full)
    assert (
        main(["correct", str(scan_file), "-o", str(tmp_path / "out.nrrd"), "--method", "li"]) == 1
    )
    assert "The disk is full" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_temporary_folders_of_the_killed_go_with_the_next_one(tmp_path: Path) -> None:
    """A program that was killed left a patient's voxels; one that runs keeps its own."""
    script = (
        "import os, sys\nfrom spinemar.base.atomic_files import private_folder\n"
        f"folder = private_folder({str(tmp_path)!r})\n(folder / 'voxels.npy').touch()\nos._exit(9)"
    )
    assert run_python(script).returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    mine = private_folder(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
    other = private_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([mine, other])
    if POSIX:
        assert stat.S_IMODE(mine.stat().st_mode) == 0o700
    with pytest.raises(FaultError):
        private_folder(tmp_path / "nowhere")
