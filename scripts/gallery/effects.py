"""What each effect of the scanner does on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gallery.patient import SOFT, close_up, picture, scan, telling_slices
from gallery.style import save, sheet, show
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.volume import CTVolume

ALONE: dict[str, dict[str, Any]] = {
    "none: one energy, no noise": {},
    "beam hardening (water corrected)": {"polychromatic": True, "water_correction": True},
    "scatter, uncorrected": {"scatter": 0.1, "scatter_correction": 0.0},
    "detector and focal spot": {"ray_oversampling": 4, "focal_spot_mm": 0.9},
    "noise and starvation": {
        "quantum_noise": True,
        "electronic_noise": 8.0,
        "floor_photons": 1.0,
    },
    "the same, starved rays smoothed": {
        "quantum_noise": True,
        "electronic_noise": 8.0,
        "floor_photons": 1.0,
        "starvation_filter": True,
    },
}


def draw_alone(folder: Path) -> None:
    """Switch on one effect at a time for steel tulips, and all together."""
    k = telling_slices().tulips
    box = close_up(k, margin_mm=75)
    figure, axes = sheet(2, 4, aspect=0.8)
    cells = list(axes.flat)
    for cell, (name, changes) in zip(cells, ALONE.items(), strict=False):
        result = scan("316L", k, ScannerSettings.ideal(**changes))
        show(cell, picture(result.volume, SOFT)[box], name)
    result = scan("316L", k)
    assert result.truth is not None
    show(cells[6], picture(result.volume, SOFT)[box], "all")
    show(cells[7], picture(result.truth, SOFT)[box], "all, without metal")
    save(figure, folder / "effects.jpg")


def draw_cupping(folder: Path) -> None:
    """Profiles through 30 cm of water before and after the water correction."""
    size, pixel = 256, 1.5
    y, x = (np.mgrid[: size * 4, : size * 4] + 0.5) / 4 - size / 2
    disc = (np.hypot(x, y) * pixel < 150).reshape(size, 4, size, 4).mean(axis=(1, 3))
    volume = CTVolume(np.full((1, size, size), -1000.0), np.diag([pixel, pixel, 1.0, 1.0]))
    figure, axes = sheet(1, 2, aspect=0.6)
    place = (np.arange(size) - (size - 1) / 2) * pixel
    for name, changes in {
        "no correction, no bowtie": {"water_correction": False, "bowtie": 0.0, "scatter": 0.0},
        "no correction, bowtie": {"water_correction": False, "scatter": 0.0},
        "corrected": {"scatter": 0.0},
        "corrected, scatter uncorrected": {"scatter_correction": 0.0},
    }.items():
        settings = ScannerSettings(
            quantum_noise=False, electronic_noise=0.0, hu_scale="unlimited", **changes
        )
        water = {"water": disc[None].astype(np.float32)}
        hu = simulate_scan(volume, water, settings, with_truth=False).volume.hu[0]
        axes[0, 0].plot(place, hu[size // 2 - 2 : size // 2 + 2].mean(axis=0), label=name)
    axes[0, 0].set(
        ylim=(-80, 80), xlabel="mm", ylabel="HU", title="30 cm of water: profile through the middle"
    )
    axes[0, 0].legend(fontsize=8)
    _draw_noise(axes[0, 1], volume, disc)
    save(figure, folder / "cupping-and-noise.png")


def _draw_noise(axes: Any, volume: CTVolume, disc: np.ndarray) -> None:
    """Noise in 30 cm of water against photons, with the line that statistics demand."""
    size = disc.shape[0]
    middle = np.s_[size // 2 - 20 : size // 2 + 20, size // 2 - 20 : size // 2 + 20]
    water = {"water": disc[None].astype(np.float32)}
    photons = np.geomspace(1e5, 3e7, 6)
    noise = []
    for electronic in (0.0, 8.0):
        noise.append([])
        for count in photons:
            settings = ScannerSettings(
                photons_per_ray=float(count), electronic_noise=electronic, hu_scale="unlimited"
            )
            hu = simulate_scan(volume, water, settings, 3, with_truth=False).volume.hu[0]
            noise[-1].append(float(hu[middle].std()))
    axes.loglog(photons, noise[0], "o", label="quantum noise")
    axes.loglog(photons, noise[1], "x", label="and electronic noise")
    line = noise[0][-1] * np.sqrt(photons[-1] / photons)
    axes.loglog(photons, line, color="0.6", label="1 / √photons")
    axes.set(xlabel="photons per ray", ylabel="noise in the middle, HU", title="Noise")
    axes.legend(fontsize=8)


def draw(folder: Path) -> None:
    """Draw both figures."""
    draw_alone(folder)
    draw_cupping(folder)
