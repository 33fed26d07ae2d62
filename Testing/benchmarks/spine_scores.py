"""Score the automatic spine segmentation against labels and hand-checked landmarks.

Every CT of the developers' data and the sample CT is segmented with one level named (so that
numbering is scored apart), compared with `Resources/Landmarks`, and on the sample CT with the
label map that belongs to it: Dice of each vertebra, distance of the canal's centre in every slice.
A second run without any name says what the automatic numbering makes of it.

Prints Markdown tables; writes build/spine/scores.json and one overlay sheet a CT to look at
(build/spine/*.png; sheets of the developers' data are not to be committed).
Run: python Testing/benchmarks/spine_scores.py [--figure] [CT ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.errors import SpinemarError
from spinemar.io import read_labels, read_volume
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.drawing.sheets import write_overlay_sheet
from spinemar.spine.labels.conventions import to_verse
from spinemar.spine.labels.levels import VERSE_IDS, level_of_id
from spinemar.spine.model import SpineModel
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SPINEMAR_CT_DATA") or ROOT.parent / "shared" / "data" / "ct")
LANDMARKS = ROOT / "Resources" / "Landmarks"
SAMPLE = "lidc_idri_0001"
BUILD = ROOT / "build" / "spine"
FIGURE = ROOT / "Docs" / "images" / "spine" / "sample-sheet.png"
#: The level range that screws are planned in.
PLANNED = ("T9", "T10", "T11", "T12", "L1", "L2", "L3")
SPINAL_CORD = 79


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="landmark files to score (without .json)")
    parser.add_argument("--figure", action="store_true", help="put the sample's sheet into Docs")
    arguments = parser.parse_args()
    names = arguments.names or sorted(path.stem for path in LANDMARKS.glob("*.json"))
    BUILD.mkdir(parents=True, exist_ok=True)
    scores = {}
    for name in names:
        path = sample_ct() if name == SAMPLE else DATA / f"{name}.nii.gz"
        if not path.exists():
            print(f"{name}: not here")
            continue
        scores[name] = score(name, read_volume(path))
        print(name, f"{scores[name]['seconds']:.0f} s", flush=True)
    if arguments.figure and SAMPLE in scores:
        FIGURE.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(BUILD / f"{SAMPLE}.png", FIGURE)
    (BUILD / "scores.json").write_text(json.dumps(scores, indent=1))
    print_tables(scores)


def score(name: str, volume: CTVolume) -> dict[str, Any]:
    """Segment one CT, draw it and compare it with all truth there is."""
    marks = {
        v["level"]: v for v in json.loads((LANDMARKS / f"{name}.json").read_text())["vertebrae"]
    }
    named = list(marks)[len(marks) // 2]
    start, cpu = time.perf_counter(), time.process_time()
    model = segment_spine(volume, seeds={named: marks[named]["body_centre_ras"]})
    result: dict[str, Any] = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "levels": model.levels,
        "numbering": numbering(volume, model),
        "vertebrae": compare(model, marks),
    }
    points = {
        level: {side: p["isthmus_ras"] for side, p in mark["pedicles"].items()}
        for level, mark in marks.items()
    }
    write_overlay_sheet(BUILD / f"{name}.png", volume, model, title=name, landmarks=points)
    if name == SAMPLE:
        truth = read_labels(sample_labels())
        result["dice"] = dice(model.labels, truth)
        result["canal_mm"] = canal_distance(model, truth)
        result["from_labels"] = compare(frames_from_labels(truth, volume), marks)
        result["labels_alone"] = compare(frames_from_labels(truth), marks)
    return result


def numbering(volume: CTVolume, model: SpineModel) -> dict[str, Any]:
    """What the automatic naming says: levels too low by how many, and how sure it is."""
    try:
        alone = segment_spine(volume)
    except SpinemarError as error:
        return {"error": error.problem}
    ours, theirs = (
        {tuple(np.round(f.body_centre_ras)): f.level for f in m.vertebrae} for m in (alone, model)
    )
    steps = [
        list(VERSE_IDS).index(ours[place]) - list(VERSE_IDS).index(theirs[place])
        for place in ours.keys() & theirs.keys()
    ]
    unsure = any("guess" in text for f in alone.vertebrae for text in f.warnings)
    return {"off_by": int(np.median(steps)) if steps else None, "unsure": unsure}


def compare(model: SpineModel, marks: dict[str, Any]) -> dict[str, Any]:
    """Distances (mm) of a model from the landmarks, by level."""
    rows: dict[str, Any] = {}
    for level, mark in marks.items():
        if level not in model.levels:
            rows[level] = None
            continue
        frame = model.vertebra(level)
        row: dict[str, Any] = {
            "body_mm": _distance(frame.body_centre_ras, mark["body_centre_ras"]),
            "confidence": frame.confidence,
        }
        for side, truth in mark["pedicles"].items():
            pedicle = frame.pedicles.get(side)
            row[side] = None
            if pedicle is not None:
                row[side] = {
                    "isthmus_mm": _distance(pedicle.isthmus_ras, truth["isthmus_ras"]),
                    "width_mm": pedicle.width_mm,
                    "true_width_mm": truth.get("width_mm"),
                    "confidence": pedicle.confidence,
                }
        rows[level] = row
    return rows


def _distance(one: Any, two: Any) -> float:
    return float(np.linalg.norm(np.asarray(one) - np.asarray(two)))


def dice(labels: LabelVolume, truth: LabelVolume) -> dict[str, float]:
    """Dice of each level that the truth holds."""
    verse = to_verse(truth).labels
    found: dict[str, float] = {}
    for number in np.unique(verse)[1:]:
        mine, theirs = labels.labels == number, verse == number
        if mine.any():
            overlap = 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum())
            found[level_of_id(int(number)) or str(number)] = float(overlap)
    return found


def canal_distance(model: SpineModel, truth: LabelVolume) -> dict[str, float]:
    """In-slice distance (mm) of the canal from the labelled cord's centre, over all slices."""
    canal = model.canal_ras[np.argsort(model.canal_ras[:, 2])]
    gaps = []
    for k in range(truth.labels.shape[0]):
        j, i = np.nonzero(truth.labels[k] == SPINAL_CORD)
        if len(i) < 10:
            continue
        centre = truth.geometry.to_ras(np.array([i.mean(), j.mean(), k]))
        if canal[0, 2] - 3 <= centre[2] <= canal[-1, 2] + 3:
            mine = [np.interp(centre[2], canal[:, 2], canal[:, axis]) for axis in (0, 1)]
            gaps.append(float(np.hypot(mine[0] - centre[0], mine[1] - centre[1])))
    return {"median": float(np.median(gaps)), "worst": max(gaps), "slices": len(gaps)}


