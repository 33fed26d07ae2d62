"""Anatomical against random placement of the same implants, in image and Radon space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.patient import SOFT, fractions, fractions_of, patient, picture, scan
from gallery.style import grey, marked, save, sheet, show
from spinemar.demo.run import sample_plan
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.sampling.random_plan import RandomSettings, random_plan
from spinemar.report.display import View
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu


def _busiest(metal: NDArray[np.float32], wanted: int) -> int:
    """Slice near `wanted` with the most metal."""
    low, high = max(1, wanted - 12), min(len(metal) - 1, wanted + 13)
    return low + int(np.argmax((metal[low:high] > 0.3).sum(axis=(1, 2))))


def draw(folder: Path) -> None:
    """Two rows: placed as a surgeon would, placed at random within the body."""
    plan = sample_plan()
    realistic = fractions()
    view = View(patient().geometry, "axial")
    k = _busiest(realistic, int(np.argmax((realistic > 0.3).sum(axis=(1, 2)))))
    counts = len(plan.screws), len(plan.rods)
    body = patient().hu > -300
    body[: max(0, k - 6)] = False
    body[k + 7 :] = False
    settings = RandomSettings(
        screws=(counts[0], counts[0]), rods=(counts[1], counts[1]), cages=(0, 0), crosslinks=(0, 0)
    )
    drawn = random_plan(patient().geometry, 11, load_catalogue(), inside=body, settings=settings)
    random = fractions_of(drawn)
    radon = RadonTransform(patient().hu.shape[1:], patient().spacing_mm[:2])
    figure, axes = sheet(2, 4, aspect=0.85)
    rows = {"anatomical": (realistic, k), "random": (random, _busiest(random, k))}
    for row, (name, (metal, slice_)) in enumerate(rows.items()):
        result = scan("Ti-6Al-4V", slice_, fraction=metal)
        assert result.truth is not None
        where = metal[slice_] > 0.3
        truth = picture(result.truth, SOFT)
        mask = view.cut(where[None], 0)
        hu = np.where(where, np.float32(9000), result.truth.hu[0])
        rays, length = radon.forward_pair(hu_to_mu(hu)[None], where[None].astype(np.float32))
        trace = length[0] > 0.5 * patient().spacing_mm[0]
        show(axes[row, 0], marked(truth, mask), f"{name} placement")
        show(axes[row, 1], picture(result.volume, SOFT), "scan, titanium")
        show(axes[row, 2], grey(rays[0], 0, 9), "Radon space", aspect="auto")
        share = f"metal traces: {100 * trace.mean():.0f} % of all rays"
        show(axes[row, 3], marked(grey(rays[0], 0, 9), trace), share, aspect="auto")
    save(figure, folder / "placement.jpg")
