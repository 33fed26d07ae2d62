"""Draw the planner's pictures: the sample CT, segmented and planned without a hand's help.

Run: python scripts/make_plan_figures.py. Needs the sample CT (see `spinemar sample-data`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spinemar.base.atomic_files import atomic_path
from spinemar.demo.sample_data import sample_ct
from spinemar.implants.catalogue import load_catalogue
from spinemar.io import read_volume
from spinemar.planning.constructs.automatic import PlanSettings, plan_with_alternatives
from spinemar.planning.report.reformats import screw_pictures
from spinemar.planning.report.scene import render_views
from spinemar.spine.segmentation.segment import segment_spine

PICTURES = Path(__file__).resolve().parents[1] / "Docs" / "pictures"
LEVELS = "T10-L1"
SHOWN = ("T10-left", "T11-right", "L1-left")


def main() -> None:
    """Segment, plan, draw."""
    volume = read_volume(sample_ct())
    spine = segment_spine(volume)
    catalogue = load_catalogue()
    made = plan_with_alternatives(
        spine, volume, LEVELS, catalogue, PlanSettings(with_crosslink=True)
    )
    views = render_views(spine, made.plan, catalogue, ("behind", "left"), size=(560, 720))
    save("plan-construct.png", np.concatenate(list(views.values()), axis=1))
    rows = []
    for name in SHOWN:
        screw = made.plan.screw(name)
        pictures = screw_pictures(screw, volume, made.fields[screw.level], made.plan.screws)
        rows.append(np.concatenate([p.pixels for p in pictures], axis=1))
    save("plan-screws.jpg", np.concatenate(rows, axis=0))
    for screw in made.plan.screws:
        grade = "not graded" if screw.grade is None else screw.grade.letter
        print(f"{screw.id}: {screw.diameter_mm:g} x {screw.length_mm:g} mm, {grade}")


def save(name: str, pixels: NDArray[np.uint8]) -> None:
    """Write a picture; the ending says the format."""
    with atomic_path(PICTURES / name) as temporary:
        Image.fromarray(pixels).save(temporary, optimize=True, quality=88)


if __name__ == "__main__":
    main()
