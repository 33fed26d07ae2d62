"""Bad input through the command line: what it says, what it returns, and that nothing changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spinemar.cli.main import main
from spinemar.io import write_volume
from spinemar.volume import CTVolume
from Testing.core.io.conftest import write_series  # noqa: F401 - a fixture

PACKED = Path(__file__).with_name("packed")
ROOT = Path(__file__).resolve().parents[3]


def drawn_ct(shape: tuple[int, int, int] = (5, 64, 64), mm: float = 5.0) -> CTVolume:
    """Return a body with two screws in all but the outer slices, and a streak between them."""
    rows, columns = shape[1:]
    y, x = np.mgrid[:rows, :columns] - np.array([rows, columns]).reshape(2, 1, 1) / 2.0
    y, x = y * mm * 64 / rows, x * mm * 64 / columns
    hu = np.full(shape, -1000.0, np.float32)
    body = (x / 140) ** 2 + (y / 100) ** 2 < 1
    hu[:, body] = 40
    inner = slice(1, -1) if shape[0] > 2 else slice(None)
    hu[inner, (np.abs(y - 25) < 8) & (np.abs(x) < 100) & body] -= 300
    for side in (-35, 35):
        hu[inner, np.hypot(x - side, y - 25) < 12] = 3071
    noise = np.random.default_rng(3).normal(0, 8, (rows, columns)).astype(np.float32)
    affine = np.diag([-mm * 64 / columns, -mm * 64 / rows, 2.0, 1.0])
    return CTVolume(np.clip(np.rint(hu + noise), -1024, 3071).astype(np.float32), affine)


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan with metal on disk; not to be changed."""
    path = tmp_path_factory.mktemp("scan") / "scan.nrrd"
    write_volume(path, drawn_ct())
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder, hidden files as well."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run a command that must be refused: code 2, one sentence, every file as before."""

    def run(*arguments: object, folder: Path = tmp_path) -> str:
        before = snapshot(folder)
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        said = capfd.readouterr()
        assert code == 2, said.err
        assert "Traceback" not in said.out + said.err
        # MetaIO puts a line of its own before ours; the other libraries are kept quiet.
        told = said.err[said.err.index("Error: ") :]
        assert len(told.splitlines()) == 2, said.err
        assert len(told) < 3000
        assert snapshot(folder) == before
        return told

    return run


@pytest.fixture
def not_corrected(refused: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """Have `spinemar correct` refuse a source, with an old result in the way."""

    def run(source: Path, *options: object) -> str:
        output = tmp_path / "out.nrrd"
        output.write_text("an old result")
        said = refused("correct", source, "-o", output, "--overwrite", *options)
        assert output.read_text() == "an old result"
        return said

    return run


def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT, check=False,
    )  # fmt: skip
