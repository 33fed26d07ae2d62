"""Wrong labels beside a CT: every one has to be noticed, and none may give a grade A.

Our own segmentation of each CT, named by its hand-set landmarks, is spoilt in a known way: moved,
mirrored, made fat or thin, cut, without pedicles, of another patient (moved onto the same
vertebra), or its whole column named rightly or a level off. One vertebra between its neighbours is
planned on them, as `spinemar plan --labels` does. Prints a Markdown table: what both screws are
graded, what the same screws are in the right labels, and what is said. Then right labels of every
CT with landmarks from T9 to L3, ours and TotalSegmentator's of the sample CT: the pedicles that
are not graded on them, and what is said of their vertebrae.
Run: python Testing/benchmarks/wrong_labels.py [CT ...] [--right]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from plan_accuracy import DATA, LEVELS, ROOT, SAMPLE, SPLIT, match, segmented
from scipy import ndimage

from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.io import read_labels, read_volume
from spinemar.planning.constructs.automatic import PlanSettings, plan_construct
from spinemar.planning.grades.bone import BoneField, bone_field
from spinemar.planning.grades.gertzbein_robbins import assess_screw
from spinemar.planning.report.wording import letter_of
from spinemar.planning.trajectories.sites import PedicleSite, sites_from_landmarks
from spinemar.spine.anatomy.agreement.level_evidence import with_level_evidence
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.editing import shift_levels
from spinemar.spine.labels.levels import VERSE_IDS, level_position, level_range, shift_level
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume, LabelVolume

#: The CT, the vertebra that is planned, and whose labels are put there as another patient's.
CASES = {
    "lidc0314_lower": ("T10", "crlm_1006"),
    "crlm_1004": ("T12", "acrin_flt_breast_001_abd"),
    "crlm_1006": ("L1", "crlm_1004"),
    "acrin_flt_breast_001_abd": ("L2", "crlm_1006"),
}
ROOM_MM = 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", nargs="*", default=list(CASES))
    parser.add_argument("--right", action="store_true", help="right labels alone")
    arguments = parser.parse_args()
    if not arguments.right:
        spoil(arguments.ct)
    print("\n| right labels | pedicles | graded | not graded, doubts |\n|---|---|---|---|")
    for name in SPLIT:
        print(f"| {name} | {on_right(name, named(name).labels)} |", flush=True)
    print(f"| {SAMPLE}, TotalSegmentator | {on_right(SAMPLE, read_labels(sample_labels()))} |")


def spoil(names: list[str]) -> None:
    """Print the table of spoilt labels."""
    print("| CT, level | labels | grades | in truth | said |\n|---|---|---|---|---|")
    for name in names:
        level, other = CASES[name]
        volume, spine = ct_of(name), named(name)
        stranger = named(other).labels
        truth = bone_field(spine.labels, spine.vertebra(level))
        ct, labels = cropped(volume, spine.labels, level)
        for what, wrong in spoilt(labels, stranger, spine.vertebra(level)):
            told = judged(wrong, ct, level, truth)
            print(f"| {name}, {level} | {what} | {told} |", flush=True)
        for step in (-1, 0, 1):
            said = with_level_evidence(shift_levels(without_sacrum(spine), step), volume)
            told = planned_on(said, volume, shift_level(level, step), truth)
            print(f"| {name}, {level} | named {step:+d} | {told} |", flush=True)


def ct_of(name: str) -> CTVolume:
    """Read a CT of the developers' data."""
    return read_volume(sample_ct() if name == SAMPLE else DATA / f"{name}.nii.gz")


def sites_of(name: str) -> tuple[PedicleSite, ...]:
    """Read the hand-set pedicles of a CT."""
    return sites_from_landmarks(
        json.loads((ROOT / "Resources" / "Landmarks" / f"{name}.json").read_text())
    )


def on_right(name: str, labels: LabelVolume) -> str:
    """Plan what landmarks show of T9 to L3 on right labels: pedicles, graded, and what is said."""
    ct = ct_of(name)
    spine = frames_from_labels(labels, ct)
    sites = [s for s in sites_of(name) if s.level in level_range(LEVELS)]
    levels = list(dict.fromkeys(site.level for site in sites))
    settings = PlanSettings(with_rods=False, alternatives=1)
    screws = plan_construct(spine, ct, levels, load_catalogue(), settings).screws if levels else ()
    graded = {(s.level, s.side) for s in screws if s.grade is not None}
    missing = [f"{s.level} {s.side}" for s in sites if (s.level, s.side) not in graded]
    said = list(missing)
    for frame in (spine.vertebra(level) for level in levels):
        doubts = frame.agreement.doubts if frame.agreement else ()
        said += [f"{frame.level}: {doubt}" for doubt in doubts]
    return f"{len(sites)} | {len(sites) - len(missing)} | {'; '.join(said) or '-'}"


def named(name: str) -> SpineModel:
    """Segment a CT, or read what was, and name it by its landmarks."""
    spine = segmented(name, ct_of(name))
    site = sites_of(name)[0]
    steps = level_position(site.level) - level_position(match(site, spine))
    return shift_levels(spine, int(steps)) if steps else spine


def without_sacrum(spine: SpineModel) -> SpineModel:
    """Leave the sacrum and L5 out, which have no name one level further down."""
    kept = ~np.isin(spine.labels.labels, [VERSE_IDS["S1"], VERSE_IDS["L5"]])
    labels = LabelVolume(np.where(kept, spine.labels.labels, 0), spine.labels.ijk_to_ras)
    frames = tuple(f for f in spine.vertebrae if f.level not in ("L5", "S1"))
    return replace(spine, labels=labels, vertebrae=frames)


