"""The Radon transform of the Shepp-Logan phantom, and what a few pixels of metal do to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery.style import grey, marked, save, sheet, show, show_sinogram
from spinemar.physics.scanner import simulate_scan
from spinemar.physics.scanner_settings import ScannerSettings
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu
from spinemar.volume import CTVolume

SIZE, PIXEL_MM = 400, 0.6
METAL = ((150, 150), (245, 262), (300, 185))  # row, column


def phantom_hu() -> NDArray[np.float32]:
    """Shepp-Logan with the contrast of a head: skull near 1000 HU, brain near 40."""
    from skimage.data import shepp_logan_phantom

    values = shepp_logan_phantom().astype(np.float32)
    hu = np.interp(values, [0.0, 0.1, 0.2, 0.3, 0.4, 1.0], [-1000, 0, 40, 80, 120, 1000])
    return hu.astype(np.float32)


def metal_fraction() -> NDArray[np.float32]:
    """Three pieces of steel of a few pixels."""
    metal = np.zeros((SIZE, SIZE), dtype=np.float32)
    for row, column in METAL:
        metal[row - 3 : row + 4, column - 3 : column + 4] = 1
    return metal


def draw_transform(folder: Path) -> None:
    """Image, its Radon transform, and the image again by filtered backprojection."""
    hu = phantom_hu()
    radon = RadonTransform(hu.shape, (PIXEL_MM, PIXEL_MM))
    sinogram = radon.forward(hu_to_mu(hu))
    back = radon.fbp(sinogram) / hu_to_mu(np.zeros(1))[0] * 1000 - 1000
    figure, axes = sheet(1, 3)
    show(axes[0, 0], grey(hu, -200, 300), "Shepp-Logan phantom")
    show_sinogram(axes[0, 1], sinogram, "its Radon transform", cmap="gray")
    show(axes[0, 2], grey(back, -200, 300), "filtered backprojection")
    save(figure, folder / "radon-shepp-logan.jpg")


def draw_metal(folder: Path) -> None:
    """Metal of a few pixels: sinusoidal traces, and streaks across the image."""
    hu, metal = phantom_hu(), metal_fraction()
    volume = CTVolume(hu[None], np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0]))
    scan = simulate_scan(volume, {"316L": metal[None]}, ScannerSettings(photons_per_ray=3e5))
    radon = RadonTransform(hu.shape, (PIXEL_MM, PIXEL_MM))
    # Steel as stored in twelve bits is not much brighter than the skull: draw the real rays.
    steel = np.where(metal > 0, np.float32(30000), hu)
    sinogram = radon.forward(hu_to_mu(steel))
    trace = radon.forward(metal) > 0.5 * PIXEL_MM
    figure, axes = sheet(1, 4)
    show(axes[0, 0], marked(grey(hu, -200, 300), metal > 0), "three pieces of steel, 4 mm")
    show_sinogram(axes[0, 1], sinogram, "Radon transform", cmap="gray", vmax=10)
    show_sinogram(axes[0, 2], marked(grey(sinogram, 0, 10), trace), "the three metal traces")
    show(axes[0, 3], grey(scan.volume.hu[0], -200, 300), "scan: bands and streaks")
    save(figure, folder / "metal-traces.jpg")


def draw(folder: Path) -> None:
    """Draw both figures."""
    draw_transform(folder)
    draw_metal(folder)
