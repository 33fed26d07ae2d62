"""Pictures of the page: findings in the sample CT, before and after; no other patient is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar_study.scenes.methods import StudyMethod
from spinemar_study.scenes.scan_collection import ScanCollection
from spinemar_study.scenes.scenes import MIDDLE, Scene
from spinemar_study.study_settings import SAMPLE, CollectionSettings

_HALF_MM = 45.0
_WINDOW_HU = (-350.0, 1150.0)
_DPI = 72


def draw_findings(
    settings: CollectionSettings,
    methods: Sequence[StudyMethod],
    work: Path,
    output: Path,
    chosen: Sequence[tuple[int, str]],
) -> None:
    """Draw scenes of the sample CT with findings: without metal, scanned, and corrected.

    Parameters
    ----------
    chosen : sequence of (number, group)
        Which scene of the sample CT, and which group of findings (`lesions.GROUPS`).
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    collection = ScanCollection(settings, work)
    number = next(n for n, source in enumerate(settings.patients) if source.ct == SAMPLE)
    name = collection.patient(number).name
    scenes = [scene for scene in collection.scenes() if scene.facts["patient"] == name]
    titles = ["without metal", "scan", *(method.name for method in methods)]
    shape = (len(chosen), len(titles))
    figure, axes = plt.subplots(*shape, figsize=(3 * shape[1], 3 * shape[0]), squeeze=False)
    for row, (index, group) in zip(axes, chosen, strict=True):
        scene = scenes[index]
        found = collection.scanned(scene, group)
        images = [found.truth.hu[MIDDLE], found.scan.hu[MIDDLE]]
        images += [collection.corrected(scene, method, group).hu for method in methods]
        where = _about(scene)
        for axis, image, title in zip(row, images, titles, strict=True):
            axis.imshow(image[where], cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1])
            axis.set_xticks([])
            axis.set_yticks([])
            if row is axes[0]:
                axis.set_title(title, fontsize=9)
        share = np.max(list(found.lesions.values()), axis=0)[where]
        row[0].contour(share, [0.5], colors="#ff5555", linewidths=0.7)
        label = f"{scene.level}, {scene.facts['metal']}, {scene.facts['scale']}\n"
        row[0].set_ylabel(label + ", ".join(found.lesions), fontsize=7)
    figure.tight_layout(pad=0.4)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=_DPI, pil_kwargs={"quality": 85})
    plt.close(figure)


def _about(scene: Scene) -> Any:
    """Rows and columns about the vertebra, patient's back down."""
    site = next(iter(scene.sites.values()))
    at = scene.volume.geometry.to_ijk((site.body_centre + np.asarray(site.entry)) / 2)
    centre = scene.volume.geometry.to_ijk(np.asarray(site.body_centre))
    reach = round(_HALF_MM / scene.volume.spacing_mm[0])
    j, i = round(float(at[1])), round(float(centre[0]))
    step = -1 if scene.volume.ijk_to_ras[1, 1] > 0 else 1  # anterior on top
    rows = slice(max(j - reach, 0), j + reach)
    return (
        slice(rows.stop - 1, rows.start - 1 if rows.start else None, -1) if step < 0 else rows,
        slice(max(i - reach, 0), i + reach),
    )
