"""Files that belong together: all old or all new, wherever their writer is killed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinemar.base.atomic_files import atomic_path
from spinemar.base.files.left_over import settle_left_over
from spinemar.base.files.sets import file_set, is_current
from spinemar.cli.main import main
from spinemar.errors import FaultError, InputError
from spinemar.io import read_volume, write_volume
from spinemar.jobs.batches.batch import correct_batch
from spinemar.jobs.batches.sidecar import sidecar_path, write_with_sidecar
from spinemar.mar.correct import correct_volume
from spinemar.mar.settings import CorrectionSettings
from Testing.core.reliability.conftest import drawn_ct

NAMES = ("scan.nrrd", "truth.nrrd", "raw.zarr", "scan.json")
VOLUMES = ["metal.nrrd", "noise_free.nrrd", "scan.nrrd", "truth.nrrd"]
LI = CorrectionSettings("li")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def _write(folder: Path, said: str) -> None:
    """Write a set of files and a folder, with hashes in the last one."""
    with file_set(folder / NAMES[-1]) as files:
        for name in NAMES[:-1]:
            with files.place(folder / name) as temporary:
                if name.endswith(".zarr"):
                    temporary.mkdir()
                inside = temporary / "c" if name.endswith(".zarr") else temporary
                inside.write_text(f"{said} {name}")
        with files.place(folder / NAMES[-1]) as temporary:
            temporary.write_text(json.dumps({"said": said, "sha256": files.sha256()}))


def _said(folder: Path) -> set[str]:
    """Return which run each visible file is of."""
    found = set()
    for name in NAMES[:-1]:
        path = folder / name / "c" if name.endswith(".zarr") else folder / name
        found.add(path.read_text().split()[0] if path.exists() else "none")
    last = folder / NAMES[-1]
    found.add(json.loads(last.read_text())["said"] if last.exists() else "none")
    return found


def _killed_at(count: int, work: Callable[[], None]) -> bool:
    """Run `work` in a child that ends at its `count`-th step on the disk, if it comes so far."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = [count]

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return function(*args, **options)

        return call

    try:
        for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace"), (Path, "write_text")):
            setattr(owner, name, counted(getattr(owner, name)))
        work()
    finally:
        os._exit(0)


@needs_fork
@pytest.mark.parametrize("before", ["old", None])
def test_killed_at_any_step_a_set_is_old_or_new(tmp_path: Path, before: str | None) -> None:
    step, seen = 0, set()
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        if before:
            _write(folder, before)
        came = _killed_at(step, partial(_write, folder, "new"))
        last = folder / NAMES[-1]
        if last.exists():  # it never tells of files that are not there
            told = json.loads(last.read_text())["sha256"]
            assert all(is_current(folder / name, told) for name in told)
        settle_left_over(last)
        seen.add(frozenset(_said(folder)))
        assert [p for p in folder.iterdir() if p.name.startswith(".")] == []
        if not came:
            break
    assert step > 15
    assert seen == {frozenset({before or "none"}), frozenset({"new"})}
    assert _said(folder) == {"new"}


@pytest.mark.parametrize("fails_at", range(4))
def test_a_set_that_cannot_be_put_in_place_leaves_what_was(
    tmp_path: Path, monkeypatch, fails_at: int
) -> None:
    _write(tmp_path, "old")
    real, count = Path.replace, [0]

    def replace(self: Path, other: Path) -> Path:
        if self.parent != tmp_path and Path(other).parent == tmp_path:
            count[0] += 1
            if count[0] == fails_at + 1:
                raise OSError(errno.EIO, "broken", str(other))
        return real(self, other)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises((FaultError, OSError)):
        _write(tmp_path, "new")
    monkeypatch.undo()
    assert _said(tmp_path) == {"old"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(NAMES)


def test_an_error_inside_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    _write(tmp_path, "old")
    (tmp_path / "other").mkdir()
    elsewhere = tmp_path / "other" / "outline"
    with pytest.raises(ValueError, match="stop"), file_set(tmp_path / NAMES[-1]) as files:
        for path in (tmp_path / NAMES[0], elsewhere):
            with files.place(path) as temporary:
                temporary.write_text("new")
        raise ValueError("stop")
    assert _said(tmp_path) == {"old"}
    assert not any((tmp_path / "other").iterdir())


def test_an_interrupt_between_two_renames_does_not_tear_a_set(tmp_path: Path, monkeypatch) -> None:
    _write(tmp_path, "old")
    real, count = Path.replace, [0]

    def replace(self: Path, other: Path) -> Path:
        if Path(other).parent == tmp_path:
            count[0] += 1
            if count[0] == 2:
                raise KeyboardInterrupt
        return real(self, other)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path, "new")
    assert _said(tmp_path) == {"new"}


def test_a_list_of_a_set_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    left = inside / ".scan.00000000-1-abcdef.part"
    left.mkdir(parents=True)
    (left / ".committed").write_text(json.dumps(["../../victim", "/etc/hostname", ".."]))
    (tmp_path / "victim").write_text("precious")
    os.utime(left, (0, 0))
    settle_left_over(inside / "scan.json")
    assert (tmp_path / "victim").read_text() == "precious"


