"""The sample patient with the demonstration's screws and rods, in any material."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spinemar.demo.run import sample_plan
from spinemar.demo.sample_data import sample_ct
from spinemar.implants.catalogue import load_catalogue
from spinemar.implants.voxelize import voxelize_plan
from spinemar.io import read_volume
from spinemar.physics.scanner import SimulatedScan, simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.planning.plans.plan import Plan
from spinemar.report.display import View, Window, box_around
from spinemar.volume import CTVolume

SOFT = Window("Soft tissue", 700, 100)
BONE = Window("Bone", 2500, 700)
ERROR = Window("Error", 800, 0)
SEED = 7


@cache
def patient() -> CTVolume:
    """Read the sample CT."""
    return read_volume(sample_ct())


def _shares(plan: Plan) -> dict[str, NDArray[np.float32]]:
    return voxelize_plan(plan, patient().geometry, load_catalogue())


@cache
def fractions() -> NDArray[np.float32]:
    """Volume fraction of the demonstration's screws and rods, whatever their material."""
    return np.asarray(sum(_shares(sample_plan()).values()))


def fractions_of(plan: Plan) -> NDArray[np.float32]:
    """Volume fraction of all of a plan's implants."""
    return np.asarray(sum(_shares(plan).values()), dtype=np.float32)


@dataclass(frozen=True)
class TellingSlices:
    """Slices that show one kind of artifact each."""

    screws: int
    tulips: int
    rods: int


@cache
def telling_slices() -> TellingSlices:
    """Find a slice with screw shafts and rods, one with tulips, one with the least metal."""
    from scipy.ndimage import label

    filled = fractions() > 0.3
    area = filled.sum(axis=(1, 2))
    present = np.flatnonzero(area)[2:-2]
    pieces = {int(k): label(filled[k])[1] for k in present}
    tulips = int(max(present, key=lambda k: area[k]))
    # Two shafts and two rods apart from each other; rods alone are the smallest metal.
    apart = (k for k in pieces if pieces[k] >= 4 and area[k] < 0.6 * area[tulips])
    screws = max(apart, key=lambda k: area[k])
    rods = min(pieces, key=lambda k: area[k])
    return TellingSlices(screws, tulips, rods)


def scan(
    material: str,
    k: int,
    settings: ScannerSettings | None = None,
    fraction: NDArray[np.float32] | None = None,
    margin: int = 0,
) -> SimulatedScan:
    """Scan slice k (and `margin` more on either side) with all implants of one material."""
    metal = fractions() if fraction is None else fraction
    around = slice(max(0, k - margin), k + margin + 1)
    whole = patient()
    part = CTVolume(whole.hu[around], whole.ijk_to_ras)
    settings = settings or ScannerSettings()
    chosen = slice(k - around.start, k - around.start + 1)
    return simulate_scan(part, {material: metal[around]}, settings, SEED + k, slices=chosen)


def picture(volume: CTVolume, window: Window) -> NDArray[np.uint8]:
    """First slice of a volume as a radiologist sees it."""
    return window.apply(View(volume.geometry, "axial").cut(volume.hu, 0))


def close_up(k: int, margin_mm: float = 45.0) -> tuple[slice, slice]:
    """Rows and columns of the picture around the metal of slice k."""
    view = View(patient().geometry, "axial")
    margin = round(margin_mm / view.pixel_mm[0])
    return box_around(view.cut(fractions() > 0.3, k), (margin, margin))
