"""HU fidelity: bone density in vertebral bodies, and muscle, beside metal.

Discs as a reader would draw them, of 3.5 mm radius, one in the vertebral body and up to two in
muscle on either side, are placed on the truth and never touch the metal mask or the 2 pixels
around it. Truth and scan share their noise, so that a disc's mean differs by the artifact alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scan_collection import ScanCollection, Scanned
from spinemar_study.scenes.scenes import MIDDLE, Scene
from spinemar_study.statistics import bootstrap
from spinemar_study.study_settings import CollectionSettings

_RADIUS_MM = 3.5
_MARGIN_PX = 2
_BODY_REACH_MM = 12.0
_MUSCLE_REACH_MM = (3.0, 40.0)
_MUSCLE_HU = (25.0, 85.0)
_APART_MM = 12.0
_MUSCLE_DISCS = 4

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Disc:
    """A region of interest in the middle slice."""

    tissue: str
    where: NDArray[np.bool_]
    from_metal_mm: float


def place_discs(scene: Scene, scanned: Scanned) -> list[Disc]:
    """Place the discs of a scene, with the truth alone."""
    row_mm, column_mm = scanned.scan.spacing_mm[1], scanned.scan.spacing_mm[0]
    truth, metal = scanned.truth.hu[MIDDLE], scanned.metal[MIDDLE]
    distance = ndimage.distance_transform_edt(~metal, sampling=(row_mm, column_mm))
    clear = distance - _MARGIN_PX * row_mm - _RADIUS_MM  # above 0: a disc fits here
    site = next(iter(scene.sites.values()))
    i, j, _ = scene.volume.geometry.to_ijk(np.asarray(site.body_centre))
    rows, columns = np.indices(truth.shape)
    from_body = np.hypot((rows - j) * row_mm, (columns - i) * column_mm)
    found = []
    inside = np.where((clear > 0) & (from_body < _BODY_REACH_MM), from_body, np.inf)
    if np.isfinite(inside).any():
        found.append(_disc("vertebral body", int(np.argmin(inside)), truth, distance, row_mm))
    smooth = ndimage.gaussian_filter(truth, _RADIUS_MM / row_mm / 2)
    spread = np.sqrt(
        np.maximum(
            ndimage.uniform_filter(truth**2, _side(row_mm))
            - ndimage.uniform_filter(truth, _side(row_mm)) ** 2,
            0,
        )
    )
    muscle = (smooth > _MUSCLE_HU[0]) & (smooth < _MUSCLE_HU[1]) & (clear > 0)
    muscle &= (distance > _MUSCLE_REACH_MM[0]) & (distance < _MUSCLE_REACH_MM[1])
    muscle &= from_body > 18.0  # not the canal, not a disc space
    quiet = np.where(muscle, spread, np.inf)
    for _ in range(_MUSCLE_DISCS):
        if not np.isfinite(quiet).any():
            break
        best = int(np.argmin(quiet))
        found.append(_disc("muscle", best, truth, distance, row_mm))
        j, i = np.unravel_index(best, truth.shape)
        quiet[np.hypot((rows - j) * row_mm, (columns - i) * column_mm) < _APART_MM] = np.inf
    return found


def _side(pixel_mm: float) -> int:
    return 2 * round(_RADIUS_MM / pixel_mm) + 1


def _disc(tissue: str, at: int, truth: Image, distance: NDArray[Any], pixel_mm: float) -> Disc:
    j, i = np.unravel_index(at, truth.shape)
    rows, columns = np.indices(truth.shape)
    where = np.hypot(rows - j, columns - i) * pixel_mm <= _RADIUS_MM
    return Disc(tissue, where, float(distance[j, i]))


def measure_hu(
    settings: CollectionSettings, methods: Sequence[StudyMethod], work: Path
) -> list[dict[str, Any]]:
    """Mean HU of every disc, in the truth and in every image; one row a disc."""
    collection, rows = ScanCollection(settings, work), []
    for scene in collection.scenes():
        scanned = collection.scanned(scene)
        images = {"truth": scanned.truth.hu[MIDDLE], "input": scanned.scan.hu[MIDDLE]}
        images |= {m.name: collection.corrected(scene, m).hu for m in methods}
        for disc in place_discs(scene, scanned):
            rows.append(
                {
                    "scene": scene.name,
                    "metal": scene.facts["metal"],
                    "tissue": disc.tissue,
                    "from_metal_mm": disc.from_metal_mm,
                    "hu": {name: float(image[disc.where].mean()) for name, image in images.items()},
                }
            )
    return rows


def summarise_hu(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Bland-Altman figures by tissue, metal and method: bias, spread and limits of agreement."""
    out: dict[str, Any] = {}
    kinds = dict.fromkeys((row["tissue"], metal) for row in rows for metal in ("", row["metal"]))
    for tissue, metal in sorted(kinds):
        chosen = [r for r in rows if r["tissue"] == tissue and metal in ("", r["metal"])]
        title = f"{tissue}, {metal}" if metal else tissue
        scenes = [row["scene"] for row in chosen]
        out[title] = {"discs": len(chosen), "truth_hu": float(np.mean(_of(chosen, "truth")))}
        for name in chosen[0]["hu"]:
            if name == "truth":
                continue
            error = _of(chosen, name) - _of(chosen, "truth")
            bias = float(error.mean())
            spread = float(error.std(ddof=1))
            out[title][name] = {
                "bias": bootstrap(error, scenes).to_json(),
                "absolute": bootstrap(np.abs(error), scenes).to_json(),
                "spread": spread,
                "limits": [bias - 1.96 * spread, bias + 1.96 * spread],
            }
    return out


def _of(rows: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    return np.array([row["hu"][name] for row in rows])
