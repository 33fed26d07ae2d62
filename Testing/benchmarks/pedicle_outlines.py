"""Where labels draw a pedicle's walls: against widths set by hand and the cortex in the CT.

At every isthmus that was set by hand (`Resources/Landmarks`) the labels' walls are looked for along
the line square to the pedicle, and the places beside them where the CT has fallen half-way from
the cortex to what lies outside of it. On the sample CT the labels that belong to it are measured
too, and screws drawn along its pedicles, misplaced ones among them, are graded in both.

Prints Markdown tables. Run: python Testing/benchmarks/pedicle_outlines.py [CT ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.demo.sample_data import sample_labels
from spinemar.io import read_labels, read_volume
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.planning.trajectories.sites import sites_from_landmarks
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.conventions import to_verse
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume
from Testing.benchmarks.earlier_ct.making.patients import ROOT, SAMPLE, ct_of
from Testing.benchmarks.postop.scans import ScanSpec, drawn_plan

NAMES = ("lidc0314_lower", "acrin_flt_breast_001_abd", "crlm_1004", "crlm_1006", SAMPLE)
_ALONG_MM, _UP_MM = (-1.5, -0.5, 0.5, 1.5), np.linspace(-2.0, 2.0, 9)
_STEP_MM, _REACH_MM = 0.1, 14.0
# The cortex is looked for so far inside of the labels' wall, and what lies beyond so far outside.
_INSIDE_MM, _OUTSIDE_MM = 2.5, 1.5
_DRAWS = 6


@dataclass(frozen=True)
class Walls:
    """One pedicle: widths, and how far the labels lie beyond the cortex, mm."""

    by_hand: float
    by_labels: float
    by_edge: float
    medial: float
    lateral: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="landmark files (without .json)")
    print("| CT | labels | pedicles | width off by, mm | width of the cortex off by, mm | "
          "beyond the cortex medially, mm | laterally, mm |")  # fmt: skip
    print(f"|{'---|' * 7}")
    grades = []
    for name in parser.parse_args().names or NAMES:
        document = json.loads((ROOT / "Resources" / "Landmarks" / f"{name}.json").read_text())
        volume = read_volume(ct_of(name))
        seeds = {v["level"]: np.array(v["body_centre_ras"]) for v in document["vertebrae"]}
        own = segment_spine(volume, seeds=seeds).labels
        print(_row(name, "own", list(walls(own, volume, document))), flush=True)
        if name == SAMPLE:
            given = to_verse(read_labels(sample_labels()))
            print(_row(name, "its own", list(walls(given, volume, document))), flush=True)
            grades = _graded(given, own, document)
    if grades:
        _print_grades(grades)


def walls(
    labels: LabelVolume, volume: CTVolume, document: dict[str, list[dict]]
) -> Iterator[Walls]:
    """Yield the walls of every pedicle with a landmark that the labels hold."""
    spine = frames_from_labels(labels, naming="verse")
    for vertebra in document["vertebrae"]:
        if vertebra["level"] not in spine.levels:
            continue
        field = bone_field(labels, spine.vertebra(vertebra["level"]))
        for side, pedicle in vertebra["pedicles"].items():
            found = [
                one
                for points in _lines(pedicle, side, field)
                if (one := _walls_on(points, field, volume, pedicle["width_mm"])) is not None
            ]
            if found:
                yield min(found, key=lambda one: one.by_edge)


def _lines(pedicle: dict, side: str, field: BoneField) -> Iterator[NDArray[np.float64]]:
    """Yield points (across, up, 3) of four sections through an isthmus, from medial to lateral."""
    isthmus = np.array(pedicle["isthmus_ras"])
    axis = isthmus - np.array(pedicle["entry_ras"])
    axis /= np.linalg.norm(axis)
    up = field.frame.superior - axis * (field.frame.superior @ axis)
    up /= np.linalg.norm(up)
    out = np.cross(axis, up) * (1.0 if side == "right" else -1.0)
    across = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM / 2, _STEP_MM)
    for along in _ALONG_MM:
        yield isthmus + along * axis + across[:, None, None] * out + _UP_MM[:, None] * up


def _walls_on(
    points: NDArray[np.float64], field: BoneField, volume: CTVolume, by_hand: float
) -> Walls | None:
    """Measure one section; None where the labels hold nothing at the landmark."""
    distance = field.distance_mm(points).mean(axis=1)
    index = np.moveaxis(volume.geometry.to_ijk(points)[..., ::-1], -1, 0)
    hu = ndimage.map_coordinates(volume.hu, index, order=1, mode="nearest").mean(axis=1)
    middle = len(distance) // 2
    near = slice(middle - 15, middle + 16)
    if not (distance[near] < 0).any():
        return None
    deepest = near.start + int(np.argmin(distance[near]))
    outside = np.flatnonzero(distance >= 0)
    low = outside[outside < deepest].max(initial=0)
    high = outside[outside > deepest].min(initial=len(distance) - 1)
    beyond = [
        wall_beyond_cortex(hu[::step], n, _STEP_MM)
        for step, n in ((-1, len(hu) - 1 - int(low)), (1, int(high)))
    ]
    width = (high - low) * _STEP_MM
    return Walls(by_hand, width, width - sum(beyond), beyond[0], beyond[1])


def wall_beyond_cortex(hu: NDArray[np.floating], wall: int, step_mm: float) -> float:
    """Return how far a wall lies outside of its cortex, mm; negative within.

    Parameters
    ----------
    hu : ndarray
        Along a line that leaves the bone.
    wall : int
        Where the labels have the wall.
    step_mm : float
        Of the line.
    """
    inside, outside = round(_INSIDE_MM / step_mm), round(_OUTSIDE_MM / step_mm)
    first = max(wall - inside, 0)
    seen = hu[first : wall + outside + 1]
    peak = int(np.argmax(seen[: wall - first + round(0.5 / step_mm)]))
    falling = seen[peak:]
    half = (falling[0] + falling.min()) / 2
    return float((wall - first - peak - int(np.argmax(falling < half))) * step_mm)


def _graded(given: LabelVolume, own: LabelVolume, document: dict) -> list[tuple[str, str, float]]:
    """Letters of drawn screws in given and in our own labels, and by how much breaches differ."""
    fields = []
    for labels in (given, own):
        spine = frames_from_labels(labels, naming="verse")
        fields.append({v.level: bone_field(labels, v) for v in spine.vertebrae})
    found = []
    for draw in range(_DRAWS):
        spec = ScanSpec(SAMPLE, 0, "titanium", draw)
        plan = drawn_plan(spec, sites_from_landmarks(document), np.random.default_rng(100 + draw))
        for screw in plan.screws:
            if all(screw.level in known for known in fields):
                one, two = (assess_screw(screw, known[screw.level]).grade for known in fields)
                found.append((one.letter, two.letter, one.margin_mm - two.margin_mm))
    return found


def _row(name: str, whose: str, found: list[Walls]) -> str:
    off = np.array([[w.by_labels - w.by_hand, w.by_edge - w.by_hand, w.medial, w.lateral]
                    for w in found])  # fmt: skip
    numbers = " | ".join(f"{value:+.2f}" for value in np.median(off, axis=0))
    return f"| {name} | {whose} | {len(found)} | {numbers} |"


def _print_grades(grades: list[tuple[str, str, float]]) -> None:
    off = np.array([one[2] for one in grades])
    exact = np.mean([one == two for one, two, _ in grades])
    print(f"\n{len(grades)} screws of the sample CT: breach off by {off.mean():+.2f} mm, median "
          f"{np.median(off):+.2f}, standard deviation {off.std():.2f}; {100 * exact:.0f} % of "
          "letters are those of the labels that belong to it.\n")  # fmt: skip
    print("| | A | B | C | D | E |\n|---|---|---|---|---|---|")
    for true in "ABCDE":
        counts = [sum(one == true and two == said for one, two, _ in grades) for said in "ABCDE"]
        print(f"| {true} | {' | '.join(map(str, counts))} |")


if __name__ == "__main__":
    main()
