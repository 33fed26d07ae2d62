"""The same slice measured in each geometry: raw data and reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gallery.patient import SEED, SOFT, close_up, fractions, patient, picture, telling_slices
from gallery.style import save, sheet, show
from spinemar.physics.raw_scan import simulate_raw
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

MARGIN = 4
CASES: dict[str, dict[str, Any]] = {
    "parallel": {"geometry": "parallel"},
    "fan, arc detector, full turn": {"geometry": "fan-arc"},
    "fan, flat detector, short scan": {"geometry": "fan-flat-short"},
    "helix, 4 rows, 180° interpolation": {"geometry": "helical", "detector_rows": 4},
}


def draw(folder: Path) -> None:
    """Draw measured line integrals above the images made of them."""
    k = telling_slices().tulips
    around = slice(k - MARGIN, k + MARGIN + 1)
    whole = patient()
    part = CTVolume(whole.hu[around], whole.ijk_to_ras)
    implants = {"Ti-6Al-4V": fractions()[around]}
    box = close_up(k, margin_mm=75)
    figure, axes = sheet(2, len(CASES), aspect=0.85)
    for column, (name, changes) in enumerate(CASES.items()):
        settings = ScannerSettings(**changes)
        chosen = slice(MARGIN, MARGIN + 1)
        raw = simulate_raw(part, implants, settings, SEED, slices=chosen)
        data = raw.projections[:, 0] if raw.kind == "helical" else raw.projections[0]
        turns = f"{len(data) / 1440:.1f} turns" if raw.kind == "fan" else "180°"
        if raw.kind == "helical":
            turns = f"{len(data) / 1440:.0f} turns, first row"
        show(axes[0, column], data, f"{name}\n{turns}", aspect="auto", vmin=0, vmax=9)
        image = simulate_scan(part, implants, settings, SEED, slices=chosen, with_truth=False)
        show(axes[1, column], picture(image.volume, SOFT)[box])
    save(figure, folder / "geometries.jpg")
