"""`spinemar correct` on DICOM folders: which series, and what is no acquired series."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spinemar.io import read_volume
from Testing.core.io.dicom_companions import ALL, write_companion

C, S = np.cos(np.radians(10)), np.sin(np.radians(10))


def test_the_series_is_asked_for_and_taken(write_series, tmp_path: Path, spinemar) -> None:
    write_series(series="1.1", SeriesNumber=4)
    folder = write_series(series="1.2", SeriesNumber=7, prefix="b", RescaleIntercept=-1000)
    for what in ALL:
        write_companion(folder, what)
    output = tmp_path / "out.nrrd"
    asked = spinemar("correct", folder, "-o", output, "--method", "li")
    assert asked.code == 2
    assert "mixes 2 CT series (4: 5 slices" in asked.err
    assert "--series NUMBER" in asked.err
    assert not output.exists()
    done = spinemar("correct", folder, "-o", output, "--method", "li", "--series", "7")
    assert done.code == 0
    np.testing.assert_array_equal(read_volume(output).hu, read_volume(folder / "b001.dcm").hu)
    wrong = spinemar("correct", folder, "-o", output, "--overwrite", "--series", "5", "--json")
    assert wrong.code == 2
    assert "no CT series 5; it has 4: " in json.loads(wrong.out)["problem"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "image type is DERIVED"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]}, "image type is DERIVED"),
        (
            {"orientation": (1, 0, 0, 0, 0, -1), "positions": [(0, 3.0 * k, 0) for k in range(5)]},
            "sagittal or coronal",
        ),
        (
            {"orientation": (1, 0, 0, 0, C, S),
             "positions": [(0, -2.5 * k * S, 2.5 * k * C) for k in range(5)]},
            "oblique (10 degrees)",
        ),
    ],
)  # fmt: skip
def test_reformatted_series_need_an_explicit_word(
    write_series,
    tmp_path: Path,
    spinemar,
    changes,
    why: str,
) -> None:
    folder, output = write_series(**changes), tmp_path / "out.nrrd"
    refused = spinemar("correct", folder, "-o", output, "--method", "li")
    assert refused.code == 2
    assert "The series is a reformatted one: " in refused.err
    assert why in refused.err
    assert "--allow-reformatted" in refused.err
    assert not output.exists()
    command = ("correct", folder, "-o", output, "--method", "li", "--allow-reformatted")
    assert spinemar(*command).code == 0
    np.testing.assert_array_equal(read_volume(output).hu, read_volume(folder).hu)


def test_a_tilted_gantry_is_no_reformat(write_series, tmp_path: Path, spinemar) -> None:
    folder = write_series(orientation=(1, 0, 0, 0, C, S))
    assert spinemar("correct", folder, "-o", tmp_path / "o.nrrd", "--method", "li").code == 0
