"""A screw in its own planes: axial and sagittal along its axis, and across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.implants.placement import Screw
from spinemar.implants.shapes.screw import shank_axis
from spinemar.implants.shapes.solids import FloatArray, perpendicular
from spinemar.pages.orientation import mark_orientation
from spinemar.planning.grades.bone import BoneField
from spinemar.planning.grades.hu_profile import sample_hu
from spinemar.planning.report.colours import NEUTRAL, grade_colour, is_thick
from spinemar.spine.model import VertebraFrame
from spinemar.volume import CTVolume

_PIXELS, _PIXEL_MM = 380, 0.2
#: Of a screw in the ilium, which is longer.
_PELVIC_PIXEL_MM = 0.34
# Level and width of the window: bone.
_WINDOW_HU = (-250.0, 1050.0)
_CONTOUR = tuple(round(255 * part) for part in NEUTRAL)
# Outlines are drawn on a picture this many times larger, then shrunk: smooth lines.
_OVERSAMPLED = 3
_TIP_MM, _TIP_SHARE = 5.0, 0.25


@dataclass(frozen=True)
class Plane:
    """A square picture plane: its middle, and unit vectors to the picture's right and up."""

    centre: FloatArray
    right: FloatArray
    up: FloatArray
    pixel_mm: float = _PIXEL_MM

    def points(self) -> FloatArray:
        """Return the RAS points of its pixels, shape (n, n, 3), top left first."""
        step = (np.arange(_PIXELS) - (_PIXELS - 1) / 2) * self.pixel_mm
        across, down = np.meshgrid(step, -step)
        points: FloatArray = (
            self.centre + across[..., None] * self.right + down[..., None] * self.up
        )
        return points

    def pixel(self, ras: FloatArray) -> FloatArray:
        """Return pixel coordinates (..., 2) of RAS points projected onto the plane."""
        relative = np.asarray(ras, float) - self.centre
        middle, pixel = (_PIXELS - 1) / 2, self.pixel_mm
        return np.stack(
            [middle + relative @ self.right / pixel, middle - relative @ self.up / pixel], axis=-1
        )


@dataclass(frozen=True)
class ScrewPicture:
    """A picture (n, n, 3) with what it shows."""

    caption: str
    pixels: NDArray[np.uint8]


def screw_pictures(
    screw: Screw, volume: CTVolume, field: BoneField, others: Sequence[Screw] = ()
) -> tuple[ScrewPicture, ...]:
    """Return three pictures of a screw.

    Axial along the screw (front up), sagittal along the screw (front on the left, head up),
    and across it at the isthmus (head up). All of them as radiologists look: the patient's
    right on the viewer's left; letters at the edges and a bar of 10 mm say so.

    Parameters
    ----------
    screw : Screw
    volume : CTVolume
    field : BoneField
        Of its vertebra; its outline is drawn.
    others : sequence of Screw
        Further screws, drawn where they cross the picture.
    """
    frame, axis = field.frame, shank_axis(screw)
    middle = np.asarray(screw.entry) + axis * 0.45 * screw.length_mm
    pixel_mm = _PELVIC_PIXEL_MM if screw.in_pelvis else _PIXEL_MM
    left = perpendicular(axis, -frame.right)
    superior = perpendicular(axis, frame.superior)
    if screw.in_pelvis:
        # It runs far from the sagittal plane: the one direction follows from the other.
        left = np.cross(superior, axis)
        left = left if left @ frame.right < 0 else -left
    planes = {
        "axial, along the screw": Plane(
            middle if screw.in_pelvis else middle - 0.4 * _lateral(frame, middle),
            left,
            axis,
            pixel_mm,
        ),
        "sagittal, along the screw": Plane(middle, -axis, superior, pixel_mm),
    }
    pictures = [
        ScrewPicture(name, _marked(plane, _picture(plane, screw, volume, field, others)))
        for name, plane in planes.items()
    ]
    depth = 0.6 * screw.length_mm if screw.course else _isthmus_depth_mm(screw, frame)
    across = Plane(np.asarray(screw.entry) + depth * axis, left, superior)
    cut = _across(across, screw, volume, field, others)
    inside = "in the lateral mass" if screw.in_lateral_mass else "at the isthmus"
    place = "in the ilium" if screw.in_pelvis else inside
    pictures.append(
        ScrewPicture(f"across, {place}, {depth:.0f} mm from entry", _marked(across, cut))
    )
    return tuple(pictures)


