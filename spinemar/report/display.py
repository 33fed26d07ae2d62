"""From voxels to what a radiologist expects to see: orientation, proportions, window."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from spinemar.base.boxes import bounding_box
from spinemar.volume import GridGeometry

Plane = Literal["axial", "coronal", "sagittal"]

# RAS axis along the stack, down the picture's rows (with sign) and along its columns (with sign):
# radiological convention, the patient's right on the viewer's left, anterior or head up.
_VIEWS: dict[Plane, tuple[int, tuple[int, int], tuple[int, int]]] = {
    "axial": (2, (1, -1), (0, -1)),
    "coronal": (1, (2, -1), (0, -1)),
    "sagittal": (0, (2, -1), (1, -1)),
}
_LARGEST_PX = 460
_MOST_RED = 0.55

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """Grey levels: `level` is the middle grey, `width` the span from black to white, HU."""

    name: str
    width: float
    level: float

    def apply(self, hu: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Map HU of any shape to 0..255."""
        scaled = (hu - (self.level - self.width / 2)) / self.width
        return np.asarray(np.clip(scaled, 0, 1) * 255 + 0.5, dtype=np.uint8)


BONE = Window("Bone", 2000, 500)
SOFT_TISSUE = Window("Soft tissue", 400, 40)
DIFFERENCE = Window("Difference", 400, 0)


@dataclass(frozen=True)
class View:
    """How to cut pictures of one plane out of arrays on one grid.

    Parameters
    ----------
    geometry : GridGeometry
    plane : {"axial", "coronal", "sagittal"}
        The array axes nearest to it are taken; nothing is resampled but the pixels' proportions.
    """

    geometry: GridGeometry
    plane: Plane

    @property
    def _axes(self) -> tuple[int, int, int]:
        """Array axes (of k, j, i) of stack, picture rows and picture columns."""
        steps = self._steps()
        stack_ras, (row_ras, _), (column_ras, _) = _VIEWS[self.plane]
        stack = int(np.argmax(np.abs(steps[:, stack_ras])))
        rest = [a for a in range(3) if a != stack]
        row = max(rest, key=lambda a: abs(steps[a, row_ras]) - abs(steps[a, column_ras]))
        column = next(a for a in rest if a != row)
        return stack, row, column

    @property
    def right_ras(self) -> NDArray[np.float64]:
        """Where the picture's right lies in the patient, shape (3,)."""
        return self._towards(self._axes[2], *_VIEWS[self.plane][2])

    @property
    def up_ras(self) -> NDArray[np.float64]:
        """Where the picture's top lies in the patient, shape (3,)."""
        return -self._towards(self._axes[1], *_VIEWS[self.plane][1])

    def _towards(self, axis: int, ras: int, sign: int) -> NDArray[np.float64]:
        """Return the step along an array axis, turned as the picture is."""
        step: NDArray[np.float64] = self._steps()[axis]
        return step if step[ras] * sign > 0 else -step

    def _steps(self) -> NDArray[np.float64]:
        """Return the unit RAS steps along the array axes k, j, i; shape (3, 3)."""
        steps = self.geometry.ijk_to_ras[:3, :3].T[::-1]
        return np.asarray(steps / np.linalg.norm(steps, axis=1, keepdims=True))

    @property
    def stack_axis(self) -> int:
        """Array axis through the pictures of this plane."""
        return self._axes[0]

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel down and across the picture."""
        spacing = self.geometry.spacing_mm[::-1]
        _, row, column = self._axes
        return spacing[row], spacing[column]

    def cut(self, array: NDArray[_Scalar], index: int) -> NDArray[_Scalar]:
        """Return slice `index` of an array (k, j, i) along the stack axis, turned for display."""
        stack, row, column = self._axes
        steps = self._steps()
        picture = np.moveaxis(array, (stack, row, column), (0, 1, 2))[index]
        _, (row_ras, row_sign), (column_ras, column_sign) = _VIEWS[self.plane]
        if steps[row, row_ras] * row_sign < 0:
            picture = picture[::-1]
        if steps[column, column_ras] * column_sign < 0:
            picture = picture[:, ::-1]
        return np.asarray(picture)


Box = tuple[slice, slice]


def box_around(mask: NDArray[np.bool_], margin_px: tuple[int, int]) -> Box:
    """Smallest box around a mask with a margin, inside the picture; all of it if empty.

    `mask` has the shape (rows, columns).
    """
    rows, columns = bounding_box(mask, margin_px) or tuple(slice(0, n) for n in mask.shape)
    return rows, columns


def shown(
    grey: NDArray[np.uint8], pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[NDArray[np.uint8], float]:
    """Resample a picture to square pixels, its longer side at most 460 of them.

    Parameters
    ----------
    grey : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
    pixel_mm : (down, across) in mm

    Returns
    -------
    picture : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
    side_mm : float
        Of its pixels.
    """
    from PIL import Image

    rows, columns = grey.shape[:2]
    size_mm = np.array([columns * pixel_mm[1], rows * pixel_mm[0]])
    scale = min(_LARGEST_PX / size_mm.max(), 1 / min(pixel_mm) * 2)
    width, height = (max(1, round(float(side))) for side in size_mm * scale)
    image = Image.fromarray(np.ascontiguousarray(grey)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(image), 1.0 / float(scale)


def reddened(grey: NDArray[np.uint8], share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lay red over a grey picture: none where `share` is 0, most at 1; what lies below is seen.

    Shape (rows, columns, 3).
    """
    over = (_MOST_RED * np.clip(share, 0.0, 1.0))[..., None]
    colours = grey[..., None] * (1 - over) + np.array([255.0, 0.0, 0.0]) * over
    return np.asarray(colours + 0.5, dtype=np.uint8)


def anatomy_uri(grey: NDArray[np.uint8], view: View) -> str:
    """Encode a view's cut (rows, columns) as a data URI, with letters of its sides and a bar."""
    from spinemar.pages.orientation import mark_orientation

    picture, side_mm = shown(grey, view.pixel_mm)
    return png_uri(mark_orientation(picture, view.right_ras, view.up_ras, side_mm))


def png_uri(picture: NDArray[np.uint8]) -> str:
    """Encode a picture, grey (rows, columns) or colour (rows, columns, 3), as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