def cropped(volume: CTVolume, labels: LabelVolume, level: str) -> tuple[CTVolume, LabelVolume]:
    """Cut CT and labels to a vertebra and its neighbours."""
    wanted = [VERSE_IDS[shift_level(level, step)] for step in (-1, 0, 1)]
    inside = np.isin(labels.labels, wanted)
    room = [round(ROOM_MM / s) for s in labels.geometry.spacing_mm[::-1]]
    box = tuple(
        slice(max(edge.start - r, 0), edge.stop + r)
        for edge, r in zip(ndimage.find_objects(inside.astype(np.uint8))[0], room, strict=True)
    )
    matrix = labels.ijk_to_ras.copy()
    matrix[:3, 3] = labels.geometry.to_ras(np.array([edge.start for edge in box[::-1]], float))
    names = {VERSE_IDS[shift_level(level, step)]: shift_level(level, step) for step in (-1, 0, 1)}
    kept = np.where(inside, labels.labels, 0)[box]
    return CTVolume(volume.hu[box], matrix), LabelVolume(kept, matrix, names)


def spoilt(
    labels: LabelVolume, stranger: LabelVolume, frame: VertebraFrame
) -> Iterator[tuple[str, LabelVolume]]:
    """Yield what was done to labels, and the result."""
    level = frame.level
    yield "right", labels
    yield "another patient's", onto(stranger, labels, level)
    for mm in (3.0, 5.0, 10.0):
        for axis, way in enumerate(("right", "forwards", "up")):
            yield f"{mm:g} mm {way}", moved(labels, mm * np.eye(3)[axis])
    yield "mirrored", replace(labels, labels=np.ascontiguousarray(labels.labels[:, :, ::-1]))
    for mm in (1.0, 1.5, 2.0):
        yield f"{mm:g} mm too fat", fat(labels, mm)
    for mm in (1.0, 1.5):
        yield f"{mm:g} mm too thin", thin(labels, mm)
    own, local = labels.labels == VERSE_IDS[level], _local(labels, frame)
    yield "lower half cut off", without(labels, own & (local[..., 2] < 0))
    behind = (frame.canal_centre_ras - frame.body_centre_ras) @ frame.anterior
    yield "no pedicles", without(labels, own & (np.abs(local[..., 1] - behind) < 12))


def _local(labels: LabelVolume, frame: VertebraFrame) -> np.ndarray:
    """Coordinates of all voxels in the vertebra's frame."""
    k, j, i = np.indices(labels.labels.shape)
    return frame.to_local(labels.geometry.to_ras(np.stack([i, j, k], axis=-1)))


def onto(stranger: LabelVolume, labels: LabelVolume, level: str) -> LabelVolume:
    """Move another patient's vertebrae onto those of the same names."""
    number = VERSE_IDS[level]
    gap = _middle(labels, number) - _middle(stranger, number)
    kept = np.isin(stranger.labels, list(labels.names))
    foreign = LabelVolume(np.where(kept, stranger.labels, 0), stranger.ijk_to_ras, labels.names)
    return moved(foreign, gap)


def _middle(labels: LabelVolume, number: int) -> np.ndarray:
    k, j, i = np.nonzero(labels.labels == number)
    return labels.geometry.to_ras(np.array([[i.mean(), j.mean(), k.mean()]]))[0]


def moved(labels: LabelVolume, way: np.ndarray) -> LabelVolume:
    matrix = labels.ijk_to_ras.copy()
    matrix[:3, 3] += way
    return replace(labels, ijk_to_ras=matrix)


def without(labels: LabelVolume, gone: np.ndarray) -> LabelVolume:
    return replace(labels, labels=np.where(gone, 0, labels.labels))


def fat(labels: LabelVolume, mm: float) -> LabelVolume:
    spacing = labels.geometry.spacing_mm[::-1]
    distance, nearest = ndimage.distance_transform_edt(
        labels.labels == 0, sampling=spacing, return_indices=True
    )
    return replace(labels, labels=np.where(distance <= mm, labels.labels[tuple(nearest)], 0))


def thin(labels: LabelVolume, mm: float) -> LabelVolume:
    spacing = labels.geometry.spacing_mm[::-1]
    kept = np.zeros(labels.labels.shape, bool)
    for number in labels.names:
        kept |= ndimage.distance_transform_edt(labels.labels == number, sampling=spacing) > mm
    return without(labels, ~kept)


def judged(labels: LabelVolume, ct: CTVolume, level: str, truth: BoneField) -> str:
    """Plan one vertebra on labels; return grades, those in truth, and what is said."""
    try:
        return planned_on(frames_from_labels(labels, ct), ct, level, truth)
    except InputError as error:
        return f"refused | - | {error.problem}"


def planned_on(spine: SpineModel, ct: CTVolume, level: str, truth: BoneField) -> str:
    """Plan one vertebra of a spine; return grades as shown, those in truth, and what is said."""
    settings = PlanSettings(with_rods=False, alternatives=1)
    plan = plan_construct(spine, ct, [level], load_catalogue(), settings)
    shown = ", ".join(letter_of(screw) for screw in plan.screws) or "no screw"
    real = ", ".join(assess_screw(screw, truth).grade.letter for screw in plan.screws) or "-"
    return f"{shown} | {real} | {' '.join(plan.warnings) or '-'}"


if __name__ == "__main__":
    main()
