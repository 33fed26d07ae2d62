"""No invented and no erased findings.

The finding's own image is known exactly: the truth with it minus the truth without it, noise
shared. Against that template a few figures say what a method does:

* contrast kept: how much of it a corrected scan with the finding shows more than the corrected
  scan without it (1 all, 0 erased);
* measured rays alone: the same, had the lost rays of the clean scan shown nothing of the finding
  at all. What a method keeps beyond this it has restored; what it keeps less, its prior has
  argued away;
* response present and absent: how much of it a reader would find in the corrected scan, the
  anatomy being known, where it is and where it is not. An artifact that looks like half of a
  finding or more where there is none is a false positive; less than half of it left where
  there is one, a miss.

The template is freed of its mean over the finding and the 4 mm around it: what counts is the
contrast with what lies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.mar.segmentation.trace import nearness_mm
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.lesions import GROUPS
from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scan_collection import CLEAN, ScanCollection, Scanned
from spinemar_study.scenes.scenes import MIDDLE, Scene
from spinemar_study.statistics import area_under_curve, bootstrap, pooled_ratio
from spinemar_study.study_settings import CollectionSettings

_SURROUND_MM = 4.0
HALF = 0.5
RINGS_MM = ((0.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 40.0))
"""Distances from the metal mask."""
_LEAST_PIXELS = 12
_LEAST_CONTRAST_HU = 15.0

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Template:
    """A finding as it would look without metal.

    Parameters
    ----------
    window : ndarray of bool, shape (rows, columns)
        The finding and what is beside it, without metal.
    values : ndarray of float64, shape (pixels of the window,)
        Its HU less their mean.
    ring : ndarray of intp, same shape
        Number of the ring of `RINGS_MM` around the metal.
    contrast_hu : float
        RMS over the finding itself.
    """

    window: NDArray[np.bool_]
    values: NDArray[np.float64]
    ring: NDArray[np.intp]
    contrast_hu: float

    def response(self, image: Image) -> float:
        """Return how much of the finding an image shows: 1 for the finding itself."""
        shown = image[self.window].astype(np.float64)
        return float(self.values @ shown / (self.values @ self.values))

    def by_ring(self, image: Image) -> list[tuple[float, float]]:
        """Numerator and denominator of the response, ring by ring."""
        shown = image[self.window].astype(np.float64)
        shown -= shown.mean()
        parts = []
        for n in range(len(RINGS_MM)):
            here = self.ring == n
            parts.append(
                (
                    float(self.values[here] @ shown[here]),
                    float(self.values[here] @ self.values[here]),
                )
            )
        return parts


def make_template(kind: str, present: Scanned, absent: Scanned) -> Template | None:
    """Build the template of one finding; None where too little of it is outside the metal."""
    signal = present.truth.hu[MIDDLE] - absent.truth.hu[MIDDLE]
    metal = present.metal[MIDDLE] | absent.metal[MIDDLE]
    row_mm, column_mm = present.scan.spacing_mm[1], present.scan.spacing_mm[0]
    share = present.lesions[kind]
    core = (share > 0.3) & ~metal
    if int(core.sum()) < _LEAST_PIXELS:
        return None
    contrast = float(np.sqrt(np.mean(signal[core] ** 2)))
    if contrast < _LEAST_CONTRAST_HU:
        return None
    distance = ndimage.distance_transform_edt(share <= 0.05, sampling=(row_mm, column_mm))
    window = (distance <= _SURROUND_MM) & ~metal
    values = signal[window].astype(np.float64)
    nearness = nearness_mm(metal, (row_mm, column_mm))[window]
    ring = np.full(len(values), len(RINGS_MM))
    for n, (low, high) in enumerate(RINGS_MM):
        ring[(nearness > low) & (nearness <= high)] = n
    return Template(window, values - values.mean(), ring, contrast)


def measure_findings(
    settings: CollectionSettings, methods: Sequence[StudyMethod], work: Path
) -> list[dict[str, Any]]:
    """Measure every finding, scene and method; one row each."""
    collection, rows = ScanCollection(settings, work), []
    for scene in collection.scenes():
        absent = collection.scanned(scene)
        middle = CentralSlice(absent.scan, absent.metal)
        for group in GROUPS:
            present = collection.scanned(scene, group)
            signal = present.truth.hu[MIDDLE] - absent.truth.hu[MIDDLE]
            seen = middle.of_measured_rays(signal)
            for kind in present.lesions:
                template = make_template(kind, present, absent)
                if template is not None:
                    made = _rows(collection, scene, group, kind, template, methods)
                    rows += [{**row, "by_measured_rays": template.response(seen)} for row in made]
    return rows


def _rows(
    collection: ScanCollection,
    scene: Scene,
    group: str,
    kind: str,
    template: Template,
    methods: Sequence[StudyMethod],
) -> list[dict[str, Any]]:
    present, absent = collection.scanned(scene, group), collection.scanned(scene)
    images = {"input": (present.scan.hu[MIDDLE], absent.scan.hu[MIDDLE])}
    for method in methods:
        images[method.name] = (
            collection.corrected(scene, method, group).hu,
            collection.corrected(scene, method, CLEAN).hu,
        )
    rows = []
    for name, (with_it, without) in images.items():
        difference = with_it - without
        rows.append(
            {
                "scene": scene.name,
                "finding": kind,
                "method": name,
                "contrast_hu": template.contrast_hu,
                "kept": template.response(difference),
                "kept_by_ring": template.by_ring(difference),
                "absent_by_ring": template.by_ring(without - absent.truth.hu[MIDDLE]),
                "present": template.response(with_it - absent.truth.hu[MIDDLE]),
                "absent": template.response(without - absent.truth.hu[MIDDLE]),
                **present.facts[kind],
            }
        )
    return rows


def summarise_findings(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals by finding and method, and contrast kept by distance from metal."""
    findings = list(dict.fromkeys(row["finding"] for row in rows))
    names = list(dict.fromkeys(row["method"] for row in rows))
    out: dict[str, Any] = {}
    for kind in [*findings, "all"]:
        out[kind] = {}
        for name in names:
            chosen = [r for r in rows if r["method"] == name and kind in (r["finding"], "all")]
            out[kind][name] = _summary(chosen)
    return out


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    groups = [row["scene"] for row in rows]
    kinds = [row["finding"] for row in rows]
    present = [row["present"] for row in rows]
    absent = [row["absent"] for row in rows]

    def share(hits: Sequence[bool]) -> dict[str, Any]:
        return bootstrap([float(hit) for hit in hits], groups).to_json()

    rings = []
    for n, (low, high) in enumerate(RINGS_MM):
        parts, wholes = zip(*(row["kept_by_ring"][n] for row in rows), strict=True)
        seen = [row["absent_by_ring"][n] for row in rows]
        false = [float(a > HALF * b) if b > 0 else float("nan") for a, b in seen]
        rings.append(
            {
                "from_mm": low,
                "to_mm": high,
                "kept": pooled_ratio(parts, wholes, groups).to_json(),
                "false_positive": bootstrap(false, groups).to_json(),
            }
        )
    return {
        "contrast_hu": float(np.mean([row["contrast_hu"] for row in rows])),
        "kept": bootstrap([row["kept"] for row in rows], groups).to_json(),
        "by_measured_rays": bootstrap([r["by_measured_rays"] for r in rows], groups).to_json(),
        "erased": share([row["kept"] < HALF for row in rows]),
        "false_positive": share([value > HALF for value in absent]),
        "missed": share([value < HALF for value in present]),
        "auc": area_under_curve(present, absent, groups, kinds).to_json(),
        "rings": rings,
    }
