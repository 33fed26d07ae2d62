"""Draw the pictures of README and documentation from the demonstration's own volumes.

Run: make pictures. Uses build/demo where `make demo` has left it, else runs the demonstration.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gallery.surface import bone_and_metal
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from spinemar.base.atomic_files import atomic_path
from spinemar.demo.run import methods_at_hand, run_demo
from spinemar.io import read_mask, read_volume
from spinemar.mar.settings import METHOD_TITLES
from spinemar.report.display import BONE, SOFT_TISSUE, View, Window, box_around
from spinemar.report.pictures import telling_slices
from spinemar.volume import CTVolume

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "build" / "demo"
PICTURES = ROOT / "Docs" / "pictures"
PANEL_PX = 400
ROUND_PX = 300
GAP_PX = 4
MARGIN_MM = 42.0


def demo_volumes() -> dict[str, CTVolume]:
    """Return the demonstration's volumes by caption."""
    method = methods_at_hand()[-1]
    if not (DEMO / f"corrected_{method}.nii.gz").exists():
        run_demo(DEMO)
    return {
        "Scan with metal": read_volume(DEMO / "scan.nii.gz"),
        f"Corrected ({METHOD_TITLES[method]})": read_volume(DEMO / f"corrected_{method}.nii.gz"),
        "The same without metal": read_volume(DEMO / "truth.nii.gz"),
    }


def panel(
    volume: CTVolume, window: Window, k: int, box: tuple[slice, slice], view: View
) -> Image.Image:
    """Cut one square picture with square pixels."""
    grey: NDArray[np.uint8] = window.apply(view.cut(volume.hu, k)[box])
    height = round(PANEL_PX * grey.shape[0] * view.pixel_mm[0] / (grey.shape[1] * view.pixel_mm[1]))
    return Image.fromarray(grey).resize((PANEL_PX, height), Image.Resampling.BICUBIC)


def before_and_after() -> Image.Image:
    """One slice before, after and without metal in two windows, and the vertebrae in 3-D."""
    volumes = demo_volumes()
    scan = volumes["Scan with metal"]
    metal = read_mask(DEMO / "metal_mask.nii.gz", scan.geometry)
    view = View(scan.geometry, "axial")
    k = telling_slices(metal, count=1)[0]
    margin = round(MARGIN_MM / view.pixel_mm[0])
    box = box_around(view.cut(metal, k), (margin, margin))
    rows = [
        [panel(volume, window, k, box, view) for volume in volumes.values()]
        for window in (BONE, SOFT_TISSUE)
    ]
    rows.append(
        [
            Image.fromarray(bone_and_metal(volume, metal, (PANEL_PX, ROUND_PX)))
            for volume in volumes.values()
        ]
    )
    height = rows[0][0].height
    caption_px = 30
    size = (3 * PANEL_PX + 2 * GAP_PX, 2 * (height + GAP_PX) + ROUND_PX + caption_px)
    sheet = Image.new("RGB", size, (0, 0, 0))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    for column, caption in enumerate(volumes):
        x = column * (PANEL_PX + GAP_PX)
        draw.text((x + 6, 4), caption, (230, 230, 230), font)
        for row, panels in enumerate(rows):
            sheet.paste(panels[column], (x, caption_px + row * (height + GAP_PX)))
    return sheet


def main() -> None:
    """Draw all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with atomic_path(PICTURES / "before-after.jpg") as temporary:
        before_and_after().save(temporary, quality=88, optimize=True)
    print(PICTURES / "before-after.jpg")


if __name__ == "__main__":
    main()
