"""Two models' scores on the judge: paired by case, by metal, and never across other cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("spinemar_study.statistics", reason="the interval is the studies' own")

from spinemar.errors import InputError
from Testing.benchmarks.xcist.__main__ import main
from Testing.benchmarks.xcist.comparing.models import compare

_NAMES = ("rmse_hu", "rmse_near_hu", "rmse_outside_masks_hu", "rmse_near_outside_masks_hu")


def _rows(factor: float, method: str = "generator") -> list[dict[str, object]]:
    return [
        {
            "case": f"{metal}-{n}",
            "screws": metal,
            "scale": "12-bit",
            "method": method,
            "seen": [dict.fromkeys(_NAMES, value * factor)],
        }
        for metal, value in (("316L", 80.0), ("Ti-6Al-4V", 20.0))
        for n in range(2)
    ]


def test_each_case_is_paired_with_itself() -> None:
    lines = compare(_rows(1.0), list(reversed(_rows(0.9))), "generator")
    assert "| all (4) | seen | 50.0 | 45.0 | 0.900 (0.900 to 0.900) | 0.90 |" in lines
    assert any(line.startswith("| 316L (2) | outside masks | 80.0 | 72.0") for line in lines)


def test_other_cases_are_refused() -> None:
    with pytest.raises(InputError, match="other cases"):
        compare(_rows(1.0), _rows(1.0)[:-1], "generator")
    with pytest.raises(InputError, match="nmar"):
        compare(_rows(1.0), _rows(1.0), "nmar")


def test_the_command_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "before.json", tmp_path / "after.json"]
    for path, factor in zip(files, (1.0, 0.8), strict=True):
        path.write_text(json.dumps(_rows(factor)))
    monkeypatch.setattr("sys.argv", ["xcist", "compare", *map(str, files)])
    assert main() == 0
    assert "0.800" in capsys.readouterr().out
    files[1].write_text("{")
    assert main() != 0
    assert "after.json" in capsys.readouterr().err
