"""Figures over pairs against hand-made rows, and the page that they fill."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from spinemar.errors import InputError
from Testing.benchmarks.earlier_ct.scoring.page import fill_page, tables, write_result
from Testing.benchmarks.earlier_ct.scoring.summary import summarise


def picture(rmse: float, kept: float, ghost: float) -> dict:
    return {
        "rmse_hu": rmse,
        "rmse_near_hu": 3 * rmse,
        "rmse_near_faint_out_hu": 2 * rmse,
        "rmse_outside_masks_hu": rmse,
        "rmse_near_outside_masks_hu": rmse,
        "cortical_bias_hu": -rmse,
        "bone_dice_near": 0.9,
        "findings": [
            {"kind": "island", "new": False, "kept": kept, "distance_mm": 9.0},
            {"kind": "gas", "new": True, "kept": kept / 2, "distance_mm": 9.0},
        ],
        "ghosts": [
            {"from_mm": 2.0, "to_mm": 5.0, "part": 9.0, "whole": 10.0},
            {"from_mm": 5.0, "to_mm": 10.0, "part": 10 * ghost, "whole": 10.0},
            {"from_mm": 10.0, "to_mm": 20.0, "part": 0.0, "whole": 10.0},
        ],
    }


def row(name: str, scanner: str, metal: str, with_hu: float) -> dict:
    return {
        "name": name,
        "scanner": scanner,
        "metal": metal,
        "split": "validation",
        "pictures": {
            "scan": picture(100.0, 0.9, 0.0),
            "without": picture(40.0, 0.5, 0.1),
            "with": picture(with_hu, 0.8, 0.3),
        },
        "seconds": {"without": 30.0, "with": 80.0},
        "registration": {"mean_mm": 0.5, "p95_mm": 1.2, "within_1_5_mm": 0.97},
    }


@pytest.fixture
def rows() -> list[dict]:
    return [
        row("a", "own", "316L", 20.0),
        row("b", "own", "Ti-6Al-4V", 30.0),
        row("c", "own", "316L", 44.0),
        row("d", "xcist", "CoCrMo", 10.0),
    ]


def test_ratios_are_means_over_the_pairs_of_a_scanner_and_metal(rows) -> None:
    figures = summarise(rows)
    assert figures["own"]["ratio_rmse_hu"]["mean"] == pytest.approx((0.5 + 0.75 + 1.1) / 3)
    assert figures["own, 316L"]["ratio_rmse_near_hu"]["mean"] == pytest.approx(0.8)
    assert figures["xcist"]["ratio_rmse_hu"]["mean"] == pytest.approx(0.25)
    assert figures["own"]["pairs"] == 3
    assert (figures["own"]["worse"], figures["xcist"]["worse"]) == (1, 0)
    assert figures["own"]["worst_ratio"] == pytest.approx(1.1)
    assert figures["own"]["seconds_more"] == pytest.approx(50.0)


def test_findings_and_ghosts_are_told_apart(rows) -> None:
    figures = summarise(rows)["own"]
    assert figures["findings"]["with"]["old"]["mean"] == pytest.approx(0.8)
    assert figures["findings"]["with"]["new"]["mean"] == pytest.approx(0.4)
    assert figures["findings"]["without"]["gas"]["mean"] == pytest.approx(0.25)
    assert figures["ghosts"]["with"]["beyond 5 mm"]["mean"] == pytest.approx(0.15)
    assert figures["ghosts"]["with"]["2-5 mm"]["mean"] == pytest.approx(0.9)


def test_a_refused_pair_counts_as_left_as_it_was(rows) -> None:
    refused = copy.deepcopy(rows[0])
    del refused["pictures"]["with"], refused["seconds"]["with"], refused["registration"]
    refused["refused"] = "Another patient."
    figures = summarise([refused, rows[1]])["own"]
    assert figures["ratio_rmse_hu"]["mean"] == pytest.approx((1 + 0.75) / 2)
    assert figures["refused"] == 1
    assert figures["registration"]["mean_mm"]["cases"] == 1
    alone = summarise([refused])["own"]
    assert "1 |" in "\n".join(tables({"summary": {"own": alone}}))


def test_the_page_is_filled_between_its_marks_and_again(rows, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- pairs -->\nold\n<!-- end -->\nafter\n", "utf-8")
    document = {
        "summary": summarise(rows),
        "refusals": [{"refused": True}, {"refused": False}],
        "rows": rows,
    }
    fill_page(document, page)
    once = page.read_text("utf-8")
    fill_page(document, page)
    assert page.read_text("utf-8") == once
    assert once.startswith("before\n<!-- pairs -->\n\n|")
    assert once.endswith("<!-- end -->\nafter\n")
    assert "old" not in once.replace("old findings", "")
    assert "1 of 2 refused" in once
    write_result(document, tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text("utf-8"))["summary"]["own"]["pairs"] == 3


def test_a_page_without_a_place_is_refused(rows, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", "utf-8")
    with pytest.raises(InputError, match="place"):
        fill_page({"summary": summarise(rows)}, page)
