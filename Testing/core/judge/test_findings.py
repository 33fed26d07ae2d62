"""Findings on the judge: what an arm keeps, erases or invents is told, and a long run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.comparing.rows import KeptRows
from Testing.benchmarks.xcist.constructs import CONSTRUCTS
from Testing.benchmarks.xcist.score import Picture

findings = pytest.importorskip("Testing.benchmarks.xcist.comparing.findings")
scans = pytest.importorskip("Testing.benchmarks.xcist.comparing.finding_scans")
collection = pytest.importorskip("spinemar_study.scenes.scan_collection")

SIZE = 96
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def _volume(image: np.ndarray) -> CTVolume:
    return CTVolume(np.repeat(image[None].astype(np.float32), 3, axis=0), AFFINE)


def _case() -> object:
    """A body with a rod, streaks over everything, and a gap of -100 HU that lies 3 mm beside it."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    body = np.where(np.hypot(y, x) < 40, 200.0, -1000.0)
    rod = np.hypot(y, x) < 3
    share = ((np.abs(x) < 6) & (y > 5) & (y < 9)).astype(np.float32)
    streaks = np.where(body > 0, 80.0 * np.sin(x / 3.0), 0.0)

    def scanned(truth: np.ndarray, shares: dict[str, np.ndarray]) -> object:
        scan = np.where(rod, 3071.0, truth + streaks)
        metal = np.repeat(rod[None], 3, axis=0)
        facts = {kind: {} for kind in shares}
        return collection.Scanned(_volume(scan), _volume(truth), metal, rod * 1.0, shares, facts)

    with_gap = body - 100.0 * share
    return findings.FindingCase(
        "a", "Ti-6Al-4V", scanned(body, {}), (scanned(with_gap, {"gap": share}),)
    )


def _rows() -> list[dict]:
    case = _case()
    truths = {one.scan.hu.tobytes(): one.truth for one in (case.absent, *case.present)}
    makers = {
        "perfect": lambda scan: Picture(truths[scan.hu.tobytes()]),
        "erases": lambda scan: Picture(case.absent.truth),
        "invents": lambda scan: Picture(case.present[0].truth),
    }
    return list(findings.score_findings([case], makers))


def test_what_is_kept_erased_and_invented_is_told() -> None:
    rows = {row["method"]: row for row in _rows()}
    assert rows["perfect"]["kept"] == pytest.approx(1.0)
    assert rows["perfect"]["absent"] == pytest.approx(0.0)
    assert rows["erases"]["kept"] == pytest.approx(0.0)
    assert rows["invents"]["kept"] == pytest.approx(0.0)
    assert rows["invents"]["absent"] == pytest.approx(1.0)  # a gap where there is none
    assert rows[findings.INPUT]["kept"] == pytest.approx(1.0, abs=0.01)


def test_the_table_counts_erased_findings_and_false_positives() -> None:
    lines = {line.split(" | ")[1]: line for line in findings.table(_rows())[2:]}
    assert lines["perfect"].endswith("| 1.00 (1.00 to 1.00) | 0 % | 0 % |")
    assert lines["erases"].endswith("| 100 % | 0 % |")
    assert lines["invents"].endswith("| 100 % | 100 % |")


def test_arms_that_are_known_are_not_run_again() -> None:
    def never(scan: CTVolume) -> Picture:
        raise AssertionError("known, and run again")

    rows = findings.score_findings([_case()], {"known": never}, lambda case, arm: True)
    assert list(rows) == []


def test_findings_need_both_screws_of_a_level() -> None:
    chosen = [one.name for one in CONSTRUCTS if scans.shows_findings(one)]
    assert len([name for name in chosen if name.startswith("ti-")]) == 4
    assert not any("one-side" in name or "rods-l1-l2" in name for name in chosen)
    assert "ti-crosslink-l2-l3" not in chosen


def test_rows_survive_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    kept = KeptRows(path)
    kept.add({"case": "a", "arm": "NMAR", "hu": 1.5})
    with path.open("a") as stream:
        stream.write('{"case": "b", "arm": "NM')
    again = KeptRows(path)
    assert again.rows == [{"case": "a", "arm": "NMAR", "hu": 1.5}]
    assert again.has(case="a", arm="NMAR")
    assert not again.has(case="b", arm="NMAR")
    again.add({"case": "b", "arm": "NMAR", "hu": 2.5})
    assert KeptRows(path).has(case="b", arm="NMAR")
