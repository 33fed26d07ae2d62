"""Which way a picture faces and how large it is: letters at its edges and a bar of 10 mm.

The one owner for every picture of a report: radiological convention throughout, the patient's
right on the viewer's left, front or head on top.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BAR_MM = 10.0

# Positive and negative directions of R, A, S.
_LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))
# A direction names its second axis too where that makes up this much of it (24 degrees).
_SECOND_AXIS = 0.4
Ink = tuple[int, int, int]
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)
_LIGHT_PICTURE = 160
_MARGIN_PX = 4


def direction_letters(direction_ras: ArrayLike) -> str:
    """Return the letters of the way a vector points, the nearest axis first.

    Parameters
    ----------
    direction_ras : array-like, shape (3,)
        Towards the patient's right, front and head; of any length.

    Examples
    --------
    >>> direction_letters((-1, 0.1, 0)), direction_letters((0, -0.7, -0.7))
    ('L', 'PI')
    """
    vector = np.asarray(direction_ras, dtype=float)
    vector = vector / np.linalg.norm(vector)
    largest = np.argsort(-np.abs(vector), kind="stable")[:2]
    return "".join(
        _LETTERS[axis][int(vector[axis] < 0)]
        for n, axis in enumerate(largest)
        if n == 0 or abs(vector[axis]) >= _SECOND_AXIS
    )


def edge_letters(right_ras: ArrayLike, up_ras: ArrayLike) -> dict[str, str]:
    """Return the letters at the edges "left", "right", "top" and "bottom" of a picture.

    Parameters
    ----------
    right_ras, up_ras : array-like, shape (3,)
        Where the picture's right and its top lie in the patient, RAS.
    """
    right, up = np.asarray(right_ras, float), np.asarray(up_ras, float)
    return {
        "left": direction_letters(-right),
        "right": direction_letters(right),
        "top": direction_letters(up),
        "bottom": direction_letters(-up),
    }


def mark_orientation(
    pixels: NDArray[np.uint8], right_ras: ArrayLike, up_ras: ArrayLike, pixel_mm: float
) -> NDArray[np.uint8]:
    """Return a picture with letters in the middle of its edges and a bar of 10 mm below left.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
        With square pixels, in the size in which it is shown: the letters are not resampled.
    right_ras, up_ras : array-like, shape (3,)
        Where the picture's right and its top lie in the patient, RAS.
    pixel_mm : float
        Side of a pixel.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3)
        A new picture.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    # Light on dark pictures, dark on light ones; either with a rim of the other.
    ink, rim = (_LIGHT, _DARK) if pixels.mean() < _LIGHT_PICTURE else (_DARK, _LIGHT)
    height = max(11, round(0.042 * min(image.size)))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    wide, tall = image.size
    places = {
        "left": ((_MARGIN_PX, tall / 2), "lm"),
        "right": ((wide - _MARGIN_PX, tall / 2), "rm"),
        "top": ((wide / 2, _MARGIN_PX), "mt"),
        "bottom": ((wide / 2, tall - _MARGIN_PX), "mb"),
    }
    for edge, letters in edge_letters(right_ras, up_ras).items():
        place, anchor = places[edge]
        _write(pen, place, letters, font, anchor, ink, rim)
    _draw_bar(pen, font, tall, BAR_MM / pixel_mm, ink, rim)
    return np.asarray(image).copy()


def _write(
    pen: Any, place: tuple[float, float], text: str, font: Any, anchor: str, ink: Ink, rim: Ink
) -> None:
    pen.text(place, text, fill=ink, font=font, anchor=anchor, stroke_width=1, stroke_fill=rim)


def _draw_bar(pen: Any, font: Any, tall: int, length_px: float, ink: Ink, rim: Ink) -> None:
    """Draw the bar with its rim, and its length above it."""
    left, bottom = _MARGIN_PX + 1, tall - _MARGIN_PX - 2
    right = left + max(1, round(length_px)) - 1
    pen.rectangle((left - 1, bottom - 3, right + 1, bottom + 1), fill=rim)
    pen.rectangle((left, bottom - 2, right, bottom), fill=ink)
    _write(pen, (left, bottom - 6), f"{BAR_MM:g} mm", font, "lb", ink, rim)
