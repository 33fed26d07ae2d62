"""A sheet for each implant material, and the tables behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gallery.patient import BONE, ERROR, SOFT, close_up, fractions, picture, scan, telling_slices
from gallery.style import save, sheet, show
from spinemar.physics.materials import hu_at, mu_per_mm
from spinemar.physics.spectra import load_spectrum, tube_voltages
from spinemar.report.display import View

NAMES = {
    "Ti-6Al-4V": "Titanium alloy Ti-6Al-4V",
    "316L": "Stainless steel 316L",
    "CoCrMo": "Cobalt-chrome CoCrMo",
    "PEEK": "PEEK",
}


def draw_sheet(folder: Path, material: str) -> None:
    """Screws, tulips and rods of one material in three windows."""
    slices = telling_slices()
    figure, axes = sheet(3, 4, aspect=0.85)
    for row, (name, k) in enumerate(vars(slices).items()):
        result = scan(material, k)
        bare = scan(material, k, fraction=np.zeros_like(fractions())).volume
        box = close_up(k, margin_mm=55)
        error = result.volume.with_hu(result.volume.hu - bare.hu)
        view = View(result.volume.geometry, "axial")
        outside = view.cut(fractions()[k : k + 1], 0) < 0.02
        rmse = float(np.sqrt((view.cut(error.hu, 0)[outside] ** 2).mean()))
        show(axes[row, 0], picture(bare, SOFT)[box], "without implants")
        show(axes[row, 1], picture(result.volume, SOFT)[box], f"{name}, soft tissue")
        show(axes[row, 2], picture(result.volume, BONE)[box], "bone window")
        show(axes[row, 3], picture(error, ERROR)[box], f"error ±400 HU, RMSE {rmse:.0f} HU")
    figure.suptitle(f"{NAMES[material]}: {hu_at(material):,.0f} HU at 70 keV", fontsize=12)
    save(figure, folder / f"material-{material}.jpg")


def draw_tables(folder: Path) -> None:
    """Attenuation of the materials and the tube spectra."""
    figure, axes = sheet(1, 2, aspect=0.7)
    energies = np.arange(20, 141)
    for name in ("CoCrMo", "316L", "Ti-6Al-4V", "cortical_bone", "water", "PEEK"):
        axes[0, 0].semilogy(energies, 10 * mu_per_mm(name, energies), label=name)
    axes[0, 0].set(xlabel="photon energy, keV", ylabel="attenuation, 1/cm", title="Materials")
    axes[0, 0].axvline(70, color="0.7", lw=0.8)
    axes[0, 0].legend(fontsize=8)
    for kvp in tube_voltages():
        tube, behind = load_spectrum(kvp), load_spectrum(kvp).behind("water", 200)
        colour = axes[0, 1].plot(tube.energies_kev, tube.photons, lw=0.8, alpha=0.6)[0].get_color()
        mean = behind.mean_energy_kev
        axes[0, 1].plot(
            behind.energies_kev,
            behind.photons,
            color=colour,
            label=f"{kvp} kVp, mean {mean:.0f} keV",
        )
    axes[0, 1].set(
        xlabel="photon energy, keV",
        ylabel="share of photons per keV",
        title="Tube spectra (thin) and behind 20 cm of water",
    )
    axes[0, 1].legend(fontsize=8)
    save(figure, folder / "materials-and-spectra.png")


def draw(folder: Path) -> None:
    """Draw the tables and all sheets."""
    draw_tables(folder)
    for material in NAMES:
        draw_sheet(folder, material)
