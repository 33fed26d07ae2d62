"""Compare endplates of the automatic spine with endplates that were set by hand.

Every CT that has hand-set endplates (`Resources/Landmarks/endplates`) is segmented with one level
named. For each endplate: how far its lean in the lateral projection differs; for each CT: sacral
slope, and the sagittal angle between its uppermost and lowermost plate and over the spans that
have a name (kyphosis, lordosis). Of plates that were read three times the median counts; where
these readings lie more than 6 degrees apart the hand cannot tell the plate, and its angles are
marked. Readings against one another tell how good the hand is.

Prints Markdown tables and writes build/spine/endplates.json.
Run: python Testing/benchmarks/endplate_angles.py [CT ...]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spinemar.demo.sample_data import sample_ct
from spinemar.io import read_volume
from spinemar.spine.labels.levels import level_position
from spinemar.spine.segmentation.segment import segment_spine

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SPINEMAR_CT_DATA") or ROOT.parent / "shared" / "data" / "ct")
LANDMARKS = ROOT / "Resources" / "Landmarks"
ENDPLATES = LANDMARKS / "endplates"
SAMPLE = "lidc_idri_0001"
BUILD = ROOT / "build" / "spine"
#: Spans with a name: upper plate, lower plate.
NAMED = {
    "kyphosis T4-T12": (("T4", "superior"), ("T12", "inferior")),
    "kyphosis T5-T12": (("T5", "superior"), ("T12", "inferior")),
    "lordosis L1-S1": (("L1", "superior"), ("S1", "superior")),
    "lordosis L1-L5": (("L1", "superior"), ("L5", "inferior")),
}
#: Readings of a plate that lie farther apart than this tell nothing, degrees.
TOLD_DEG = 6.0
Leans = dict[tuple[str, str], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="files of hand-set endplates (without .json)")
    names = parser.parse_args().names or sorted(path.stem for path in ENDPLATES.glob("*.json"))
    found = {}
    for name in names:
        path = sample_ct() if name == SAMPLE else DATA / f"{name}.nii.gz"
        if path.exists():
            found[name] = automatic_leans(name, path)
    if not found:
        raise SystemExit(f"None of these CTs is in {DATA}: {', '.join(names)}.")
    BUILD.mkdir(parents=True, exist_ok=True)
    facts = {
        name: {f"{level} {which}": lean for (level, which), lean in leans.items()}
        for name, leans in found.items()
    }
    (BUILD / "endplates.json").write_text(json.dumps(facts, indent=1))
    print_tables(found)
    print_readings(found)


def readings(name: str) -> dict[tuple[str, str], tuple[float, ...]]:
    """Degrees by which each hand-set endplate leans forwards: from its corners, and read again."""
    document = json.loads((ENDPLATES / f"{name}.json").read_text())
    leans = {}
    for vertebra in document["vertebrae"]:
        for which in ("superior", "inferior"):
            if which in vertebra:
                plate = vertebra[which]
                way = np.subtract(plate["anterior_ras"], plate["posterior_ras"])
                first = float(np.degrees(np.arctan2(-way[2], way[1])))
                leans[vertebra["level"], which] = (first, *plate.get("leans_again_deg", ()))
    return leans


def hand_leans(name: str) -> Leans:
    """Degrees by which each hand-set endplate leans forwards: the median of its readings."""
    return {plate: float(np.median(read)) for plate, read in readings(name).items()}


def untold(name: str) -> set[tuple[str, str]]:
    """Plates whose readings lie too far apart."""
    return {plate for plate, read in readings(name).items() if max(read) - min(read) > TOLD_DEG}


def automatic_leans(name: str, path: Path) -> Leans:
    """Degrees by which each endplate of the automatic frames leans forwards."""
    marks = json.loads((LANDMARKS / f"{name}.json").read_text())["vertebrae"]
    seed = marks[len(marks) // 2]
    spine = segment_spine(read_volume(path), seeds={seed["level"]: seed["body_centre_ras"]})
    return {
        (frame.level, which): float(np.degrees(np.arctan2(*plate.normal_ras[1:])))
        for frame in spine.vertebrae
        for which in frame.endplates
        if (plate := frame.endplate(which)) is not None
    }


def spans(hand: Leans) -> dict[str, tuple[tuple[str, str], tuple[str, str]]]:
    """The spans that a CT's hand-set plates have: the longest, and those with a name."""
    order = sorted(hand, key=lambda plate: (level_position(plate[0]), plate[1] == "inferior"))
    longest = (order[0], order[-1])
    text = f"{longest[0][0]} {longest[0][1]} to {longest[1][0]} {longest[1][1]}"
    known = {name: pair for name, pair in NAMED.items() if pair[0] in hand and pair[1] in hand}
    return {text: longest, **known} if longest not in known.values() else known


def print_tables(found: Mapping[str, Leans]) -> None:
    """Print both tables."""
    print("| CT | endplates | off, median / 90 % / worst, degrees | within 3 |\n|---|---|---|---|")
    rows, every = [], []
    for name, own in found.items():
        hand, doubtful = hand_leans(name), untold(name)
        off = np.array([abs(own[plate] - lean) for plate, lean in hand.items() if plate in own])
        every += off.tolist()
        print(_row(name, off, len(hand)))
        for text, (upper, lower) in spans(hand).items():
            if upper in own and lower in own:
                told = "no" if {upper, lower} & doubtful else "yes"
                rows.append((name, text, hand[lower] - hand[upper], own[lower] - own[upper], told))
        if ("S1", "superior") in hand and ("S1", "superior") in own:
            plate = ("S1", "superior")
            told = "no" if plate in doubtful else "yes"
            rows.append((name, "sacral slope", hand[plate], own[plate], told))
    print(_row("all", np.array(every), len(every)))
    print("\n| CT | angle | by hand | automatic | off | the hand can tell |")
    print("|---|---|---|---|---|---|")
    for name, text, by_hand, automatic, told in rows:
        gap = f"{automatic - by_hand:+.1f}"
        print(f"| {name} | {text} | {by_hand:.0f} | {automatic:.0f} | {gap} | {told} |")


def print_readings(found: Mapping[str, Leans]) -> None:
    """Print how far readings, their median and the automatic planes differ, root mean square."""
    print("\n| plates read again | | readings from their median | automatic from the median |")
    print("|---|---|---|---|")
    rows: dict[bool, list[tuple[list[float], float]]] = {True: [], False: []}
    for name, own in found.items():
        for plate, read in readings(name).items():
            if len(read) > 1 and plate in own:
                middle = float(np.median(read))
                gaps = [one - middle for one in read]
                rows[plate not in untold(name)].append((gaps, own[plate] - middle))
    for told, what in ((True, "told"), (False, "cannot be told")):
        if rows[told]:
            spread, off = (
                np.sqrt(np.mean(np.square(part))) for part in zip(*rows[told], strict=True)
            )
            print(f"| {len(rows[told])} | {what} | {spread:.1f} | {off:.1f} |")


def _row(name: str, off: np.ndarray, count: int) -> str:
    spread = f"{np.median(off):.1f} / {np.quantile(off, 0.9):.1f} / {off.max():.1f}"
    share = f"{100 * np.mean(off <= 3.0):.0f} %"
    return f"| {name} | {len(off)} of {count} | {spread} | {share} |"


if __name__ == "__main__":
    main()
