"""Draw the hand-checked landmarks of a CT as an overlay sheet (PNG).

Usage: python scripts/landmark_sheets.py Resources/Landmarks/NAME.json CT.nii.gz -o sheet.png

Each vertebra gets one block: the plane through both pedicles, and for each side the plane along
the pedicle and the section across its isthmus. Plus = isthmus, cross = entry point; green = the
patient's left, red = right, cyan = canal centre, yellow = body centre (projected). Ticks every
5 mm. Left of the picture is the patient's right, as radiologists look at it.

This reads the landmark file and the CT only: nothing from the package, so that the sheets stay
independent of the automatic segmentation that the landmarks judge.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AXIAL_MM = (56.0, 56.0)
SIDE_MM = (42.0, 28.0)
SECTION_MM = (28.0, 28.0)
STEP_MM = 0.25
COLOURS = {"left": "lime", "right": "red"}


@dataclass(frozen=True)
class Ct:
    """HU array (k, j, i) with the 4x4 matrix from RAS mm to (i, j, k)."""

    hu: NDArray[np.float32]
    ras_to_ijk: Array

    def at(self, points_ras: Array) -> Array:
        """Linear interpolation at points (..., 3) in RAS mm; -1024 outside."""
        from scipy.ndimage import map_coordinates

        flat = points_ras.reshape(-1, 3)
        ijk = flat @ self.ras_to_ijk[:3, :3].T + self.ras_to_ijk[:3, 3]
        values = map_coordinates(self.hu, ijk[:, ::-1].T, order=1, cval=-1024.0)
        return np.asarray(values, dtype=np.float64).reshape(points_ras.shape[:-1])


@dataclass(frozen=True)
class Plane:
    """Rectangle: centre (RAS mm), unit vectors to the picture's right and up, size in mm."""

    centre: Array
    right: Array
    up: Array
    size_mm: tuple[float, float]

    def grid(self) -> Array:
        """Points (rows, columns, 3) in RAS mm, first row at the bottom."""
        across, along = (np.arange(-s / 2, s / 2, STEP_MM) for s in self.size_mm)
        return self.centre + across[None, :, None] * self.right + along[:, None, None] * self.up

    def project(self, point: Array) -> tuple[float, float]:
        """Picture coordinates in mm of a point projected onto the plane."""
        d = point - self.centre
        return float(d @ self.right), float(d @ self.up)


