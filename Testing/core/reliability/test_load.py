"""More work than usual: queues, tall volumes, and the same case again and again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from spinemar.io import read_volume, write_volume
from spinemar.jobs.batches.batch import correct_batch
from spinemar.mar.settings import CorrectionSettings
from spinemar.volume import CTVolume
from Testing.core.reliability.conftest import drawn_ct


def test_twenty_corrections_queued(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for n in range(20):
        write_volume(study / f"case{n:02d}.nrrd", drawn_ct((3, 64, 64)))
    (study / "case07.nrrd").write_text("NRRD0004\nbroken")
    rows = correct_batch([study], tmp_path / "out", CorrectionSettings(method="li"))
    assert [row.status for row in rows] == ["done"] * 7 + ["failed"] + ["done"] * 12
    with (tmp_path / "out" / "summary.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 20
    results = [read_volume(p).hu for p in sorted((tmp_path / "out").glob("*.nrrd"))]
    assert len(results) == 19
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    hidden = [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]
    assert hidden == []


@pytest.mark.parametrize("slices", [1000, 2000])
def test_tall_volumes(tmp_path: Path, slices: int) -> None:
    """Metal in three of very many slices; nothing else is touched."""
    from spinemar.mar.correct import correct_volume

    metal = drawn_ct((1, 64, 64))
    hu = np.broadcast_to(np.where(metal.hu[0] > 1000, 40, metal.hu[0]), (slices, 64, 64)).copy()
    middle = slices // 2
    hu[middle : middle + 3] = metal.hu
    volume = CTVolume(hu, metal.ijk_to_ras)
    write_volume(tmp_path / "tall.nrrd", volume)
    result = correct_volume(read_volume(tmp_path / "tall.nrrd"), method="li")
    chosen = [middle, middle + 1, middle + 2]
    assert [one.index for one in result.slices] == chosen
    rest = np.delete(np.arange(slices), chosen)
    np.testing.assert_array_equal(result.volume.hu[rest], hu[rest])


def test_soak_script_sees_a_leak(tmp_path: Path) -> None:
    """The soak's verdict is no formality: growth is told from flat memory."""
    from Testing.benchmarks.soak import growth_percent, held_bytes

    before = held_bytes()
    kept = bytearray(50_000_000)
    assert 49e6 < held_bytes() - before < 60e6
    del kept
    assert abs(held_bytes() - before) < 5e6

    flat = [500e6 + 1e5 * (n % 7) for n in range(200)]
    leaking = [500e6 + 1e5 * n for n in range(200)]
    assert growth_percent(flat, 100) < 0.1
    assert growth_percent(leaking, 100) > 1.5
    blocks = [20e6 * (n % 8 > 5 or n > 190) for n in range(200)]  # what an allocator holds
    assert abs(growth_percent(np.add(flat, blocks), 100)) < 0.5
    assert growth_percent(np.add(leaking, blocks), 100) > 1.5
    for seed in range(20):
        moments = np.random.default_rng(seed).exponential(25e6, 200)  # held for a moment
        assert abs(growth_percent(np.add(flat, moments), 100)) < 1.0
        assert growth_percent(np.add(leaking, moments), 100) > 1.0
