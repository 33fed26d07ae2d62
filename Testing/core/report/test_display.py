"""Pictures look as a radiologist expects, whatever the order and direction of the axes."""

from __future__ import annotations

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from spinemar.pages.orientation import edge_letters
from spinemar.report.display import BONE, SOFT_TISSUE, View, anatomy_uri, box_around, shown
from spinemar.volume import GridGeometry

SPACING = {0: 0.7, 1: 0.8, 2: 2.5}  # along R, A, S


def patient(order: tuple[int, ...], signs: tuple[int, ...]) -> tuple[np.ndarray, GridGeometry]:
    """Markers at the patient's right (1), front (2), head (3) on any axis order and direction."""
    ras = np.zeros((9, 11, 7), dtype=np.float32)  # along R, A, S
    ras[8, 5, 3], ras[4, 10, 3], ras[4, 5, 6] = 1, 2, 3
    array = np.transpose(ras, order)
    affine = np.eye(4)
    for n, axis in enumerate(order):  # n-th of k, j, i
        column = 2 - n
        affine[:3, column] = 0
        affine[axis, column] = SPACING[axis] * signs[axis]
        if signs[axis] < 0:
            array = np.flip(array, n)
            affine[axis, 3] = SPACING[axis] * (ras.shape[axis] - 1)
    return np.ascontiguousarray(array), GridGeometry(array.shape, affine)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_right_is_left_front_is_up_head_is_up(order, signs) -> None:
    array, geometry = patient(order, signs)
    axial = View(geometry, "axial")
    middle = 3 if signs[2] > 0 else 7 - 1 - 3
    picture = axial.cut(array, middle)
    assert picture.shape == (11, 9)
    assert picture[5, 0] == 1  # right on the viewer's left
    assert picture[0, 4] == 2  # front up
    assert axial.pixel_mm == pytest.approx((0.8, 0.7))
    coronal = View(geometry, "coronal")
    picture = coronal.cut(array, 5)
    assert picture[0, 4] == 3  # head up
    assert picture[3, 0] == 1
    assert coronal.pixel_mm == pytest.approx((2.5, 0.7))
    sagittal = View(geometry, "sagittal")
    picture = sagittal.cut(array, 4)
    assert picture[0, 5] == 3
    assert picture[3, 0] == 2  # front on the viewer's left


def test_windows_map_level_and_ends() -> None:
    hu = np.array([-5000, -160, 40, 240, 5000], dtype=np.float32)
    np.testing.assert_array_equal(SOFT_TISSUE.apply(hu), [0, 0, 128, 255, 255])
    assert BONE.apply(np.array([500], dtype=np.float32))[0] == 128


def test_png_has_square_pixels_in_mm() -> None:
    picture, side_mm = shown(np.zeros((10, 100), dtype=np.uint8), (2.5, 0.5))
    rows, columns = picture.shape
    assert columns / rows == pytest.approx(100 * 0.5 / (10 * 2.5), rel=0.05)
    assert columns * side_mm == pytest.approx(50, rel=0.02)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_letters_stand_where_the_marks_are(order, signs, plane) -> None:
    """The side that a letter names is the side on which the patient's mark is drawn."""
    array, geometry = patient(order, signs)
    view = View(geometry, plane)
    letters = edge_letters(view.right_ras, view.up_ras)
    for mark, letter in ((1, "R"), (2, "A"), (3, "S")):
        stack = int(np.argwhere(array == mark)[0][view.stack_axis])
        row, column = np.argwhere(view.cut(array, stack) == mark)[0]
        rows, columns = view.cut(array, stack).shape
        at = {"left": column == 0, "right": column == columns - 1,
              "top": row == 0, "bottom": row == rows - 1}  # fmt: skip
        for edge, there in at.items():
            if there:
                assert letters[edge] == letter


def test_every_picture_of_anatomy_has_a_bar_of_10_mm() -> None:
    view = View(GridGeometry((4, 100, 100), np.diag([-0.5, -0.5, 2, 1])), "axial")
    uri = anatomy_uri(np.full((100, 100), 60, np.uint8), view)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L"))
    longest = max(int((row == 255).sum()) for row in picture[-12:])
    assert longest * 50 / picture.shape[1] == pytest.approx(10, abs=0.5)


def test_box_stays_inside_and_empty_mask_takes_all() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    assert box_around(mask, (2, 2)) == (slice(0, 20), slice(0, 30))
    mask[0, 5:8] = True
    assert box_around(mask, (3, 4)) == (slice(0, 4), slice(1, 12))