def print_tables(scores: dict[str, Any]) -> None:
    print(
        "\n| CT | numbering alone | vertebrae | pedicles found | isthmus median, worst mm |"
        " within 3 mm | width error mm | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    gathered: list[float] = []
    for name, result in scores.items():
        rows = result["vertebrae"]
        sides = [
            (level, row[s] if row else None)
            for level, row in rows.items()
            for s in ("left", "right")
        ]
        gaps = [p["isthmus_mm"] if p else np.inf for _, p in sides]
        gathered += [gap for gap, (level, _) in zip(gaps, sides, strict=True) if level in PLANNED]
        widths = [
            abs(p["width_mm"] - p["true_width_mm"]) for _, p in sides if p and p["true_width_mm"]
        ]
        number = result["numbering"]
        said = "right" if number.get("off_by") == 0 else f"off by {number.get('off_by')}"
        said += ", unsure" if number.get("unsure") else ""
        print(
            f"| {name} | {said} | {sum(row is not None for row in rows.values())}/{len(rows)} "
            f"| {np.isfinite(gaps).sum()}/{len(gaps)} "
            f"| {np.median(gaps):.1f}, {max(gaps):.1f} | {np.mean(np.array(gaps) <= 3):.0%} "
            f"| {np.median(widths):.1f} | {result['cpu_seconds']:.0f} |"
        )
    gaps_all = np.array(gathered)
    print(
        f"\nT9-L3 of all CTs: {len(gaps_all)} pedicles, found {np.isfinite(gaps_all).mean():.0%}, "
        f"isthmus median {np.median(gaps_all):.2f} mm, within 3 mm {(gaps_all <= 3).mean():.0%}."
    )
    sample = scores.get(SAMPLE)
    if sample:
        levels = list(sample["dice"])
        print("\n| " + " | ".join(levels) + " |\n" + "|---" * len(levels) + "|")
        print("| " + " | ".join(f"{sample['dice'][level]:.2f}" for level in levels) + " |")
        wanted = [sample["dice"][f"T{n}"] for n in range(6, 13)]
        wanted += [sample["dice"][f"L{n}"] for n in range(1, 4)]
        print(f"\nMean T6-L3: {np.mean(wanted):.3f}. Canal: {sample['canal_mm']}")


if __name__ == "__main__":
    main()
