"""What the numbers of a store mean: HU, line integrals, geometry, in other programs' terms too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spinemar.dataset.pair_settings import PairSettings
from spinemar.physics.materials import REFERENCE_KEV
from spinemar.tomography.units import MU_WATER_PER_MM

HU_RULE = "HU = 1000 * (mu / mu_water - 1), so mu = mu_water * (1 + HU / 1000)"
GEOMETRY = (
    "parallel beam over half a turn; view v looks along theta = pi * v / views, bin b lies at "
    "r = (b - (bins - 1) / 2) * bin_mm = x cos(theta) + y sin(theta), where "
    "x = (column - (columns - 1) / 2) * pixel_mm and y = (row - (rows - 1) / 2) * pixel_mm"
)
RADON_SNIPPET = f"""\
import numpy as np
from skimage.transform import radon

def project(hu, pixel_mm, bin_mm, views, bins):
    mu = {MU_WATER_PER_MM} * (1.0 + hu / 1000.0)
    theta = np.pi * np.arange(views) / views
    # scikit-image turns the other way, about pixel N // 2; pair images turn about (N - 1) / 2.
    rays = radon(mu, -np.degrees(theta), circle=False) * pixel_mm
    off = (len(mu) // 2 - (len(mu) - 1) / 2) * (np.cos(theta) + np.sin(theta))
    r = (np.arange(bins) - (bins - 1) / 2) * bin_mm / pixel_mm
    places = np.arange(len(rays))
    return np.stack([np.interp(r - off[v] + len(rays) // 2, places, rays[:, v])
                     for v in range(views)])
"""
"""A pair's sinogram from its image by scikit-image, as the card has it and as it is tested."""

ODL_SNIPPET = """\
views, bins = sinogram.shape
half, width = np.pi / (2 * views), bins * bin_mm / 2
geometry = odl.tomo.Parallel2dGeometry(
    odl.uniform_partition(-half, np.pi - half, views),
    odl.uniform_partition(-width, width, bins))
side = image.shape[0] * pixel_mm / 2
space = odl.uniform_discr([-side, -side], [side, side], image.shape, dtype="float32")
rays = odl.tomo.RayTransform(space, geometry)(image.T)  # columns first: x, then y
"""


def store_attributes(settings: PairSettings, metals: Sequence[str]) -> dict[str, Any]:
    """Return what a reader needs besides the arrays, for the group's attributes.

    `metals` are those that `metal_fraction` tells apart.
    """
    return {
        "mu_water_per_mm": MU_WATER_PER_MM,
        "hu_rule": HU_RULE,
        "energy_kev": REFERENCE_KEV,
        "metals": list(metals),
        "geometry": GEOMETRY,
        "views": settings.n_views,
        "bins": settings.n_bins,
        "pixel_mm_and_bin_mm": "of each pair, in pairs.jsonl",
    }


def conventions_text(metals: Sequence[str]) -> str:
    """Return the card's chapter about them, as Markdown."""
    return f"""## What the numbers mean

* **HU**: {HU_RULE}, with mu_water = {MU_WATER_PER_MM} per mm (water at {REFERENCE_KEV:g} keV).
  Nothing else is done to an image before it is projected: streaks below -1000 HU are negative mu.
* **Line integrals**: sums of mu (per mm) times the way (mm), after the scanner's own water
  correction; a ray through 100 mm of water is {100 * MU_WATER_PER_MM:.2f}.
* **`metal_fraction`**: the true share of each voxel that each of {", ".join(metals)} fills,
  in steps of 1/255; `metal` is what a correction finds in the image. PEEK is no metal.
* **`li_sinogram`**: `sinogram` with the rays through `metal` bridged in each view; `li` is its
  image. In raw pairs `metal_trace` is wider than these rays: it has those in the blur beside them.
* **Geometry**: {GEOMETRY}.

In scikit-image's terms, and in ODL's:

```python
{RADON_SNIPPET}```

```python
{ODL_SNIPPET}```
"""