@needs_fork
def test_a_killed_correction_never_leaves_the_facts_of_another(
    scan_file: Path, tmp_path: Path
) -> None:
    """Whichever step the kill hits, facts beside a volume are that volume's, or there are none."""
    from spinemar.jobs.batches.sidecar import read_current_sidecar, read_sidecar

    output = tmp_path / "out.nrrd"
    volume = read_volume(scan_file)
    result = {m: correct_volume(volume, CorrectionSettings(m)) for m in ("li", "nmar")}

    def write(name: str) -> None:
        write_with_sidecar(output, result[name], result[name].facts())

    for step in range(1, 40):
        write("li")
        came = _killed_at(step, partial(write, "nmar"))
        beside = sidecar_path(output)
        if beside.exists():
            assert is_current(output, json.loads(beside.read_text())["sha256"])
        facts = read_current_sidecar(output)
        assert facts is not None
        assert facts == read_sidecar(output)
        method = facts["provenance"]["method"]
        assert np.array_equal(read_volume(output).hu, result[method].volume.hu)
        if not came:
            break
    assert method == "nmar"
    assert step > 8


@pytest.fixture
def batch(scan_file: Path, tmp_path: Path) -> Callable[[], str]:
    """Run a batch of one volume; returns its status."""
    return lambda: correct_batch([scan_file], tmp_path / "out", LI)[0].status


def _truncated(output: Path) -> None:
    output.write_bytes(output.read_bytes()[:-100])


def _replaced(output: Path) -> None:
    write_volume(output, drawn_ct((3, 64, 64)))


def _of_another_method(output: Path) -> None:
    facts = sidecar_path(output).read_text()
    assert main(["correct", str(output.with_name("ct.nrrd")), "-o", str(output), "--method",
                 "nmar", "--overwrite"]) == 0  # fmt: skip
    sidecar_path(output).write_text(facts)


def _without_hash(output: Path) -> None:
    facts = json.loads(sidecar_path(output).read_text())
    del facts["sha256"]
    sidecar_path(output).write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "change", [_truncated, _replaced, _of_another_method, _without_hash, Path.unlink]
)
def test_a_batch_skips_only_what_hashes_prove(
    scan_file: Path, tmp_path: Path, batch: Callable[[], str], change: Callable[[Path], None], capfd
) -> None:
    assert batch() == "done"
    output = tmp_path / "out" / "scan_corrected.nrrd"
    good = output.read_bytes()
    assert batch() == "skipped"
    (tmp_path / "out" / "ct.nrrd").write_bytes(scan_file.read_bytes())
    change(output)
    assert batch() == "done"
    assert output.read_bytes() == good
    assert batch() == "skipped"


def test_a_batch_is_made_again_with_a_model_exported_again(
    scan_file: Path, tmp_path: Path, monkeypatch, batch: Callable[[], str]
) -> None:
    model = tmp_path / "manifest.json"
    monkeypatch.setattr("spinemar.mar.inpainters.methods.shipped_model", lambda: model)
    monkeypatch.setattr(
        "spinemar.mar.inpainters.models.manifest.load_metal_network", lambda _path: None
    )
    model.write_text('{"networks": {"prior": {"sha256": "aa"}}}')
    assert batch() == "done"
    assert batch() == "skipped"
    model.write_text('{"networks": {"prior": {"sha256": "bb"}}}')
    assert batch() == "done"


def test_scan_and_truth_of_two_runs_are_not_scored(refused, spinemar_simulation: Path) -> None:
    folder = spinemar_simulation
    with atomic_path(folder / "truth.nrrd") as temporary:
        write_volume(temporary, drawn_ct())
    said = refused("evaluate", folder / "truth.nrrd", folder / "scan.nrrd", folder=folder)
    assert "truth.nrrd is not the one that scan.json beside it tells of" in said


@pytest.fixture
def spinemar_simulation(tmp_path: Path) -> Path:
    """A simulated scan and its truth."""
    write_volume(tmp_path / "ct.nrrd", drawn_ct((1, 32, 32), mm=10.0))
    folder = tmp_path / "scan"
    assert main(["simulate", str(tmp_path / "ct.nrrd"), "-o", str(folder)]) == 0
    return folder


@needs_fork
def test_a_simulation_is_one_thing(
    spinemar_simulation: Path, tmp_path: Path, monkeypatch, capfd
) -> None:
    """Killed while it writes its five files over another seed's: all old or all new."""
    from spinemar.physics.scanner import simulate_scan

    made: list[Any] = []

    def once(*arguments: Any, **options: Any) -> Any:
        made.append(made[0] if made else simulate_scan(*arguments, **options))
        return replace(made[0], seed=arguments[3])

    monkeypatch.setattr("spinemar.physics.scanner.simulate_scan", once)
    folder, seen = spinemar_simulation, set()

    def again(seed: int) -> None:
        main(["simulate", str(tmp_path / "ct.nrrd"), "-o", str(folder), "--seed", str(seed),
              "--overwrite"])  # fmt: skip

    again(100)
    for step in range(1, 40):
        came = _killed_at(step, partial(again, step))
        last = folder / "scan.json"
        settle_left_over(last)
        facts = json.loads(last.read_text())
        assert sorted(facts["sha256"]) == VOLUMES
        assert all(is_current(folder / name, facts["sha256"]) for name in facts["sha256"])
        seen.add(facts["seed"] == step)
        if not came:
            break
    assert step > 12
    assert seen == {True, False}


def test_a_set_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"), file_set(tmp_path / "none" / "a.json"):
        raise AssertionError("unreachable")
