"""Memory is freed when it is no longer needed, not when Python happens to look for cycles."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.io import write_labels, write_volume
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.methods import shipped_model
from spinemar.volume import LabelVolume
from Testing.core.reliability.conftest import drawn_ct

# A plan of finufft leaves a few numbers of 8 bytes each; an image of 64 x 64 has 16,384.
MOST_BYTES = 8_000


@contextmanager
def cyclic_garbage() -> Iterator[list[object]]:
    """Collect what only cycles keep alive after the block.

    What was there before the block is frozen: a figure that an earlier test's thread lets go of
    while the block runs is not the block's.
    """
    gc.collect()
    gc.disable()
    gc.freeze()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.garbage.clear()
    found: list[object] = []
    try:
        yield found
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()


def array_bytes(garbage: list[object]) -> int:
    """Bytes of the arrays that garbage holds, those of views counted once with their base."""
    arrays: dict[int, np.ndarray] = {}
    for one in gc.get_referents(*garbage) if garbage else []:
        if isinstance(one, np.ndarray):
            owner = _owner(one)
            arrays[id(owner)] = owner
    return sum(array.nbytes for array in arrays.values())


def _owner(array: np.ndarray) -> np.ndarray:
    return _owner(array.base) if isinstance(array.base, np.ndarray) else array


def ours(garbage: list[object]) -> set[str]:
    """Names of our own classes among garbage."""
    return {
        type(one).__qualname__ for one in garbage if type(one).__module__.startswith("spinemar.mar")
    }


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["li", "nmar", "generator"])
def test_a_correction_leaves_no_cycles(method: str, threads: int) -> None:
    if method == "generator" and (shipped_model() is None or threads > 1):
        pytest.skip("needs the shipped model; once is enough")
    volume = drawn_ct()
    correct_volume(volume, method=method, device="cpu", threads=threads)  # what is made once
    with cyclic_garbage() as garbage:
        correct_volume(volume, method=method, device="cpu", threads=threads)
    assert not ours(garbage)
    assert array_bytes(garbage) < MOST_BYTES


def test_the_count_sees_a_cycle() -> None:
    with cyclic_garbage() as garbage:
        loop: list[object] = [np.zeros(1000)]
        loop.append(loop)
        del loop
    assert array_bytes(garbage) == 8000


def test_the_count_leaves_out_what_was_there_before() -> None:
    loop: list[object] = [np.zeros(1000)]
    loop.append(loop)
    with cyclic_garbage() as garbage:
        del loop
    assert array_bytes(garbage) == 0


def _correct(folder: Path) -> list[str]:
    return ["correct", f"{folder}/ct.nrrd", "-o", f"{folder}/out.nrrd", "--overwrite",
            "--method", "li", "--report", f"{folder}/report"]  # fmt: skip


def _evaluate(folder: Path) -> list[str]:
    return ["evaluate", f"{folder}/ct.nrrd", f"{folder}/ct.nrrd"]


def _simulate(folder: Path) -> list[str]:
    return ["simulate", f"{folder}/ct.nrrd", "-o", f"{folder}/scan", "--slices", "2:3",
            "--implants", f"{folder}/metal.nrrd", "--overwrite"]  # fmt: skip


def _batch(folder: Path) -> list[str]:
    (folder / "many" / "ct_corrected.nrrd").unlink(missing_ok=True)
    return ["correct-batch", f"{folder}/ct.nrrd", "-o", f"{folder}/many", "--method", "nmar"]


@pytest.mark.parametrize("command", [_correct, _evaluate, _simulate, _batch])
def test_a_command_leaves_no_volume_in_cycles(
    tmp_path: Path, capfd, command: Callable[[Path], list[str]]
) -> None:
    volume = drawn_ct()
    write_volume(tmp_path / "ct.nrrd", volume)
    metal = LabelVolume((volume.hu > 3000).astype(np.int16), volume.ijk_to_ras)
    write_labels(tmp_path / "metal.nrrd", metal)
    assert main(command(tmp_path)) == 0
    words = command(tmp_path)
    with cyclic_garbage() as garbage:
        assert main(words) == 0
    assert array_bytes(garbage) < 2 * MOST_BYTES
    assert not ours(garbage)
