"""How wide a screw looks, and the grade that a reader would give it.

A reader looks in a bone window (-500 to 1500 HU): an edge is where a profile across the shaft
passes half way from the tissue beside the screw to the window's white. Where that tissue is white
itself, no edge can be seen. The truth is the screw's nominal outer diameter, as clinical reports
of blooming have it, in slices that its axis runs along; the profile through the share of the
pixels that metal really fills, at one half, is given too (narrower, because of the thread).

What a correction can do is limited: the pixels of the metal mask are put back as they were, so no
screw can look narrower than its mask; only the glow between the mask and the tissue can go. The
mask's own width along each profile is reported beside the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.evaluation.widths import profile_width_mm
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.planning.grades.bone import BoneField
from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scan_collection import ScanCollection, Scanned
from spinemar_study.scenes.scenes import MIDDLE, Scene
from spinemar_study.statistics import bootstrap
from spinemar_study.study_settings import CollectionSettings

_BONE_WINDOW_HU = (-500.0, 1500.0)
_REACH_MM = 14.0
_STEP_MM = 0.1
_STATION_MM = 1.0
# The tulip hides the shaft near its entry; the tip is tapered.
_FROM_ENTRY_MM, _TO_TIP_MM = 6.0, 6.0
_LEAST_STATIONS = 4
# Tissue beside the screw: this far from its true edge.
_BESIDE_MM = (3.0, 6.0)
# The slice shows the whole diameter only where it runs near the axis.
_SHAFT_IN_SLICE = 0.2
_WHITE_HU = 1400.0

Image = NDArray[np.float32]


def _stations(screw: Screw, scene: Scene) -> NDArray[np.float64]:
    """Points (n, 3) on the shaft that lie in the middle slice, RAS mm."""
    geometry = scene.volume.geometry
    axis = shank_axis(screw)
    along = np.arange(_FROM_ENTRY_MM, screw.length_mm - _TO_TIP_MM + 1e-6, _STATION_MM)
    points = np.asarray(screw.entry) + along[:, None] * axis
    height_mm = (geometry.to_ijk(points)[:, 2] - MIDDLE) * scene.volume.spacing_mm[2]
    kept: NDArray[np.float64] = points[np.abs(height_mm) < _SHAFT_IN_SLICE * screw.diameter_mm]
    return kept


def across(screw: Screw, scene: Scene) -> NDArray[np.float64]:
    """Return the unit vector across the shaft in the slice, RAS (z = 0 for upright slices)."""
    axis = shank_axis(screw)
    normal = np.array([-axis[1], axis[0], 0.0])
    return normal / np.linalg.norm(normal)


def _profiles(
    image: Image, points: NDArray[np.float64], step: NDArray[np.float64], scene: Scene
) -> NDArray[np.float64]:
    count = round(_REACH_MM / _STEP_MM)
    offsets = np.arange(-count, count + 1) * _STEP_MM
    ras = points[:, None] + offsets[:, None] * step
    ijk = scene.volume.geometry.to_ijk(ras)
    sampled = ndimage.map_coordinates(
        image.astype(np.float64), [ijk[..., 1], ijk[..., 0]], order=1, mode="nearest"
    )
    return np.asarray(sampled)


def screw_widths(
    screw: Screw, scene: Scene, scanned: Scanned, images: Mapping[str, Image]
) -> dict[str, float] | None:
    """Median width along the shaft: true, of the mask, and in every image; None if out of slice."""
    points = _stations(screw, scene)
    if len(points) < _LEAST_STATIONS:
        return None
    step = across(screw, scene)
    fraction = _profiles(scanned.fraction, points, step, scene)
    true = np.array([profile_width_mm(p, 0.5, _STEP_MM) for p in fraction])
    usable = (true > 0.5 * screw.diameter_mm) & (true < 1.3 * screw.diameter_mm)
    if int(usable.sum()) < _LEAST_STATIONS:
        return None
    mask = _profiles(scanned.metal[MIDDLE].astype(np.float32), points, step, scene)
    widths = {
        "true": float(np.median(true[usable])),
        "mask": _median([profile_width_mm(p, 0.5, _STEP_MM) for p in mask[usable]]),
    }
    for name, image in images.items():
        rows = np.clip(_profiles(image, points, step, scene), *_BONE_WINDOW_HU)[usable]
        widths[name] = _median([_apparent_mm(row, screw.diameter_mm) for row in rows])
    return widths


def _apparent_mm(row: NDArray[np.float64], diameter_mm: float) -> float:
    """Width at half way from the tissue beside the screw to white; NaN where that is white too."""
    middle = len(row) // 2
    near, far = (round((diameter_mm / 2 + mm) / _STEP_MM) for mm in _BESIDE_MM)
    beside = np.concatenate([row[middle - far : middle - near], row[middle + near : middle + far]])
    level = 0.5 * (float(np.median(beside)) + _BONE_WINDOW_HU[1])
    return float("nan") if level > _WHITE_HU else profile_width_mm(row, level, _STEP_MM)


def _median(values: Sequence[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.median(finite)) if len(finite) >= 0.5 * len(values) else float("nan")


def measure_widths(
    settings: CollectionSettings, methods: Sequence[StudyMethod], work: Path
) -> list[dict[str, Any]]:
    """Measure both screws of every scene; one row for each screw."""
    from spinemar_study.scenes.grades import grade_fields

    collection, rows = ScanCollection(settings, work), []
    fields = {p.name: grade_fields(p) for p in (collection.patient(n) for n in collection.numbers)}
    for scene in collection.scenes():
        scanned = collection.scanned(scene)
        images = {"input": scanned.scan.hu[MIDDLE]}
        images |= {m.name: collection.corrected(scene, m).hu for m in methods}
        for screw in (s for s in scene.plan.screws if s.level == scene.level):
            widths = screw_widths(screw, scene, scanned, images)
            if widths is None:
                continue
            row = {"scene": scene.name, "screw": screw.id, "diameter_mm": screw.diameter_mm}
            row |= {key: scene.facts[key] for key in ("patient", "metal", "scale", "kernel")}
            field = fields[scene.facts["patient"]].get(scene.level)
            letters = {} if field is None else _apparent_grades(screw, widths, field)
            rows.append({**row, "widths_mm": widths, "grades": letters})
    return rows


def _apparent_grades(screw: Screw, widths: Mapping[str, float], field: BoneField) -> dict[str, str]:
    """Gertzbein-Robbins letter of the screw as it is, and as wide as it looks, in the true bone."""
    from spinemar.planning.grades.gertzbein_robbins import assess_screw

    grades = {"true": assess_screw(screw, field).grade.letter}
    for name, width in widths.items():
        if name != "true" and np.isfinite(width):
            wide = dataclasses.replace(screw, diameter_mm=float(np.clip(width, 1.0, 12.0)))
            grades[name] = assess_screw(wide, field).grade.letter
    return grades


def summarise_widths(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Excess width and agreement of grades by method, all screws and by metal and scale."""
    groups: dict[str, Sequence[dict[str, Any]]] = {"all": rows}
    for key in ("metal", "scale"):
        for value in sorted({row[key] for row in rows}):
            groups[value] = [row for row in rows if row[key] == value]
    return {name: _summary(chosen) for name, chosen in groups.items()}


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = [name for name in rows[0]["widths_mm"] if name != "true"]
    scenes = [row["scene"] for row in rows]
    out: dict[str, Any] = {"screws": len(rows), "methods": {}}
    nominal = np.array([row["diameter_mm"] for row in rows])
    out["metal_mm"] = bootstrap([row["widths_mm"]["true"] for row in rows], scenes).to_json()
    out["nominal_mm"] = bootstrap(nominal, scenes).to_json()
    for name in names:
        wide = np.array([row["widths_mm"][name] for row in rows], dtype=float)
        graded = [row for row in rows if name in row["grades"]]
        keys = [row["scene"] for row in graded]
        letters = [(row["grades"][name], row["grades"]["true"]) for row in graded]
        out["methods"][name] = {
            "no_edge": int(np.sum(~np.isfinite(wide))),
            "excess_percent": bootstrap(100 * (wide / nominal - 1), scenes).to_json(),
            "excess_mm": bootstrap(wide - nominal, scenes).to_json(),
            "same_grade": bootstrap([float(a == b) for a, b in letters], keys).to_json(),
            "graded_worse": bootstrap([float(a > b) for a, b in letters], keys).to_json(),
        }
    return out
