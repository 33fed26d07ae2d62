"""What a store's pairs show beside the judge's cases: counted from rows, printed, drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from Testing.benchmarks.pair_distribution import Shown, draw, of_store, print_table


@pytest.fixture
def shown(finished):
    return of_store(finished)[0]


def test_rows_say_what_their_pairs_show(finished, shown):
    rows = [json.loads(line) for line in (finished / "pairs.jsonl").read_text().splitlines()]
    assert [one.level for one in shown] == [row["slice_level"] for row in rows]
    assert [one.lost_percent / 100 for one in shown] == pytest.approx(
        [row["lost_ray_share"][1] for row in rows]
    )
    assert {name for one in shown for name in one.metal.split("+")} <= {
        name for row in rows for name in row["materials"]
    }
    drawn_anew = of_store(finished)[1]
    assert sum(drawn_anew.values()) == sum(len(row["drawn_anew"]) for row in rows)


def test_shares_of_both_sides_are_printed_and_drawn(shown, tmp_path, capsys):
    judge = [Shown("L4", "316L", 9.0, 300.0), Shown("L5", "Ti-6Al-4V", 3.0, 90.0)]
    sides = {"pairs": shown, "XCIST judge": judge}
    print_table(sides)
    lines = capsys.readouterr().out.splitlines()
    (of_l4,) = [line for line in lines if line.startswith("L4")]
    assert of_l4.split() == ["L4", "0", "%", "50", "%"]
    median = np.median([one.lost_percent for one in shown])
    (of_median,) = [line for line in lines if line.startswith(" 50 %")][:1]
    assert of_median.split()[2:] == [f"{median:.1f}", "6.0"]
    draw(sides, tmp_path / "both.png")
    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "both.png").convert("RGB")).reshape(-1, 3)
    for colour in ((0x44, 0x77, 0xAA), (0xCC, 0x66, 0x33)):
        assert (np.abs(picture.astype(int) - colour).max(axis=1) < 12).sum() > 500