def read_ct(path: Path) -> Ct:
    """Read any file SimpleITK knows, with its geometry in RAS."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    direction = np.array(image.GetDirection()).reshape(3, 3)
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = direction * np.array(image.GetSpacing())
    ijk_to_lps[:3, 3] = image.GetOrigin()
    ijk_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_lps
    hu = sitk.GetArrayFromImage(image).astype(np.float32)
    return Ct(hu, np.linalg.inv(ijk_to_ras))


def pedicle_points(vertebra: dict[str, Any], side: str) -> tuple[Array, Array]:
    """Isthmus and entry of one side, RAS mm."""
    pedicle = vertebra["pedicles"][side]
    return np.array(pedicle["isthmus_ras"]), np.array(pedicle["entry_ras"])


def local_axes(vertebra: dict[str, Any]) -> Array:
    """Rows right, anterior, superior of the plane through both pedicles."""
    points = {side: pedicle_points(vertebra, side) for side in ("left", "right")}
    right = points["right"][0] - points["left"][0]
    right /= np.linalg.norm(right)
    forward = sum((isthmus - entry for isthmus, entry in points.values()), np.zeros(3))
    forward -= right * (forward @ right)
    forward /= np.linalg.norm(forward)
    return np.stack([right, forward, np.cross(right, forward)])


def planes(vertebra: dict[str, Any]) -> dict[str, Plane]:
    """Return the five planes of one vertebra: axial, then side and section of each pedicle."""
    right, forward, up = local_axes(vertebra)
    middle = np.mean([pedicle_points(vertebra, s)[0] for s in ("left", "right")], axis=0)
    out = {"axial": Plane(middle - 4 * forward, -right, forward, AXIAL_MM)}
    for side in ("right", "left"):
        isthmus, entry = pedicle_points(vertebra, side)
        along = isthmus - entry
        along -= up * (along @ up)
        along /= np.linalg.norm(along)
        out[f"{side} side"] = Plane(isthmus - 3 * along, along, up, SIDE_MM)
        out[f"{side} section"] = Plane(isthmus, -np.cross(along, up), up, SECTION_MM)
    return out


def draw_plane(axes: Any, ct: Ct, plane: Plane, window: tuple[float, float]) -> None:
    """Grey picture with a faint 5 mm grid."""
    w, h = plane.size_mm
    axes.imshow(
        ct.at(plane.grid()),
        origin="lower",
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        extent=(-w / 2, w / 2, -h / 2, h / 2),
        interpolation="bilinear",
        aspect="auto",
    )
    axes.set_xticks(np.arange(-5 * (w // 10), w / 2, 5), labels=[])
    axes.set_yticks(np.arange(-5 * (h // 10), h / 2, 5), labels=[])
    axes.tick_params(length=0)
    axes.grid(color="cyan", alpha=0.2, linewidth=0.4)


def draw_points(axes: Any, plane: Plane, vertebra: dict[str, Any], sides: tuple[str, ...]) -> None:
    """Markers of the given sides."""
    for side in sides:
        for point, marker in zip(pedicle_points(vertebra, side), "+x", strict=True):
            axes.plot(*plane.project(point), marker, color=COLOURS[side], ms=6, mew=0.8)


def draw_vertebra(figure: Any, ct: Ct, vertebra: dict[str, Any], box: Any, window: Any) -> None:
    """One block of five pictures; box gives (left, bottom, mm to figure) in figure fractions."""
    x0, y0, fx, fy = box
    layout = {
        "axial": (0.0, 0.0),
        "right side": (AXIAL_MM[0], SIDE_MM[1]),
        "left side": (AXIAL_MM[0], 0.0),
        "right section": (AXIAL_MM[0] + SIDE_MM[0], SIDE_MM[1]),
        "left section": (AXIAL_MM[0] + SIDE_MM[0], 0.0),
    }
    for name, plane in planes(vertebra).items():
        x, y = layout[name]
        w, h = plane.size_mm
        axes = figure.add_axes((x0 + x * fx, y0 + y * fy, w * fx * 0.99, h * fy * 0.99))
        draw_plane(axes, ct, plane, window)
        if name == "axial":
            draw_points(axes, plane, vertebra, ("left", "right"))
            for key, colour in (("canal_centre_ras", "cyan"), ("body_centre_ras", "yellow")):
                axes.plot(*plane.project(np.array(vertebra[key])), "+", color=colour, ms=6, mew=0.8)
        else:
            side = name.split()[0]
            draw_points(axes, plane, vertebra, (side,) if "side" in name else ())
            if "section" in name:
                axes.plot(0, 0, "+", color=COLOURS[side], ms=6, mew=0.8)
        axes.set_xlim(-w / 2, w / 2)
        axes.set_ylim(-h / 2, h / 2)
        label = vertebra["level"] if name == "axial" else name
        axes.text(0.02, 0.97, label, transform=axes.transAxes, va="top", color="w", fontsize=7)


def draw_sheet(
    landmarks: dict[str, Any], ct: Ct, path: Path, window: tuple[float, float], columns: int = 2
) -> None:
    """Write the sheet of all vertebrae of one CT, atomically."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    vertebrae = [v for v in landmarks["vertebrae"] if len(v["pedicles"]) == 2]
    rows = -(-len(vertebrae) // columns)
    width = columns * (AXIAL_MM[0] + SIDE_MM[0] + SECTION_MM[0] + 2)
    height = rows * (AXIAL_MM[1] + 2)
    figure = plt.figure(figsize=(width * 0.06, height * 0.06), facecolor="black")
    for n, vertebra in enumerate(vertebrae):
        x, y = n % columns, rows - 1 - n // columns
        draw_vertebra(figure, ct, vertebra, (x / columns, y / rows, 1 / width, 1 / height), window)
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    figure.savefig(temporary, dpi=100, facecolor="black")
    plt.close(figure)
    temporary.replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("landmarks", type=Path)
    parser.add_argument("ct", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--window", type=float, nargs=2, default=(-150.0, 800.0), metavar="HU")
    args = parser.parse_args()
    for path in (args.landmarks, args.ct):
        if not path.exists():
            parser.error(f"{path} does not exist")
    landmarks = json.loads(args.landmarks.read_text(encoding="utf-8"))
    draw_sheet(landmarks, read_ct(args.ct), args.output, tuple(args.window))


if __name__ == "__main__":
    main()