def _marked(plane: Plane, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return mark_orientation(picture, plane.right, plane.up, plane.pixel_mm)


def _lateral(frame: VertebraFrame, ras: FloatArray) -> FloatArray:
    """Return how far a point lies from the mid-sagittal plane, as a vector."""
    result: FloatArray = ((ras - frame.canal_centre_ras) @ frame.right) * frame.right
    return result


def _isthmus_depth_mm(screw: Screw, frame: VertebraFrame) -> float:
    """Return how far from the entry a screw's axis passes the isthmus."""
    pedicle = frame.pedicles.get(screw.side)
    place = frame.canal_centre_ras if pedicle is None else pedicle.isthmus_ras
    depth = (place - np.asarray(screw.entry, float)) @ shank_axis(screw)
    return float(np.clip(depth, 0.0, screw.length_mm))


def _picture(
    plane: Plane, screw: Screw, volume: CTVolume, field: BoneField, others: Sequence[Screw]
) -> NDArray[np.uint8]:
    def draw(pen: Any) -> None:
        for other in others:
            if other.id != screw.id and _near(other, plane):
                _line(pen, plane.pixel(shank_outline(other, plane)), (200, 200, 210), 1)
        _line(pen, plane.pixel(shank_outline(screw, plane)), _rgb(screw), _width(screw))
        ends = np.array([screw.entry, screw.tip])
        _line(pen, plane.pixel(ends), _rgb(screw), 1, closed=False)

    return _drawn(_slice(plane, volume, field), draw)


def _across(
    plane: Plane, screw: Screw, volume: CTVolume, field: BoneField, others: Sequence[Screw]
) -> NDArray[np.uint8]:
    angle = np.linspace(0, 2 * np.pi, 60)
    ring = np.cos(angle)[:, None] * plane.right + np.sin(angle)[:, None] * plane.up

    def draw(pen: Any) -> None:
        for other in others:
            place = _crossing(other, plane)
            if other.id != screw.id and place is not None:
                circle = plane.pixel(place + other.diameter_mm / 2 * ring)
                _line(pen, circle, (200, 200, 210), 1)
        circle = plane.pixel(plane.centre + screw.diameter_mm / 2 * ring)
        _line(pen, circle, _rgb(screw), _width(screw))

    return _drawn(_slice(plane, volume, field), draw)


def shank_outline(screw: Screw, plane: Plane) -> FloatArray:
    """Return the corners (6, 3) of a shank's silhouette, its point tapered."""
    axis, entry = shank_axis(screw), np.asarray(screw.entry, float)
    across = perpendicular(axis, np.cross(axis, np.cross(plane.right, plane.up)))
    radius, shoulder = screw.diameter_mm / 2, screw.length_mm - _TIP_MM
    side = [(0.0, radius), (shoulder, radius), (screw.length_mm, radius * _TIP_SHARE)]
    there = [entry + d * axis + r * across for d, r in side]
    back = [entry + d * axis - r * across for d, r in reversed(side)]
    return np.array(there + back)


def _near(screw: Screw, plane: Plane) -> bool:
    """Whether a shank crosses a plane or touches it."""
    normal = np.cross(plane.right, plane.up)
    heights = [(np.asarray(p) - plane.centre) @ normal for p in (screw.entry, screw.tip)]
    return bool(min(heights) < screw.diameter_mm / 2 and max(heights) > -screw.diameter_mm / 2)


def _crossing(screw: Screw, plane: Plane) -> FloatArray | None:
    """Return where a shank's axis passes through a plane."""
    normal = np.cross(plane.right, plane.up)
    axis, entry = shank_axis(screw), np.asarray(screw.entry, float)
    slope = float(axis @ normal)
    if abs(slope) < 0.2:
        return None
    depth = float((plane.centre - entry) @ normal) / slope
    return entry + depth * axis if 0.0 <= depth <= screw.length_mm else None


def _slice(plane: Plane, volume: CTVolume, field: BoneField) -> NDArray[np.uint8]:
    """Return the CT in a plane as grey levels, the vertebra's outline on it."""
    points = plane.points()
    low, high = _WINDOW_HU
    hu = np.nan_to_num(sample_hu(volume, points), nan=low)
    grey = (np.clip((hu - low) / (high - low), 0.0, 1.0) * 255).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=-1)
    inside = field.distance_mm(points) < 0.0
    edge = inside & ~ndimage.binary_erosion(inside)
    picture[edge] = (0.5 * picture[edge] + 0.5 * np.array(_CONTOUR)).astype(np.uint8)
    return picture


def _drawn(picture: NDArray[np.uint8], draw: Any) -> NDArray[np.uint8]:
    """Return a picture with smooth lines drawn on it by a callable."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    size = (image.width * _OVERSAMPLED, image.height * _OVERSAMPLED)
    large = image.resize(size, Image.Resampling.BILINEAR)
    draw(ImageDraw.Draw(large))
    return np.asarray(large.resize((image.width, image.height), Image.Resampling.LANCZOS))


def _line(
    pen: Any, pixels: FloatArray, colour: tuple[int, int, int], width: int, *, closed: bool = True
) -> None:
    corners = [tuple(p) for p in ((pixels + 0.5) * _OVERSAMPLED).tolist()]
    pen.line(corners + corners[:1] * closed, fill=colour, width=width * _OVERSAMPLED)


def _rgb(screw: Screw) -> tuple[int, int, int]:
    r, g, b = (round(255 * c) for c in grade_colour(screw))
    return r, g, b


def _width(screw: Screw) -> int:
    return 4 if is_thick(screw) else 2
